package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * Collectives over TCP for workers without GPUs: a ring, where each rank sends to the next and receives from the one before. A sum is a
 * reduce-scatter and an all-gather of the parts of {@link Part#of}, so each element is added up in one order and copied: all ranks get the
 * same bits. Parts move in slices of {@value #SLICE_BYTES} bytes, the only buffer there is. All operations run on one thread of the ring's own, in the
 * order in which they were asked for.
 *
 * <p>Every operation begins with an exchange of its kind, number and size between neighbours: ranks that do different things find out
 * instead of adding apples to pears.
 */
public final class TcpRing implements Communicator {
    static final int SLICE_BYTES = 1 << 18;
    private static final int HEADER_BYTES = 24;

    /** A message's length and its first bytes: those of a step fit, so that they take one exchange at each stop of the ring. */
    private static final int FRAME_BYTES = 64;

    private enum Operation {
        AllReduce,
        ReduceScatter,
        AllGather,
        Broadcast,
        Messages
    }

    private final Membership membership;
    private final Wire wire;
    private final Whereabouts whereabouts;
    private final Optional<RollCall> rollCall;
    private final WorkQueue queue;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment slice = arena.allocate(SLICE_BYTES, 64);
    private final FloatSum sum = new FloatSum();
    private final ByteBuffer headerOut = ByteBuffer.allocateDirect(HEADER_BYTES).order(ByteOrder.BIG_ENDIAN);
    private final ByteBuffer headerIn = ByteBuffer.allocateDirect(HEADER_BYTES).order(ByteOrder.BIG_ENDIAN);
    private final AtomicLong sentBytes = new AtomicLong();
    private final AtomicLong busyNanos = new AtomicLong();
    private final AtomicBoolean closed = new AtomicBoolean();
    // Used by the queue's thread only.
    private long sequence;
    private volatile Duration limit;

    /** Of connections that are there already. */
    TcpRing(Membership membership, Wire wire, Whereabouts whereabouts, Optional<RollCall> rollCall) {
        this.membership = membership;
        this.wire = wire;
        this.whereabouts = whereabouts;
        this.rollCall = rollCall;
        this.limit = membership.operationLimit();
        this.queue = new WorkQueue("ring-" + membership.rank());
    }

    /**
     * Finds the other ranks and connects; waits at most {@link Membership#connectLimit()}.
     *
     * @param podAddress value of {@code VLM_POD_ADDRESS}, the address to listen at
     * @param hostName value of {@code HOSTNAME}, used when there is no such address
     */
    public static TcpRing connect(Membership membership, Optional<String> podAddress, Optional<String> hostName) {
        return connect(membership, podAddress, hostName, new Whereabouts());
    }

    /**
     * As {@link #connect(Membership, Optional, Optional)}.
     *
     * @param whereabouts of this rank, told to the others while the ring is open, and told of them
     */
    public static TcpRing connect(
            Membership membership, Optional<String> podAddress, Optional<String> hostName, Whereabouts whereabouts) {
        Rendezvous.Joined joined = new Rendezvous(membership, Rendezvous.ownAddress(podAddress, hostName)).connect();
        try {
            Optional<RollCall> rollCall =
                    RollCall.start(whereabouts, membership.rank(), membership.world(), joined.peers());
            return new TcpRing(membership, joined.wire(), whereabouts, rollCall);
        } catch (IOException e) {
            joined.wire().close();
            throw new TrainerException(ExitCode.InternalError, "no selector for the other ranks: " + e.getMessage(), e);
        }
    }

    @Override
    public int rank() {
        return membership.rank();
    }

    @Override
    public int world() {
        return membership.world();
    }

    @Override
    public Pending allReduceSum(Buffer floats) {
        requireFloats(floats);
        return start(Operation.AllReduce, floats, () -> {
            reduceScatter(floats);
            gather(floats);
        });
    }

    @Override
    public Pending reduceScatterSum(Buffer floats) {
        requireFloats(floats);
        return start(Operation.ReduceScatter, floats, () -> reduceScatter(floats));
    }

    @Override
    public Pending allGather(Buffer parts) {
        return start(Operation.AllGather, parts, () -> gather(parts));
    }

    private static void requireFloats(Buffer buffer) {
        if (buffer.type() != DType.FLOAT32) {
            throw new IllegalArgumentException("sums are formed in FLOAT32, not in " + buffer.type());
        }
    }

    private Pending start(Operation operation, Buffer buffer, Runnable work) {
        whereabouts.asked();
        return queue.submit(() -> {
            long began = System.nanoTime();
            begin(operation, buffer.memory().byteSize());
            work.run();
            busyNanos.addAndGet(System.nanoTime() - began);
        });
    }

    /** Part r ends up at rank r: it starts its way one rank behind it and is added to at every stop. */
    private void reduceScatter(Buffer floats) {
        int world = world();
        for (int hop = 0; hop < world - 1; hop++) {
            step(part(floats, rank() - hop - 1), part(floats, rank() - hop - 2), true);
        }
    }

    private void gather(Buffer parts) {
        int world = world();
        for (int hop = 0; hop < world - 1; hop++) {
            step(part(parts, rank() - hop), part(parts, rank() - hop - 1), false);
        }
    }

    private MemorySegment part(Buffer buffer, int rank) {
        return buffer.part(Math.floorMod(rank, world()), world()).memory();
    }

    @Override
    public void broadcast(MemorySegment bytes) {
        await(() -> {
            begin(Operation.Broadcast, bytes.byteSize());
            boolean receives = rank() != 0;
            boolean sends = rank() != world() - 1;
            for (long at = 0; at < bytes.byteSize(); at += SLICE_BYTES) {
                MemorySegment piece = bytes.asSlice(at, Math.min(SLICE_BYTES, bytes.byteSize() - at));
                if (receives) {
                    exchange(MemorySegment.NULL, piece, Operation.Broadcast);
                }
                if (sends) {
                    exchange(piece, MemorySegment.NULL, Operation.Broadcast);
                }
            }
            return true;
        });
    }

    @Override
    public byte[][] allGather(byte[] message) {
        if (message.length > MAX_MESSAGE_BYTES) {
            throw new IllegalArgumentException(
                    "a message of " + message.length + " bytes; the limit is " + MAX_MESSAGE_BYTES);
        }
        return await(() -> messages(message));
    }

    private byte[][] messages(byte[] message) {
        begin(Operation.Messages, 0);
        byte[][] all = new byte[world()][];
        all[rank()] = message;
        for (int hop = 0; hop < world() - 1; hop++) {
            byte[] out = all[Math.floorMod(rank() - hop, world())];
            ByteBuffer sent = ByteBuffer.allocate(FRAME_BYTES);
            int first = Math.min(out.length, FRAME_BYTES - Integer.BYTES);
            sent.putInt(out.length).put(out, 0, first).clear();
            ByteBuffer came = ByteBuffer.allocate(FRAME_BYTES);
            wire.exchange(sent, came, limit, name(Operation.Messages));
            int incoming = came.getInt(0);
            if (incoming < 0 || incoming > MAX_MESSAGE_BYTES) {
                throw disagree("a message of " + incoming + " bytes arrived");
            }
            byte[] in = new byte[incoming];
            int begun = Math.min(incoming, FRAME_BYTES - Integer.BYTES);
            came.get(Integer.BYTES, in, 0, begun);
            if (first < out.length || begun < incoming) {
                wire.exchange(
                        ByteBuffer.wrap(out, first, out.length - first),
                        ByteBuffer.wrap(in, begun, incoming - begun),
                        limit,
                        name(Operation.Messages));
            }
            all[Math.floorMod(rank() - hop - 1, world())] = in;
        }
        return all;
    }

    private <T> T await(Supplier<T> work) {
        whereabouts.asked();
        Object[] result = new Object[1];
        queue.submit(() -> result[0] = work.get()).await();
        @SuppressWarnings("unchecked")
        T value = (T) result[0];
        return value;
    }

    @Override
    public Traffic traffic() {
        return new Traffic(sentBytes.get(), busyNanos.get());
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            // The wire first: an operation that waits for a peer ends by it.
            wire.close();
            rollCall.ifPresent(RollCall::close);
            if (queue.close()) {
                arena.close();
            }
        }
    }

    @Override
    public void patience(int factor) {
        limit = membership.operationLimit().multipliedBy(factor);
    }

    @Override
    public void asked() {
        whereabouts.asked();
    }

    private String name(Operation operation) {
        return operation + " " + sequence;
    }

    private void begin(Operation operation, long bytes) {
        headerOut.clear();
        headerOut
                .putLong(operation.ordinal())
                .putLong(sequence++)
                .putLong(bytes)
                .flip();
        headerIn.clear();
        wire.exchange(headerOut, headerIn, limit, name(operation));
        headerIn.flip();
        headerOut.rewind();
        if (!headerIn.equals(headerOut)) {
            throw disagree("this rank does " + operation + " number " + sequence + " of " + bytes
                    + " bytes, its neighbour operation " + headerIn.getLong(0) + " number " + (headerIn.getLong(8) + 1)
                    + " of " + headerIn.getLong(16) + " bytes");
        }
    }

    private TrainerException disagree(String what) {
        return new TrainerException(
                ExitCode.InternalError, "rank " + rank() + " and its neighbour do not agree: " + what);
    }

    /** Sends one part and receives another, slice by slice. */
    private void step(MemorySegment send, MemorySegment receive, boolean add) {
        long bytes = Math.max(send.byteSize(), receive.byteSize());
        for (long at = 0; at < bytes; at += SLICE_BYTES) {
            MemorySegment out = slice(send, at);
            MemorySegment in = slice(receive, at);
            MemorySegment target = add ? slice.asSlice(0, in.byteSize()) : in;
            exchange(out, target, add ? Operation.ReduceScatter : Operation.AllGather);
            if (add) {
                sum.addInto(in, target);
            }
        }
        sentBytes.addAndGet(send.byteSize());
    }

    private static MemorySegment slice(MemorySegment whole, long at) {
        long from = Math.min(at, whole.byteSize());
        return whole.asSlice(from, Math.min(SLICE_BYTES, whole.byteSize() - from));
    }

    private void exchange(MemorySegment out, MemorySegment in, Operation operation) {
        wire.exchange(buffer(out), buffer(in), limit, name(operation));
    }

    private static ByteBuffer buffer(MemorySegment segment) {
        return segment.byteSize() == 0 ? ByteBuffer.allocate(0) : segment.asByteBuffer();
    }
}
