package io.vlmoperator.trainer.dist;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/** Two ranks whose connections, in both directions, lead through proxies that treat bytes as a bad network does. */
public final class ProxiedRings implements AutoCloseable {
    /** How bytes are passed on. */
    public enum Network {
        SOUND,
        /**
         * In pieces of odd sizes, down to single bytes, with pauses between them; now and then one as long as TCP needs to notice a lost packet
         * and to send it again. That is all that a program sees of packets that are late, lost or out of order.
         */
        POOR,
        /** Nothing arrives any more, and nobody is told. */
        SILENT,
        /** Both connections are closed. */
        CUT
    }

    private static final int[] PIECES = {1, 1, 1, 2, 3, 7, 64, 1448, 1449, 8192};
    private static final int LATE_ONE_IN = 40;
    private static final int LOST_ONE_IN = 1500;
    private static final int LATE_MILLIS = 3;
    private static final int LOST_MILLIS = 220;

    private final List<Communicator> ranks = new ArrayList<>();
    private final List<Socket> sockets = new ArrayList<>();
    private final AtomicLong singles = new AtomicLong();
    private final AtomicLong pauses = new AtomicLong();
    private volatile Network network = Network.SOUND;

    /** @param limit of an operation */
    public ProxiedRings(Duration limit, int attempt) throws IOException {
        SocketChannel[] zeroToOne = connected(1);
        SocketChannel[] oneToZero = connected(2);
        PeerSecret secret = PeerSecret.random();
        SocketChannel[][] ends = {{zeroToOne[0], oneToZero[1]}, {oneToZero[0], zeroToOne[1]}};
        for (int rank = 0; rank < 2; rank++) {
            String other = "rank " + (1 - rank);
            Wire wire = new Wire(ends[rank][0], other, ends[rank][1], other);
            Membership member = new Membership("uid-1", attempt, rank, 2, secret, "127.0.0.1", 1, limit, limit);
            ranks.add(new TcpRing(member, wire, new Whereabouts(), Optional.empty()));
        }
    }

    /** The two ends of a connection through a proxy. */
    private SocketChannel[] connected(long seed) throws IOException {
        InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        try (ServerSocketChannel proxy = ServerSocketChannel.open().bind(any);
                ServerSocketChannel target = ServerSocketChannel.open().bind(any)) {
            SocketChannel from = SocketChannel.open(proxy.getLocalAddress());
            Socket in = proxy.accept().socket();
            SocketChannel onward = SocketChannel.open(target.getLocalAddress());
            onward.setOption(StandardSocketOptions.TCP_NODELAY, true);
            SocketChannel to = target.accept();
            sockets.add(in);
            sockets.add(onward.socket());
            Thread.ofPlatform().daemon().name("proxy-" + seed).start(() -> pass(in, onward, new Random(seed)));
            return new SocketChannel[] {from, to};
        }
    }

    private void pass(Socket in, SocketChannel onward, Random random) {
        byte[] bytes = new byte[8192];
        try {
            for (int n = in.getInputStream().read(bytes);
                    n >= 0;
                    n = in.getInputStream().read(bytes)) {
                for (int at = 0; at < n; ) {
                    int piece = n - at;
                    if (network == Network.POOR) {
                        piece = Math.min(piece, PIECES[random.nextInt(PIECES.length)]);
                        pause(random);
                        singles.addAndGet(piece == 1 ? 1 : 0);
                    }
                    if (network != Network.SILENT) {
                        ByteBuffer out = ByteBuffer.wrap(bytes, at, piece);
                        while (out.hasRemaining()) {
                            onward.write(out);
                        }
                    }
                    at += piece;
                }
            }
            onward.close();
            in.close();
        } catch (IOException | InterruptedException e) {
            close(in);
            close(onward.socket());
        }
    }

    private void pause(Random random) throws InterruptedException {
        int millis = random.nextInt(LOST_ONE_IN) == 0
                ? LOST_MILLIS
                : random.nextInt(LATE_ONE_IN) == 0 ? random.nextInt(LATE_MILLIS) : 0;
        if (millis > 0) {
            pauses.incrementAndGet();
            Thread.sleep(millis);
        }
    }

    /** How it is from now on. */
    public void become(Network next) {
        network = next;
        if (next == Network.CUT) {
            sockets.forEach(ProxiedRings::close);
        }
    }

    public Communicator rank(int rank) {
        return ranks.get(rank);
    }

    /** Pieces of one byte so far. */
    public long singles() {
        return singles.get();
    }

    public long pauses() {
        return pauses.get();
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone either way.
        }
    }

    @Override
    public void close() {
        ranks.forEach(Communicator::close);
        sockets.forEach(ProxiedRings::close);
    }
}
