package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.nio.file.Path;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.nccl;
import org.bytedeco.cuda.nccl.ncclComm;
import org.bytedeco.cuda.nccl.ncclConfig_t;
import org.bytedeco.cuda.nccl.ncclUniqueId;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The calls of NCCL and of CUDA's streams and events that {@link NcclCommunicator} needs, by JavaCPP's bindings. The libraries themselves,
 * {@code libnccl.so.2} and {@code libcudart.so.12}, are those of the machine's or image's CUDA; without them {@link #open} says so in one
 * sentence. Never loaded where there is no GPU.
 */
final class NcclLibrary {
    /** Bytes of the id that the ranks of a communicator share. */
    static final int ID_BYTES = 128;

    private static final String CACHE = "org.bytedeco.javacpp.cachedir";
    private static final int CONFIG_MAGIC = 0xcafebeef;
    private static final int UNSET = Integer.MIN_VALUE; // NCCL_CONFIG_UNDEF_INT
    private static final int NOT_READY = 600; // cudaErrorNotReady
    private static final int MAX_MESSAGE = 300;

    /** Version 2.18: every call used here works without blocking from then on. */
    private static final int OLDEST = 21800;

    static {
        // JavaCPP unpacks its glue as soon as one of its classes is used; the home folder of an image can't be written.
        if (System.getProperty(CACHE) == null) {
            System.setProperty(
                    CACHE,
                    Path.of(System.getProperty("java.io.tmpdir"), "vlm-trainer-javacpp")
                            .toString());
        }
    }

    /** The stream that libtorch computes on. */
    private static final CUstream_st COMPUTE = new NoStream();

    private final int version;

    private NcclLibrary(int version) {
        this.version = version;
    }

    /** @throws TrainerException InvalidConfiguration if NCCL is not there or too old */
    static NcclLibrary open() {
        int[] version = new int[1];
        try {
            check(nccl.ncclGetVersion(version), "its version");
        } catch (LinkageError e) {
            throw TrainerException.configuration(missing(e));
        }
        if (version[0] < OLDEST) {
            throw TrainerException.configuration(
                    "NCCL " + text(version[0]) + " was loaded, but several GPUs need " + text(OLDEST) + " or newer");
        }
        return new NcclLibrary(version[0]);
    }

    /** One line for whatever the class loader, the linker or JavaCPP's loader threw. */
    static String missing(LinkageError e) {
        Throwable deepest = e;
        for (int depth = 0; deepest.getCause() != null && depth < 10; depth++) {
            deepest = deepest.getCause();
        }
        String reason = String.valueOf(deepest.getMessage()).lines().findFirst().orElse("");
        String shortened = reason.length() > MAX_MESSAGE ? reason.substring(0, MAX_MESSAGE) + "..." : reason;
        return "several workers with GPUs need NCCL, but it can't be loaded (" + shortened
                + "); libnccl.so.2 and libcudart.so.12 have to be in LD_LIBRARY_PATH, as in the trainer's CUDA image";
    }

    /** 2.26.2 for 22602. */
    static String text(int version) {
        return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
    }

    int version() {
        return version;
    }

    /** A new id, made by one rank for all. */
    byte[] newId() {
        try (ncclUniqueId id = new ncclUniqueId()) {
            check(nccl.ncclGetUniqueId(id), "a new id");
            byte[] bytes = new byte[ID_BYTES];
            new BytePointer(id).capacity(ID_BYTES).get(bytes);
            return bytes;
        }
    }

    /** Starts to build a communicator; ready when {@link #state} says {@link State#READY}. */
    ncclComm begin(byte[] id, int rank, int world) {
        ncclComm comm = new ncclComm();
        try (ncclUniqueId unique = new ncclUniqueId();
                ncclConfig_t config = new ncclConfig_t()) {
            new BytePointer(unique).capacity(ID_BYTES).put(id);
            // Nothing may block where it could not be aborted. The rest is left to NCCL; fields that an older one lacks
            // are not read.
            config.size(config.sizeof())
                    .magic(CONFIG_MAGIC)
                    .version(nccl.NCCL_VERSION_CODE)
                    .blocking(0)
                    .cgaClusterSize(UNSET)
                    .minCTAs(UNSET)
                    .maxCTAs(UNSET)
                    .netName(null)
                    .splitShare(UNSET)
                    .trafficClass(UNSET)
                    .commName(null)
                    .collnetEnable(UNSET)
                    .CTAPolicy(UNSET)
                    .shrinkShare(UNSET)
                    .nvlsCTAs(UNSET);
            check(nccl.ncclCommInitRankConfig(comm, world, unique, rank, config), "joining");
            return comm;
        }
    }

    /** What NCCL says of a communicator. */
    sealed interface State {
        State READY = new Ready();
        State BUSY = new Busy();

        record Ready() implements State {}

        /** The last call has not been taken up yet. */
        record Busy() implements State {}

        record Failed(String why) implements State {}
    }

    State state(ncclComm comm) {
        int[] code = new int[1];
        int asked = nccl.ncclCommGetAsyncError(comm, code);
        int result = asked != nccl.ncclSuccess ? asked : code[0];
        if (result == nccl.ncclSuccess) {
            return State.READY;
        }
        if (result == nccl.ncclInProgress) {
            return State.BUSY;
        }
        return new State.Failed(message(result) + last(comm));
    }

    private static String last(ncclComm comm) {
        BytePointer text = nccl.ncclGetLastError(comm);
        if (text == null || text.isNull()) {
            return "";
        }
        String line = text.getString().lines().findFirst().orElse("");
        return line.isEmpty() ? "" : ": " + line.substring(0, Math.min(line.length(), MAX_MESSAGE));
    }

    /** Makes whatever runs or waits in this communicator end; it can't be used any more. */
    void abort(ncclComm comm) {
        int ignored = nccl.ncclCommAbort(comm); // nothing better is left to try
    }

    void groupStart() {
        check(nccl.ncclGroupStart(), "a group");
    }

    void groupEnd() {
        check(nccl.ncclGroupEnd(), "a group");
    }

    void allReduceSum(Buffer floats, ncclComm comm, CUstream_st stream) {
        Pointer at = new Address(floats);
        check(nccl.ncclAllReduce(at, at, floats.count(), type(floats), nccl.ncclSum, comm, stream), "all-reduce");
    }

    /** In place: rank's part of {@code equal} elements is {@code own}. */
    void reduceScatterSum(Buffer equal, Buffer own, ncclComm comm, CUstream_st stream) {
        check(
                nccl.ncclReduceScatter(
                        new Address(equal), new Address(own), own.count(), type(own), nccl.ncclSum, comm, stream),
                "reduce-scatter");
    }

    /** In place: {@code own} becomes the rank's part of {@code equal}. */
    void allGather(Buffer own, Buffer equal, ncclComm comm, CUstream_st stream) {
        check(
                nccl.ncclAllGather(new Address(own), new Address(equal), own.count(), type(own), comm, stream),
                "all-gather");
    }

    void broadcast(Buffer elements, int from, ncclComm comm, CUstream_st stream) {
        Pointer at = new Address(elements);
        check(nccl.ncclBroadcast(at, at, elements.count(), type(elements), from, comm, stream), "broadcast");
    }

    private static int type(Buffer buffer) {
        return switch (buffer.type()) {
            case FLOAT32 -> nccl.ncclFloat32;
            case BFLOAT16 -> nccl.ncclBfloat16;
            default ->
                throw new IllegalArgumentException("NCCL is used for FLOAT32 and BFLOAT16, not " + buffer.type());
        };
    }

    /** A stream that does not wait for the one that libtorch computes on. */
    CUstream_st newStream() {
        CUstream_st stream = new CUstream_st();
        checkCuda(cudart.cudaStreamCreateWithFlags(stream, cudart.cudaStreamNonBlocking));
        return stream;
    }

    void destroy(CUstream_st stream) {
        int ignored = cudart.cudaStreamDestroy(stream); // at the end of the process
    }

    CUevent_st newEvent() {
        CUevent_st event = new CUevent_st();
        checkCuda(cudart.cudaEventCreateWithFlags(event, 0));
        return event;
    }

    void destroy(CUevent_st event) {
        int ignored = cudart.cudaEventDestroy(event); // freed with the process at the latest
    }

    /** Notes the point that the stream, or libtorch's if null, has been asked to come to. */
    void record(CUevent_st event, CUstream_st stream) {
        checkCuda(cudart.cudaEventRecord(event, stream == null ? COMPUTE : stream));
    }

    /** What the stream, or libtorch's if null, is asked from now on waits for the event. */
    void waitFor(CUevent_st event, CUstream_st stream) {
        checkCuda(cudart.cudaStreamWaitEvent(stream == null ? COMPUTE : stream, event, 0));
    }

    /** Whether the point has been passed. */
    boolean passed(CUevent_st event) {
        int code = cudart.cudaEventQuery(event);
        if (code == NOT_READY) {
            return false;
        }
        checkCuda(code);
        return true;
    }

    /** Nanoseconds between two points that have been passed. */
    long nanosBetween(CUevent_st from, CUevent_st to) {
        float[] millis = new float[1];
        checkCuda(cudart.cudaEventElapsedTime(millis, from, to));
        return (long) (millis[0] * 1e6);
    }

    private static void check(int code, String what) {
        if (code != nccl.ncclSuccess && code != nccl.ncclInProgress) {
            throw new TrainerException(ExitCode.PeerLost, "NCCL: " + what + ": " + message(code));
        }
    }

    private static String message(int code) {
        BytePointer text = nccl.ncclGetErrorString(code);
        return (text == null || text.isNull() ? "error" : text.getString()) + " (" + code + ")";
    }

    private static void checkCuda(int code) {
        if (code != 0) {
            BytePointer text = cudart.cudaGetErrorString(code);
            throw new TrainerException(
                    ExitCode.InternalError,
                    "CUDA: " + (text == null || text.isNull() ? "error" : text.getString()) + " (" + code + ")");
        }
    }

    /** An address that JavaCPP did not allocate. */
    private static final class Address extends Pointer {
        Address(Buffer buffer) {
            super((Pointer) null);
            address = buffer.memory().address();
        }
    }

    /** CUDA's default stream has no address. */
    private static final class NoStream extends CUstream_st {
        NoStream() {
            super((Pointer) null);
        }
    }
}
