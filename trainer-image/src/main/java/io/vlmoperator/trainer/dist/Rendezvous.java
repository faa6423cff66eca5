package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
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

/**
 * How the ranks find each other. Rank r listens at the rendezvous port + r (ranks may share a host); all tell rank 0 where, rank 0 answers with the whole table, then
 * each rank connects to the next one. Every connection begins with {@code magic, job, attempt, world, rank}; whoever does not match is
 * answered with the reason and closed, and the wait goes on.
 */
final class Rendezvous {
    private static final int MAGIC = 0x564c4d31;
    private static final int SOCKET_LIMIT_MILLIS = 10_000;
    private static final int RETRY_MILLIS = 200;

    private final Membership membership;
    private final InetAddress own;
    private final long deadline;

    Rendezvous(Membership membership, InetAddress own) {
        this.membership = membership;
        this.own = own;
        this.deadline = System.nanoTime() + membership.connectLimit().toNanos();
    }

    /** Connects the ring; the caller owns the wire. */
    Wire connect() {
        int world = membership.world();
        int rank = membership.rank();
        try (ServerSocketChannel listener = listen(membership.port() + rank)) {
            InetSocketAddress me = (InetSocketAddress) listener.getLocalAddress();
            InetSocketAddress[] table = rank == 0 ? gather(listener, me) : announce(me);
            return link(listener, table[(rank + 1) % world]);
        } catch (IOException e) {
            throw new TrainerException(ExitCode.PeerLost, "rank " + rank + " could not join: " + e.getMessage(), e);
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
    private InetSocketAddress[] gather(ServerSocketChannel listener, InetSocketAddress me) throws IOException {
        int world = membership.world();
        InetSocketAddress[] table = new InetSocketAddress[world];
        Socket[] sockets = new Socket[world];
        table[0] = me;
        try {
            for (int known = 1; known < world; ) {
                SocketChannel channel = accept(listener, () -> "ranks " + missing(table) + " have not joined");
                Socket socket = channel.socket();
                try {
                    DataInputStream in = stream(socket);
                    int rank = greeted(in, socket);
                    if (rank < 1 || table[rank] != null) {
                        refuse(socket, "rank " + rank + " is taken");
                        continue;
                    }
                    byte[] address = new byte[in.readUnsignedByte() == 4 ? 4 : 16];
                    in.readFully(address);
                    table[rank] = new InetSocketAddress(InetAddress.getByAddress(address), in.readUnsignedShort());
                    sockets[rank] = socket;
                    known++;
                } catch (IOException | Refused e) {
                    channel.close();
                }
            }
            for (int rank = 1; rank < world; rank++) {
                DataOutputStream out = new DataOutputStream(sockets[rank].getOutputStream());
                out.writeByte(0);
                for (InetSocketAddress entry : table) {
                    writeAddress(out, entry);
                }
                out.flush();
            }
            return table;
        } finally {
            for (Socket socket : sockets) {
                if (socket != null) {
                    socket.close();
                }
            }
        }
    }

    /** All others: tell rank 0 where they listen and read the table. */
    private InetSocketAddress[] announce(InetSocketAddress me) throws IOException {
        IOException last = new UnknownHostException(membership.host());
        while (true) {
            try (Socket socket = open(new InetSocketAddress(membership.host(), membership.port()))) {
                DataOutputStream out = new DataOutputStream(socket.getOutputStream());
                greet(out);
                writeAddress(out, me);
                out.flush();
                socket.setSoTimeout((int) Math.clamp(millisLeft(), 1, Integer.MAX_VALUE));
                DataInputStream in = new DataInputStream(socket.getInputStream());
                if (in.readUnsignedByte() != 0) {
                    // Rank 0 of the attempt before may still be there: the right one comes when it has gone.
                    last = new IOException("refused: " + in.readUTF());
                } else {
                    InetSocketAddress[] table = new InetSocketAddress[membership.world()];
                    for (int i = 0; i < table.length; i++) {
                        byte[] address = new byte[in.readUnsignedByte() == 4 ? 4 : 16];
                        in.readFully(address);
                        table[i] = new InetSocketAddress(InetAddress.getByAddress(address), in.readUnsignedShort());
                    }
                    return table;
                }
            } catch (IOException e) {
                last = e;
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

    /** Connects to the next rank and accepts the one before. The connection is in the backlog before it is accepted, so no rank waits for another here. */
    private Wire link(ServerSocketChannel listener, InetSocketAddress next) throws IOException {
        int before = (membership.rank() + membership.world() - 1) % membership.world();
        SocketChannel out = SocketChannel.open();
        try {
            out.socket().connect(next, SOCKET_LIMIT_MILLIS);
            out.socket().setTcpNoDelay(true);
            DataOutputStream greeting = new DataOutputStream(out.socket().getOutputStream());
            greet(greeting);
            greeting.flush();
            while (true) {
                SocketChannel in = accept(listener, () -> "rank " + before + " has not connected");
                try {
                    if (greeted(stream(in.socket()), in.socket()) == before) {
                        in.socket().setTcpNoDelay(true);
                        return new Wire(
                                out, "rank " + (membership.rank() + 1) % membership.world(), in, "rank " + before);
                    }
                    refuse(in.socket(), "this is not the next rank");
                } catch (IOException | Refused e) {
                    in.close();
                }
            }
        } catch (IOException | RuntimeException e) {
            out.close();
            throw e;
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

    private void greet(DataOutputStream out) throws IOException {
        out.writeInt(MAGIC);
        out.writeUTF(membership.job());
        out.writeInt(membership.attempt());
        out.writeInt(membership.world());
        out.writeInt(membership.rank());
    }

    /** Reads a greeting and returns the peer's rank, or answers why not. */
    private int greeted(DataInputStream in, Socket socket) throws IOException, Refused {
        String reason;
        if (in.readInt() != MAGIC) {
            throw new Refused();
        }
        String job = in.readUTF();
        int attempt = in.readInt();
        int world = in.readInt();
        int rank = in.readInt();
        if (!job.equals(membership.job())) {
            reason = "this is job " + membership.job();
        } else if (attempt != membership.attempt()) {
            reason = "this is attempt " + membership.attempt();
        } else if (world != membership.world() || rank < 0 || rank >= world) {
            reason = "this world has " + membership.world() + " ranks";
        } else {
            return rank;
        }
        refuse(socket, reason);
        throw new Refused();
    }

    private static void refuse(Socket socket, String reason) throws IOException {
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeByte(1);
        out.writeUTF(reason);
        out.flush();
        socket.close();
    }

    private static Socket open(InetSocketAddress address) throws IOException {
        if (address.isUnresolved()) {
            throw new UnknownHostException(address.getHostString() + " is not known (yet)");
        }
        Socket socket = new Socket();
        try {
            socket.connect(address, SOCKET_LIMIT_MILLIS);
            return socket;
        } catch (IOException e) {
            socket.close();
            throw e;
        }
    }

    /** Unbuffered on purpose: what follows the greeting belongs to the wire. */
    private static DataInputStream stream(Socket socket) throws IOException {
        return new DataInputStream(socket.getInputStream());
    }

    private static void writeAddress(DataOutputStream out, InetSocketAddress address) throws IOException {
        byte[] bytes = address.getAddress().getAddress();
        out.writeByte(bytes.length);
        out.write(bytes);
        out.writeShort(address.getPort());
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

    /** The peer is none of ours. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1L;
    }
}
