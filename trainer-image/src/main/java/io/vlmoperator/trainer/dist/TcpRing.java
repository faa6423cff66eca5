package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Optional;

/**
 * Collectives over TCP for workers without GPUs: a ring, where each rank sends to the next and receives from the one before. A sum is a
 * reduce-scatter and an all-gather of {@code world} equal parts, so each element is added up in one order and copied: all ranks get the
 * same bits. Parts move in slices of {@value #SLICE_BYTES} bytes, the only buffer there is.
 *
 * <p>Every operation begins with an exchange of its kind, number and size between neighbours: ranks that do different things find out
 * instead of adding apples to pears.
 */
public final class TcpRing implements Communicator {
    private static final int SLICE_BYTES = 1 << 18;
    private static final int HEADER_BYTES = 24;

    private enum Operation {
        AllReduce,
        Broadcast,
        AllGather
    }

    private final Membership membership;
    private final Wire wire;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment slice = arena.allocate(SLICE_BYTES, 64);
    private final ByteBuffer headerOut = ByteBuffer.allocateDirect(HEADER_BYTES).order(ByteOrder.BIG_ENDIAN);
    private final ByteBuffer headerIn = ByteBuffer.allocateDirect(HEADER_BYTES).order(ByteOrder.BIG_ENDIAN);
    private long sequence;
    private boolean closed;

    private TcpRing(Membership membership, Wire wire) {
        this.membership = membership;
        this.wire = wire;
    }

    /**
     * Finds the other ranks and connects; waits at most {@link Membership#connectLimit()}.
     *
     * @param podAddress value of {@code VLM_POD_ADDRESS}, the address to listen at
     * @param hostName value of {@code HOSTNAME}, used when there is no such address
     */
    public static TcpRing connect(Membership membership, Optional<String> podAddress, Optional<String> hostName) {
        Wire wire = new Rendezvous(membership, Rendezvous.ownAddress(podAddress, hostName)).connect();
        return new TcpRing(membership, wire);
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
    public void allReduceSum(MemorySegment floats) {
        long count = floats.byteSize() / Float.BYTES;
        begin(Operation.AllReduce, floats.byteSize());
        int world = world();
        for (int hop = 0; hop < world - 1; hop++) {
            step(part(floats, count, rank() - hop), part(floats, count, rank() - hop - 1), true);
        }
        for (int hop = 0; hop < world - 1; hop++) {
            step(part(floats, count, rank() + 1 - hop), part(floats, count, rank() - hop), false);
        }
    }

    @Override
    public void broadcast(MemorySegment bytes) {
        begin(Operation.Broadcast, bytes.byteSize());
        boolean receives = rank() != 0;
        boolean sends = rank() != world() - 1;
        for (long at = 0; at < bytes.byteSize(); at += SLICE_BYTES) {
            MemorySegment piece = bytes.asSlice(at, Math.min(SLICE_BYTES, bytes.byteSize() - at));
            if (receives) {
                exchange(MemorySegment.NULL, piece, "broadcast");
            }
            if (sends) {
                exchange(piece, MemorySegment.NULL, "broadcast");
            }
        }
    }

    @Override
    public byte[][] allGather(byte[] message) {
        if (message.length > MAX_MESSAGE_BYTES) {
            throw new IllegalArgumentException(
                    "a message of " + message.length + " bytes; the limit is " + MAX_MESSAGE_BYTES);
        }
        begin(Operation.AllGather, 0);
        byte[][] all = new byte[world()][];
        all[rank()] = message;
        for (int hop = 0; hop < world() - 1; hop++) {
            byte[] out = all[Math.floorMod(rank() - hop, world())];
            ByteBuffer length = ByteBuffer.allocate(Integer.BYTES);
            wire.exchange(ByteBuffer.allocate(Integer.BYTES).putInt(0, out.length), length, limit(), "all-gather");
            int incoming = length.getInt(0);
            if (incoming < 0 || incoming > MAX_MESSAGE_BYTES) {
                throw disagree("a message of " + incoming + " bytes arrived");
            }
            byte[] in = new byte[incoming];
            wire.exchange(ByteBuffer.wrap(out), ByteBuffer.wrap(in), limit(), "all-gather");
            all[Math.floorMod(rank() - hop - 1, world())] = in;
        }
        return all;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            wire.close();
            arena.close();
        }
    }

    private Duration limit() {
        return membership.operationLimit();
    }

    private void begin(Operation operation, long bytes) {
        headerOut.clear();
        headerOut
                .putLong(operation.ordinal())
                .putLong(sequence++)
                .putLong(bytes)
                .flip();
        headerIn.clear();
        wire.exchange(headerOut, headerIn, limit(), operation + " " + sequence);
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

    /** Part {@code index} (taken modulo the world) of the floats: equal parts, the first ones longer by at most one element. */
    private MemorySegment part(MemorySegment floats, long count, int index) {
        int i = Math.floorMod(index, world());
        long from = count * i / world();
        long to = count * (i + 1) / world();
        return floats.asSlice(from * Float.BYTES, (to - from) * Float.BYTES);
    }

    /** Sends one part and receives another, slice by slice. */
    private void step(MemorySegment send, MemorySegment receive, boolean add) {
        long bytes = Math.max(send.byteSize(), receive.byteSize());
        for (long at = 0; at < bytes; at += SLICE_BYTES) {
            MemorySegment out = slice(send, at);
            MemorySegment in = slice(receive, at);
            MemorySegment target = add ? slice.asSlice(0, in.byteSize()) : in;
            exchange(out, target, "all-reduce");
            if (add) {
                addInto(in, target);
            }
        }
    }

    private static MemorySegment slice(MemorySegment whole, long at) {
        long from = Math.min(at, whole.byteSize());
        return whole.asSlice(from, Math.min(SLICE_BYTES, whole.byteSize() - from));
    }

    private static void addInto(MemorySegment sum, MemorySegment addend) {
        long count = sum.byteSize() / Float.BYTES;
        for (long i = 0; i < count; i++) {
            sum.set(
                    ValueLayout.JAVA_FLOAT_UNALIGNED,
                    i * Float.BYTES,
                    sum.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * Float.BYTES)
                            + addend.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * Float.BYTES));
        }
    }

    private void exchange(MemorySegment out, MemorySegment in, String what) {
        wire.exchange(buffer(out), buffer(in), limit(), what);
    }

    private static ByteBuffer buffer(MemorySegment segment) {
        return segment.byteSize() == 0 ? ByteBuffer.allocate(0) : segment.asByteBuffer();
    }
}
