package io.vlmoperator.trainer.dist;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/**
 * Tells the others a few times a second where this rank is, over the connections on which they met: each rank tells rank 0, rank 0 tells each of them
 * what it knows of all. It runs on a thread of its own, so it goes on while collectives are stuck, and says nothing when the process stands still.
 *
 * <p>It is for reports only: whatever goes wrong here is noted in {@link Whereabouts} and ends nothing. A peer that does not read is not
 * written to; it gets the next table when it has read the last one.
 *
 * <p>Wire format, big-endian: a frame is its length (4 bytes) and entries of {@code rank (4), gone (1), step (8), collectives (8), milliseconds
 * since it began (8), milliseconds since it was heard (8), length of the text (1), text in UTF-8}.
 */
final class RollCall implements AutoCloseable {
    private static final int ENTRY_BYTES = 4 + 1 + 8 + 8 + 8 + 8 + 1;
    private static final int MAX_ENTRY_BYTES = ENTRY_BYTES + Whereabouts.MAX_TEXT_BYTES;
    private static final long TICK_MILLIS = 250;
    /** Of rank 0's time: at 1,024 ranks it sends 1,024 tables of 1,024 entries in a minute. */
    private static final long TABLE_MILLIS_PER_RANK = 62;

    private static final long SILENCE_MILLIS = 5_000;
    private static final long CLOSE_MILLIS = 5_000;

    private final Whereabouts whereabouts;
    private final boolean hub;
    private final int world;
    private final long periodNanos;
    private final Selector selector;
    private final Thread thread;
    private volatile boolean closed;

    /** The other end of one connection. */
    private static final class Peer {
        private final int rank;
        private final ByteBuffer in;
        private ByteBuffer out = ByteBuffer.allocate(0);

        private Peer(int rank, int maxFrame) {
            this.rank = rank;
            this.in = ByteBuffer.allocate(Integer.BYTES + maxFrame);
        }
    }

    private RollCall(Whereabouts whereabouts, int rank, int world, SocketChannel[] peers) throws IOException {
        this.whereabouts = whereabouts;
        this.hub = rank == 0;
        this.world = world;
        long table = Math.max(TICK_MILLIS, world * TABLE_MILLIS_PER_RANK);
        this.periodNanos = 1_000_000 * (hub ? table : Math.max(TICK_MILLIS, world));
        whereabouts.joined(rank, world, 1_000_000 * (SILENCE_MILLIS + 3 * table));
        selector = Selector.open();
        try {
            for (int r = 0; r < peers.length; r++) {
                if (peers[r] != null) {
                    peers[r].configureBlocking(false);
                    // Others hear from rank 0 of everybody, rank 0 from each of itself.
                    Peer peer = new Peer(r, hub ? MAX_ENTRY_BYTES : world * MAX_ENTRY_BYTES);
                    peers[r].register(selector, SelectionKey.OP_READ, peer);
                }
            }
        } catch (IOException | RuntimeException e) {
            selector.close();
            throw e;
        }
        thread = Thread.ofPlatform().daemon().name("roll-call-" + rank).start(this::run);
    }

    /**
     * Starts to tell and to listen.
     *
     * @param peers connections by rank, null where there is none; closed with this, also when this fails
     */
    static Optional<RollCall> start(Whereabouts whereabouts, int rank, int world, SocketChannel[] peers)
            throws IOException {
        if (world == 1) {
            return Optional.empty();
        }
        try {
            return Optional.of(new RollCall(whereabouts, rank, world, peers));
        } catch (IOException | RuntimeException e) {
            close(peers);
            throw e;
        }
    }

    /** Closes what is there. */
    static void close(SocketChannel[] peers) {
        for (SocketChannel peer : peers) {
            if (peer != null) {
                try {
                    peer.close();
                } catch (IOException e) {
                    // It is gone either way.
                    continue;
                }
            }
        }
    }

    private void run() {
        try {
            long next = System.nanoTime();
            while (!closed) {
                long wait = next - System.nanoTime();
                if (wait <= 0) {
                    tell();
                    next = System.nanoTime() + periodNanos;
                    continue;
                }
                selector.select(wait / 1_000_000 + 1);
                for (SelectionKey key : selector.selectedKeys()) {
                    serve(key);
                }
                selector.selectedKeys().clear();
            }
        } catch (IOException | RuntimeException e) {
            // Reports will say that nothing was heard since.
            return;
        } finally {
            end();
        }
    }

    private void tell() {
        ByteBuffer frame = frame();
        for (SelectionKey key : selector.keys()) {
            Peer peer = (Peer) key.attachment();
            if (key.isValid() && !peer.out.hasRemaining()) {
                peer.out = frame.duplicate();
                try {
                    write(key, peer);
                } catch (IOException e) {
                    lose(key, peer);
                }
            }
        }
    }

    private ByteBuffer frame() {
        List<Whereabouts.Place> all = whereabouts.all();
        long now = System.nanoTime();
        ByteBuffer frame = ByteBuffer.allocate(Integer.BYTES + (hub ? world : 1) * MAX_ENTRY_BYTES);
        frame.putInt(0);
        for (int r = 0; r < all.size(); r++) {
            if (hub || r == whereabouts.rank()) {
                Whereabouts.Place place = all.get(r);
                byte[] text = place.doing().getBytes(StandardCharsets.UTF_8);
                frame.putInt(r)
                        .put((byte) (place.gone() ? 1 : 0))
                        .putLong(place.step())
                        .putLong(place.collectives())
                        .putLong((now - place.since()) / 1_000_000)
                        .putLong((now - place.heard()) / 1_000_000)
                        .put((byte) text.length)
                        .put(text);
            }
        }
        return frame.putInt(0, frame.position() - Integer.BYTES).flip();
    }

    private static void write(SelectionKey key, Peer peer) throws IOException {
        ((SocketChannel) key.channel()).write(peer.out);
        key.interestOps(SelectionKey.OP_READ | (peer.out.hasRemaining() ? SelectionKey.OP_WRITE : 0));
    }

    private void serve(SelectionKey key) {
        Peer peer = (Peer) key.attachment();
        try {
            if (key.isValid() && key.isWritable()) {
                write(key, peer);
            }
            if (key.isValid() && key.isReadable()) {
                if (((SocketChannel) key.channel()).read(peer.in) < 0) {
                    lose(key, peer);
                    return;
                }
                read(peer);
            }
        } catch (IOException | BufferUnderflowException | IllegalArgumentException e) {
            lose(key, peer);
        }
    }

    /** Takes all whole frames. */
    private void read(Peer peer) {
        ByteBuffer in = peer.in.flip();
        while (in.remaining() >= Integer.BYTES) {
            int length = in.getInt(in.position());
            if (length < 0 || length > in.capacity() - Integer.BYTES) {
                throw new IllegalArgumentException("a frame of " + length + " bytes");
            }
            if (in.remaining() < Integer.BYTES + length) {
                break;
            }
            take(peer, in.slice(in.position() + Integer.BYTES, length));
            in.position(in.position() + Integer.BYTES + length);
        }
        in.compact();
    }

    private void take(Peer peer, ByteBuffer entries) {
        long now = System.nanoTime();
        while (entries.hasRemaining()) {
            int rank = entries.getInt();
            boolean gone = entries.get() != 0;
            long step = entries.getLong();
            long collectives = entries.getLong();
            long since = nanosBefore(entries.getLong());
            long heard = nanosBefore(entries.getLong());
            byte[] text = new byte[Byte.toUnsignedInt(entries.get())];
            entries.get(text);
            if (hub && rank != peer.rank) {
                throw new IllegalArgumentException("rank " + peer.rank + " speaks for rank " + rank);
            }
            whereabouts.heard(
                    rank,
                    new Whereabouts.Place(
                            step,
                            collectives,
                            new String(text, StandardCharsets.UTF_8),
                            now - since,
                            now - heard,
                            gone));
        }
    }

    private static long nanosBefore(long millis) {
        return Math.clamp(millis, 0, Long.MAX_VALUE / 4_000_000) * 1_000_000;
    }

    private void lose(SelectionKey key, Peer peer) {
        key.cancel();
        try {
            key.channel().close();
        } catch (IOException e) {
            // It is gone either way.
        }
        whereabouts.gone(peer.rank);
    }

    private void end() {
        for (SelectionKey key : selector.keys()) {
            try {
                key.channel().close();
            } catch (IOException e) {
                // It is gone either way.
            }
        }
        try {
            selector.close();
        } catch (IOException e) {
            return;
        }
    }

    @Override
    public void close() {
        closed = true;
        selector.wakeup();
        try {
            thread.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
