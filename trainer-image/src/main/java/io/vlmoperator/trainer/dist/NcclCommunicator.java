package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.nccl.ncclComm;

/**
 * Collectives between GPUs by NCCL. Buffers lie in device memory and their operations run on a stream of their own, beside libtorch's:
 * an operation waits for what libtorch was asked before, and after {@link Pending#await} what libtorch is asked next waits for it. The host waits
 * for neither. Small messages of the host go over the TCP ring, which also is how the ranks find and know each other, and how rank 0 hands out
 * NCCL's id.
 *
 * <p>A kernel of NCCL waits for its peers for ever. So a thread watches: when NCCL reports an error, or an operation has not ended within the
 * limit, it aborts the communicator, which ends the kernels and lets the host go on, to the next operation, which throws. Nothing is saved without
 * one. The limit counts from the call, and so includes the arithmetic that the operation waits for.
 *
 * <p>NCCL compares neither kinds nor sizes: ranks that do different things meet the limit.
 */
public final class NcclCommunicator implements Communicator {
    private static final Duration LOOK = Duration.ofMillis(5);
    private static final long CLOSE_MILLIS = 5000;

    private final Communicator control;
    private final NcclLibrary library;
    private final ncclComm comm;
    private final CUstream_st stream;
    private final Duration usualLimit;
    private volatile Duration limit;
    private final Thread watcher;
    private final Deque<Started> underWay = new ArrayDeque<>();
    private TrainerException failure;
    private boolean closed;
    private long bytes;
    private long nanos;

    private NcclCommunicator(
            Communicator control, NcclLibrary library, ncclComm comm, CUstream_st stream, Duration limit) {
        this.control = control;
        this.library = library;
        this.comm = comm;
        this.stream = stream;
        this.usualLimit = limit;
        this.limit = limit;
        watcher = Thread.ofPlatform().daemon().name("nccl").start(this::watch);
    }

    /**
     * Builds the communicator of all ranks of {@code control}, each of which has called this.
     *
     * @param control for messages of the host; closed with this, also when this fails
     * @param connectLimit for all ranks to have joined
     * @param operationLimit from an operation's call to its end
     * @throws TrainerException InvalidConfiguration when NCCL can't be loaded on some rank, CollectiveTimeout or PeerLost when the ranks do
     *     not come together
     */
    public static NcclCommunicator over(
            Communicator control, Duration connectLimit, Duration operationLimit, Consumer<String> log) {
        boolean done = false;
        try {
            NcclLibrary library = openOnAll(control);
            byte[] id = control.allGather(control.rank() == 0 ? library.newId() : new byte[0])[0];
            if (id.length != NcclLibrary.ID_BYTES) {
                throw new TrainerException(
                        ExitCode.InternalError, "rank 0 sent an id of " + id.length + " bytes for NCCL");
            }
            ncclComm comm = library.begin(id, control.rank(), control.world());
            join(library, comm, control, connectLimit);
            log.accept("NCCL %s connects %d ranks".formatted(NcclLibrary.text(library.version()), control.world()));
            NcclCommunicator made = new NcclCommunicator(control, library, comm, library.newStream(), operationLimit);
            done = true;
            return made;
        } finally {
            if (!done) {
                control.close();
            }
        }
    }

    /** All ranks hear of one that can't, so that none waits for it. */
    static NcclLibrary openOnAll(Communicator control) {
        TrainerException own = null;
        NcclLibrary library = null;
        try {
            library = NcclLibrary.open();
        } catch (TrainerException e) {
            own = e;
        }
        byte[][] all = control.allGather(new byte[] {(byte) (own == null ? 1 : 0)});
        if (own != null) {
            throw own;
        }
        for (int rank = 0; rank < all.length; rank++) {
            if (all[rank].length != 1 || all[rank][0] != 1) {
                throw TrainerException.configuration("rank " + rank + " can't load NCCL; its own log says why");
            }
        }
        return library;
    }

    private static void join(NcclLibrary library, ncclComm comm, Communicator control, Duration connectLimit) {
        long deadline = System.nanoTime() + connectLimit.toNanos();
        while (true) {
            switch (library.state(comm)) {
                case NcclLibrary.State.Ready ignored -> {
                    return;
                }
                case NcclLibrary.State.Failed(String why) -> {
                    library.abort(comm);
                    throw new TrainerException(
                            ExitCode.PeerLost, "rank " + control.rank() + " could not join NCCL: " + why);
                }
                case NcclLibrary.State.Busy ignored -> {
                    if (System.nanoTime() - deadline > 0) {
                        library.abort(comm);
                        throw new TrainerException(
                                ExitCode.CollectiveTimeout,
                                "rank " + control.rank() + " could not join NCCL within " + connectLimit.toSeconds()
                                        + " s; NCCL_DEBUG=INFO shows which way it tries");
                    }
                    pause();
                }
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(LOOK);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for the other workers", e);
        }
    }

    @Override
    public int rank() {
        return control.rank();
    }

    @Override
    public int world() {
        return control.world();
    }

    @Override
    public Pending allReduceSum(Buffer floats) {
        return start("all-reduce", 2 * travels(floats), floats, () -> library.allReduceSum(floats, comm, stream));
    }

    @Override
    public Pending reduceScatterSum(Buffer floats) {
        NcclParts parts = NcclParts.of(floats, rank(), world());
        return start("reduce-scatter", travels(floats), floats, () -> {
            if (parts.equal().count() > 0) {
                library.reduceScatterSum(parts.equal(), parts.own(), comm, stream);
            }
            if (parts.rest().count() > 0) {
                library.allReduceSum(parts.rest(), comm, stream);
            }
        });
    }

    @Override
    public Pending allGather(Buffer elements) {
        NcclParts parts = NcclParts.of(elements, rank(), world());
        return start("all-gather", travels(elements), elements, () -> {
            if (parts.equal().count() > 0) {
                library.allGather(parts.own(), parts.equal(), comm, stream);
            }
            if (parts.rest().count() > 0) {
                library.broadcast(parts.rest(), world() - 1, comm, stream);
            }
        });
    }

    /** What a rank sends at least. */
    private long travels(Buffer buffer) {
        return buffer.memory().byteSize() / world() * (world() - 1);
    }

    @Override
    public void broadcast(MemorySegment host) {
        requireSound();
        control.broadcast(host);
    }

    @Override
    public byte[][] allGather(byte[] message) {
        requireSound();
        return control.allGather(message);
    }

    @Override
    public void patience(int factor) {
        limit = usualLimit.multipliedBy(factor);
        control.patience(factor);
    }

    @Override
    public void asked() {
        control.asked();
    }

    @Override
    public synchronized Traffic traffic() {
        return new Traffic(bytes, nanos);
    }

    private synchronized void requireSound() {
        if (failure != null) {
            throw new TrainerException(failure.code(), failure.getMessage(), failure);
        }
        if (closed) {
            throw new IllegalStateException("the communicator is closed");
        }
    }

    /** An operation that has been handed to the stream. */
    private static final class Started {
        private final String what;
        private final long number;
        private final Duration limit;
        private final long deadline;
        private final long bytes;
        private final CUevent_st begin;
        private final CUevent_st end;
        private boolean ended;

        Started(String what, long number, Duration limit, long bytes, CUevent_st begin, CUevent_st end) {
            this.what = what;
            this.number = number;
            this.limit = limit;
            this.deadline = System.nanoTime() + limit.toNanos();
            this.bytes = bytes;
            this.begin = begin;
            this.end = end;
        }
    }

    private long number;

    private synchronized Pending start(String what, long sent, Buffer buffer, Runnable calls) {
        requireSound();
        control.asked();
        number++;
        if (buffer.count() == 0) {
            return Pending.DONE;
        }
        CUevent_st begin = library.newEvent();
        CUevent_st end = library.newEvent();
        library.record(begin, null);
        library.waitFor(begin, stream);
        library.record(begin, stream); // from here on it counts as work of this operation
        library.groupStart();
        calls.run();
        library.groupEnd();
        takenUp(what);
        library.record(end, stream);
        Started started = new Started(what, number, limit, sent, begin, end);
        underWay.add(started);
        notifyAll();
        return () -> await(started);
    }

    /** Without blocking, NCCL may still be connecting when a call returns; only then are its kernels on the stream. */
    private void takenUp(String what) {
        long deadline = System.nanoTime() + limit.toNanos();
        while (true) {
            switch (library.state(comm)) {
                case NcclLibrary.State.Ready ignored -> {
                    return;
                }
                case NcclLibrary.State.Failed(String why) -> throw fail(ExitCode.PeerLost, what + ": " + why);
                case NcclLibrary.State.Busy ignored -> {
                    if (System.nanoTime() - deadline > 0) {
                        throw fail(
                                ExitCode.CollectiveTimeout, what + " was not begun within " + limit.toSeconds() + " s");
                    }
                    pause();
                }
            }
        }
    }

    private synchronized void await(Started started) {
        requireSound();
        if (!started.ended) {
            library.waitFor(started.end, null);
        }
    }

    private TrainerException fail(ExitCode code, String what) {
        if (failure == null) {
            failure = new TrainerException(code, "rank " + rank() + ", NCCL operation " + number + ", " + what);
            library.abort(comm);
        }
        return failure;
    }

    /** Notices what has ended, what is late and what NCCL complains of. */
    private void watch() {
        while (true) {
            synchronized (this) {
                try {
                    while (!closed && underWay.isEmpty()) {
                        wait();
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
                if (closed || failure != null) {
                    return;
                }
                look();
            }
            try {
                Thread.sleep(LOOK);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private void look() {
        try {
            while (!underWay.isEmpty() && library.passed(underWay.getFirst().end)) {
                Started ended = underWay.removeFirst();
                ended.ended = true;
                bytes += ended.bytes;
                nanos += library.nanosBetween(ended.begin, ended.end);
                library.destroy(ended.begin);
                library.destroy(ended.end);
            }
        } catch (TrainerException e) {
            fail(e.code(), e.getMessage());
            return;
        }
        if (library.state(comm) instanceof NcclLibrary.State.Failed(String why)) {
            fail(ExitCode.PeerLost, why);
        } else if (!underWay.isEmpty() && System.nanoTime() - underWay.getFirst().deadline > 0) {
            Started late = underWay.getFirst();
            fail(
                    ExitCode.CollectiveTimeout,
                    late.what + " number " + late.number + " did not end within " + late.limit.toSeconds() + " s");
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            notifyAll();
            if (failure == null) {
                // What is under way is given up: whoever needed it has awaited it.
                library.abort(comm);
            }
        }
        try {
            watcher.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        library.destroy(stream);
        control.close();
    }
}
