package io.vlmoperator.trainer.op;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.pytorch.jni.LibUtils;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** libtorch in this process: started once, checked, never downloaded. */
public final class Torch {
    /** The one version that DJL's native library fits; on any other it loads and then returns wrong shapes. */
    public static final String VERSION = "2.7.1";

    private static final Pattern VERSION_IN_BUILD = Pattern.compile("TORCH_VERSION=([0-9][^, ]*)");

    /** {@code cpu} keeps a process off the GPUs that it sees. */
    private static final String DEVICE = "VLM_DEVICE";

    private final PtNDManager manager;
    private final Native natives;
    private final Kernels kernels;
    private final Optional<CudaRuntime> cuda;
    private final Gpus gpus;
    private final Device device;
    private final Script script;
    private final LongAdder live = new LongAdder();
    private final LongAdder hostReads = new LongAdder();

    private sealed interface Outcome {
        record Started(Torch torch) implements Outcome {}

        record Failed(TorchException reason) implements Outcome {}
    }

    /** Initialised by the class loader, once: libtorch is a fact of the process. */
    private static final class Process {
        static final Outcome OUTCOME = launch();

        private static Outcome launch() {
            try {
                return new Outcome.Started(new Torch());
            } catch (TorchException e) {
                return new Outcome.Failed(e);
            } catch (RuntimeException | LinkageError e) {
                return new Outcome.Failed(new TorchException(
                        "libtorch " + VERSION + " could not be loaded (Linux x86-64, glibc 2.28 or newer is needed): "
                                + e.getMessage(),
                        e));
            }
        }
    }

    private Torch() {
        // A missing library is then an error that says so, not a download; telemetry is off.
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        Engine engine = Engine.getEngine("PyTorch");
        Path folder = Path.of(LibUtils.getLibtorchPath());
        natives = new Native(folder);
        String build = natives.buildDescription();
        requireVersion(build);
        kernels = new Kernels(natives);
        CudaRuntime.Opened opened = CudaRuntime.open(folder);
        cuda = opened instanceof CudaRuntime.Opened.Runtime(CudaRuntime runtime)
                ? Optional.of(runtime)
                : Optional.empty();
        gpus = switch (opened) {
            case CudaRuntime.Opened.Runtime(CudaRuntime runtime) -> runtime.gpus(build);
            case CudaRuntime.Opened.Missing(String why) -> Gpus.none(why);
        };
        device = choose(gpus, System.getenv(DEVICE));
        NDManager base = NDManager.newBaseManager(ai.djl.Device.cpu(), engine.getEngineName());
        manager = (PtNDManager) base;
        script = new Script(manager, "operators.torchscript");
    }

    /**
     * Starts libtorch on first use, with a known-answer test.
     *
     * @throws TorchException if there is none, or another version than {@value #VERSION}
     */
    public static Torch start() {
        return switch (Process.OUTCOME) {
            case Outcome.Started started -> started.torch();
            case Outcome.Failed failed ->
                throw new TorchException(failed.reason().getMessage(), failed.reason());
        };
    }

    /**
     * The first GPU, unless it can't be used or is not wanted.
     *
     * @param wanted value of {@code VLM_DEVICE}, or null
     */
    static Device choose(Gpus gpus, String wanted) {
        return switch (wanted == null || wanted.isEmpty() ? "auto" : wanted) {
            case "cpu" -> Device.HOST;
            case "auto" -> gpus.why().isEmpty() ? Device.CUDA : Device.HOST;
            case "cuda" -> {
                if (gpus.why().isPresent()) {
                    throw new TorchException(DEVICE + "=cuda, but " + gpus.why().get());
                }
                yield Device.CUDA;
            }
            default -> throw new TorchException(DEVICE + "='" + wanted + "'; write cpu, cuda or nothing");
        };
    }

    /** What this process computes on: a GPU if it sees one that libtorch has code for, else the processor. */
    public Device device() {
        return device;
    }

    /** The GPUs that this process sees, or why it computes on the processor. */
    public Gpus gpus() {
        return gpus;
    }

    /** Returns when the device has done everything that it was asked; at once on the processor. */
    public void synchronize() {
        if (!device.isHost()) {
            cuda.orElseThrow().synchronize();
        }
    }

    /**
     * Copies elements whose addresses came from {@link Tensor#address()} or lie on the host, in either direction, and waits for it.
     *
     * @throws IllegalArgumentException if the sizes differ
     */
    public void copyMemory(MemorySegment from, MemorySegment to) {
        if (from.byteSize() != to.byteSize()) {
            throw new IllegalArgumentException(from.byteSize() + " bytes do not fill " + to.byteSize());
        }
        if (device.isHost()) {
            to.copyFrom(from);
        } else if (from.byteSize() > 0) {
            hostReads.increment();
            cuda.orElseThrow().copy(from, to);
        }
    }

    /**
     * Locks host memory into place until {@link #pageUnlock}, so that a GPU copies at its link's full speed. Whether that was done: not on the
     * processor, where it changes nothing, nor where the system does not allow as much.
     */
    public boolean pageLock(MemorySegment memory) {
        return !device.isHost() && memory.byteSize() > 0 && cuda.orElseThrow().pageLock(memory);
    }

    /** Before memory is freed of which {@link #pageLock} said true. */
    public void pageUnlock(MemorySegment memory) {
        cuda.orElseThrow().pageUnlock(memory);
    }

    /** Bytes of the device's memory in use, also by other processes; libtorch keeps what it once took. Empty on the processor. */
    public OptionalLong deviceBytesInUse() {
        return device.isHost()
                ? OptionalLong.empty()
                : OptionalLong.of(cuda.orElseThrow().usedBytes());
    }

    /** Threads that one operator may use; set it before the first large operator. */
    public void threads(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads: " + count + ", at least 1");
        }
        JniUtils.setNumThreads(count);
    }

    /** Threads that one operator may use. */
    public int threads() {
        return JniUtils.getNumThreads();
    }

    /**
     * Whether all operators of this process give the same bits every time, also on a GPU: sums over rows are then formed in order, and libtorch
     * refuses kernels that add in the order of their threads.
     */
    public void exact(boolean on) {
        kernels.exact(on);
    }

    /** Whether {@link #exact(boolean)} was asked for. */
    public boolean exact() {
        return kernels.exact();
    }

    /** Begins libtorch's own random numbers anew, on all devices; see {@link Ops#fillNormal}. */
    public void seed(long seed) {
        JniUtils.setSeed(seed);
    }

    /** Number of tensors open in the process; constant between steps. */
    public long liveTensors() {
        return live.sum();
    }

    /** How often Java has read elements: on a GPU each time waits for all work before it, so a step does it only where it logs. */
    public long hostReads() {
        return hostReads.sum();
    }

    void readByHost() {
        hostReads.increment();
    }

    static void requireVersion(String build) {
        Matcher matcher = VERSION_IN_BUILD.matcher(build);
        String found = matcher.find() ? matcher.group(1) : "of unknown version";
        if (!found.equals(VERSION) && !found.startsWith(VERSION + "+")) {
            throw new TorchException("libtorch " + found + " was loaded, but the trainer works with " + VERSION
                    + " only; unset PYTORCH_LIBRARY_PATH or point it to a folder with libtorch " + VERSION);
        }
    }

    void counted(int change) {
        live.add(change);
    }

    boolean isContiguous(Tensor tensor) {
        return script.flag("is_contiguous", tensor);
    }

    PtNDManager manager() {
        return manager;
    }

    Native natives() {
        return natives;
    }

    Script script() {
        return script;
    }
}
