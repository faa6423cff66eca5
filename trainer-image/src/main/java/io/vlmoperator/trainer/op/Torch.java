package io.vlmoperator.trainer.op;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.pytorch.jni.LibUtils;
import java.nio.file.Path;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** libtorch in this process: started once, checked, never downloaded. */
public final class Torch {
    /** The one version that DJL's native library fits; on any other it loads and then returns wrong shapes. */
    public static final String VERSION = "2.7.1";

    private static final Pattern VERSION_IN_BUILD = Pattern.compile("TORCH_VERSION=([0-9][^, ]*)");

    private final PtNDManager manager;
    private final Native natives;
    private final Script script;
    private final LongAdder live = new LongAdder();

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
        natives = new Native(Path.of(LibUtils.getLibtorchPath()));
        requireVersion(natives.buildDescription());
        NDManager base = NDManager.newBaseManager(Device.cpu(), engine.getEngineName());
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

    /** Number of tensors open in the process; constant between steps. */
    public long liveTensors() {
        return live.sum();
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
