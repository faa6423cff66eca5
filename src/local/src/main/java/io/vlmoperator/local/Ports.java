package io.vlmoperator.local;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.concurrent.ThreadLocalRandom;

/** Free runs of ports on 127.0.0.1, all below 32768: above, an outgoing connection of any process may take one at any time. */
final class Ports {
    static final int FIRST = 20_000;
    static final int END = 32_768;

    private Ports() {}

    /** The first port of a free run of {@code count}, looked for at random places. */
    static int freeRun(int count) {
        for (int attempt = 0; attempt < 200; attempt++) {
            int base = ThreadLocalRandom.current().nextInt(FIRST, END - count);
            if (isFree(base, count)) {
                return base;
            }
        }
        throw new LocalClusterException("no " + count + " free ports in a row between " + FIRST + " and " + END
                + " on 127.0.0.1; name a first port with --port");
    }

    /** Whether all of {@code base} .. {@code base + count - 1} can be listened on. */
    static boolean isFree(int base, int count) {
        for (int port = base; port < base + count; port++) {
            try (ServerSocket socket = new ServerSocket()) {
                socket.setReuseAddress(true); // a connection in TIME_WAIT does not hold the port
                socket.bind(new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port));
            } catch (IOException e) {
                return false;
            }
        }
        return true;
    }
}
