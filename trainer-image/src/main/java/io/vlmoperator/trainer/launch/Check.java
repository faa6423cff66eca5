package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.ImageDecoder;
import io.vlmoperator.trainer.op.Gpus;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.text.Natives;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * {@code vlm-trainer check}: whether this machine or image can train, before any job is started. Loads every native library, which also
 * unpacks them, so that an image whose root file system is read-only needs to unpack nothing.
 */
final class Check {
    private Check() {}

    /** Prints a line for each part. */
    static int run(List<String> arguments, PrintStream out) {
        Arguments.parse(arguments, List.of(), List.of()).requireNone();
        out.println(
                "java        " + Runtime.version() + ", " + Runtime.getRuntime().maxMemory() / (1 << 20)
                        + " MiB of heap, " + Runtime.getRuntime().availableProcessors() + " processors");
        Torch torch = Torch.start();
        out.println("libtorch    " + Torch.VERSION + ", " + torch.threads() + " threads");
        out.println("device      " + device(torch));
        try {
            Natives.load();
        } catch (IllegalStateException e) {
            throw new TrainerException(ExitCode.StorageFailed, e.getMessage(), e);
        }
        out.println("tokenizers  loaded");
        out.println("images      " + ImageDecoder.libraries());
        out.println("temporary   " + temporary());
        return ExitCode.Completed.code();
    }

    private static String device(Torch torch) {
        Gpus gpus = torch.gpus();
        if (!torch.device().isHost()) {
            String first = torch.device() + ", " + gpus.all().getFirst();
            return gpus.all().size() == 1 ? first : first + "; " + gpus.all().size() + " GPUs are visible";
        }
        return "cpu: " + gpus.why().orElse("VLM_DEVICE=cpu keeps this process off the GPU");
    }

    /** DuckDB unpacks itself and spills into this folder. */
    private static String temporary() {
        Path folder = Path.of(System.getProperty("java.io.tmpdir"));
        try {
            Files.delete(Files.createTempFile(folder, "check", ""));
            long free = Files.getFileStore(folder).getUsableSpace();
            return folder + ", " + free / (1 << 20) + " MiB free";
        } catch (IOException e) {
            throw TrainerException.storage(
                    folder
                            + " can't be written: mount an emptyDir there, or set VLM_JAVA_OPTIONS=-Djava.io.tmpdir=FOLDER",
                    e);
        }
    }
}
