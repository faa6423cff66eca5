package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnknownHostException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;

/**
 * How the ranks find each other. Rank r listens at the rendezvous port + r (ranks may share a host); all tell rank 0 where, rank 0 answers with the whole table, then
 * each rank connects to the next one. Every connection begins with a {@link Handshake}; whoever is refused in it does not end the wait.
 */
final class Rendezvous {
    private static final int SOCKET_LIMIT_MILLIS = 10_000;
    private static final int RETRY_MILLIS = 200;

    private final Membership membership;
    private final Handshake handshake;
    private final InetAddress own;
    private final long deadline;

    Rendezvous(Membership membership, InetAddress own) {
        this.membership = membership;
        this.handshake = new Handshake(membership);
        this.own = own;
        this.deadline = System.nanoTime() + membership.connectLimit().toNanos();
    }

    /**
     * What the ranks are connected by.
     *
     * @param peers the connections on which they met, by rank: rank 0 has one to each of the others, they have one to rank 0; else null
     */
    record Joined(Wire wire, SocketChannel[] peers) {}

    /** Connects the ring; the caller owns all connections. */
    Joined connect() {
        int world = membership.world();
        int rank = membership.rank();
        SocketChannel[] peers = new SocketChannel[world];
        Wire wire = null;
        try (ServerSocketChannel listener = listen(membership.port() + rank)) {
            InetSocketAddress me = (InetSocketAddress) listener.getLocalAddress();
            InetSocketAddress[] table = rank == 0 ? gather(listener, me, peers) : announce(me, peers);
            wire = link(listener, table[(rank + 1) % world]);
            return new Joined(wire, peers);
        } catch (IOException e) {
            throw new TrainerException(ExitCode.PeerLost, "rank " + rank + " could not join: " + e.getMessage(), e);
        } finally {
            if (wire == null) {
                RollCall.close(peers);
            }
        }
    }

    private ServerSocketChannel listen(int port) throws IOException {
        while (true) {
            ServerSocketChannel channel = ServerSocketChannel.open();
            try {
                channel.bind(new InetSocketAddress(own, port), membership.world() + 16);
                channel.configureBlocking(false);
                return channel;
            } catch (IOException e) {
                channel.close();
                // The attempt before this one may hold the port until its process is gone.
                if (!pause()) {
                    throw new TrainerException(
                            ExitCode.CollectiveTimeout,
                            "rank " + membership.rank() + " can't listen at " + own.getHostAddress() + ":" + port + ": "
                                    + e.getMessage(),
                            e);
                }
            }
        }
    }

    /** Rank 0: hears from all others, then tells them the table. */
    private InetSocketAddress[] gather(ServerSocketChannel listener, InetSocketAddress me, SocketChannel[] peers)
            throws IOException {
        int world = membership.world();
        InetSocketAddress[] table = new InetSocketAddress[world];
        table[0] = me;
        for (int known = 1; known < world; ) {
            SocketChannel channel = accept(listener, () -> "ranks " + missing(table) + " have not joined");
            Socket socket = channel.socket();
            try {
                int rank = handshake.accept(socket);
                if (rank < 1 || table[rank] != null) {
                    throw Handshake.refuse(socket, "rank " + rank + " is taken");
                }
                Handshake.letIn(socket);
                table[rank] = readAddress(new DataInputStream(socket.getInputStream()));
                peers[rank] = channel;
                known++;
            } catch (IOException | Handshake.RefusedException e) {
                channel.close();
            }
        }
        for (int rank = 1; rank < world; rank++) {
            // In one piece: of many small ones most would wait for the peer's acknowledgement.
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            for (InetSocketAddress entry : table) {
                writeAddress(out, entry);
            }
            peers[rank].socket().getOutputStream().write(bytes.toByteArray());
        }
        return table;
    }

    /** All others: tell rank 0 where they listen and read the table. */
    private InetSocketAddress[] announce(InetSocketAddress me, SocketChannel[] peers) throws IOException {
        IOException last = new UnknownHostException(membership.host());
        while (true) {
            SocketChannel channel = null;
            try {
                channel = open(new InetSocketAddress(membership.host(), membership.port()));
                Socket socket = channel.socket();
                // Rank 0 of the attempt before may still be there and refuse: the right one comes when it has gone.
                socket.setSoTimeout((int) Math.clamp(millisLeft(), 1, Integer.MAX_VALUE));
                handshake.connect(socket);
                DataOutputStream out = new DataOutputStream(socket.getOutputStream());
                writeAddress(out, me);
                out.flush();
                socket.setSoTimeout((int) Math.clamp(millisLeft(), 1, Integer.MAX_VALUE));
                DataInputStream in = new DataInputStream(socket.getInputStream());
                InetSocketAddress[] table = new InetSocketAddress[membership.world()];
                for (int i = 0; i < table.length; i++) {
                    table[i] = readAddress(in);
                }
                peers[0] = channel;
                return table;
            } catch (IOException e) {
                last = e;
            } finally {
                if (channel != null && peers[0] == null) {
                    channel.close();
                }
            }
            if (!pause()) {
                throw new TrainerException(
                        ExitCode.CollectiveTimeout,
                        "rank " + membership.rank() + " could not join rank 0 at " + membership.host() + ":"
                                + membership.port() + " within "
                                + membership.connectLimit().toSeconds() + " s: " + last.getMessage(),
                        last);
            }
        }
    }

    /** Connects to the next rank on a thread of its own and accepts the one before: in a ring each waits for the other's answer. */
    private Wire link(ServerSocketChannel listener, InetSocketAddress next) throws IOException {
        int world = membership.world();
        String nextName = "rank " + (membership.rank() + 1) % world;
        String beforeName = "rank " + (membership.rank() + world - 1) % world;
        FutureTask<SocketChannel> outgoing = new FutureTask<>(() -> toNext(next, nextName));
        Thread thread = Thread.ofPlatform()
                .daemon()
                .name("rendezvous-" + membership.rank())
                .start(outgoing);
        SocketChannel in = null;
        Wire wire = null;
        try {
            in = fromBefore(listener, (membership.rank() + world - 1) % world);
            wire = new Wire(outgoing.get(), nextName, in, beforeName);
            return wire;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case TrainerException known -> throw known;
                case IOException known -> throw known;
                default -> throw new IOException(e.getCause());
            }
        } finally {
            if (wire == null) {
                thread.interrupt(); // closes its channel, unless it has finished
                if (outgoing.state() == Future.State.SUCCESS) {
                    outgoing.resultNow().close();
                }
                if (in != null) {
                    in.close();
                }
            }
        }
    }

    private SocketChannel toNext(InetSocketAddress next, String name) throws IOException {
        while (true) {
            IOException last;
            SocketChannel out = SocketChannel.open();
            try {
                out.socket().connect(next, SOCKET_LIMIT_MILLIS);
                out.socket().setTcpNoDelay(true);
                out.socket().setSoTimeout((int) Math.clamp(millisLeft(), 1, Integer.MAX_VALUE));
                handshake.connect(out.socket());
                return out;
            } catch (IOException e) {
                out.close();
                last = e;
            }
            // On a busy machine the other side may have given up on a handshake that took too long.
            if (!pause()) {
                throw new TrainerException(
                        ExitCode.CollectiveTimeout,
                        "no connection to " + name + " at " + next + " within "
                                + membership.connectLimit().toSeconds() + " s: " + last.getMessage(),
                        last);
            }
        }
    }

    private SocketChannel fromBefore(ServerSocketChannel listener, int before) throws IOException {
        while (true) {
            SocketChannel in = accept(listener, () -> "rank " + before + " has not connected");
            try {
                if (handshake.accept(in.socket()) != before) {
                    throw Handshake.refuse(in.socket(), "this is not the next rank");
                }
                Handshake.letIn(in.socket());
                in.socket().setTcpNoDelay(true);
                return in;
            } catch (IOException | Handshake.RefusedException e) {
                in.close();
            }
        }
    }

    private SocketChannel accept(ServerSocketChannel listener, java.util.function.Supplier<String> late)
            throws IOException {
        try (Selector selector = Selector.open()) {
            SelectionKey key = listener.register(selector, SelectionKey.OP_ACCEPT);
            try {
                while (true) {
                    SocketChannel channel = listener.accept();
                    if (channel != null) {
                        channel.configureBlocking(true);
                        channel.socket().setSoTimeout(SOCKET_LIMIT_MILLIS);
                        return channel;
                    }
                    long left = millisLeft();
                    if (left <= 0) {
                        throw new TrainerException(
                                ExitCode.CollectiveTimeout,
                                late.get() + " within "
                                        + membership.connectLimit().toSeconds() + " s");
                    }
                    selector.select(left);
                    selector.selectedKeys().clear();
                }
            } finally {
                key.cancel();
                selector.selectNow();
            }
        }
    }

    private static SocketChannel open(InetSocketAddress address) throws IOException {
        if (address.isUnresolved()) {
            throw new UnknownHostException(address.getHostString() + " is not known (yet)");
        }
        SocketChannel channel = SocketChannel.open();
        try {
            channel.socket().connect(address, SOCKET_LIMIT_MILLIS);
            return channel;
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    private static void writeAddress(DataOutputStream out, InetSocketAddress address) throws IOException {
        byte[] bytes = address.getAddress().getAddress();
        out.writeByte(bytes.length);
        out.write(bytes);
        out.writeShort(address.getPort());
    }

    private static InetSocketAddress readAddress(DataInputStream in) throws IOException {
        byte[] address = new byte[in.readUnsignedByte() == 4 ? 4 : 16];
        in.readFully(address);
        return new InetSocketAddress(InetAddress.getByAddress(address), in.readUnsignedShort());
    }

    private static String missing(InetSocketAddress[] table) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < table.length && text.length() < 100; i++) {
            if (table[i] == null) {
                text.append(text.isEmpty() ? "" : ", ").append(i);
            }
        }
        return text.toString();
    }

    private long millisLeft() {
        return (deadline - System.nanoTime()) / 1_000_000;
    }

    /** Waits a moment; false when the time is up. */
    private boolean pause() {
        if (millisLeft() <= 0) {
            return false;
        }
        try {
            Thread.sleep(Duration.ofMillis(Math.min(RETRY_MILLIS, Math.max(1, millisLeft()))));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
        return true;
    }

    /**
     * The address to listen at: {@code VLM_POD_ADDRESS}, else what the pod's own host name resolves to, else the machine's.
     *
     * @param podAddress value of {@code VLM_POD_ADDRESS}
     * @param hostName value of {@code HOSTNAME}
     */
    static InetAddress ownAddress(Optional<String> podAddress, Optional<String> hostName) {
        try {
            if (podAddress.isPresent()) {
                return InetAddress.getByName(podAddress.get());
            }
            if (hostName.isPresent()) {
                return InetAddress.getByName(hostName.get());
            }
        } catch (UnknownHostException e) {
            if (podAddress.isPresent()) {
                throw TrainerException.configuration("VLM_POD_ADDRESS=" + podAddress.get() + " is no address");
            }
        }
        try {
            return InetAddress.getLocalHost();
        } catch (UnknownHostException e) {
            throw TrainerException.configuration(
                    "this machine's host name does not resolve; set VLM_POD_ADDRESS to the address to listen at");
        }
    }
}
