package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.checkpoint.Durable;
import io.vlmoperator.trainer.train.SpecDigest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * {@code completed.json} in the output folder of a training job that {@code vlm-trainer run} has finished: what it was made from, and its
 * last words. Datasets and evaluations need none, they know by themselves what is complete.
 *
 * @param key digest of the frozen job, without what does not decide the outcome
 */
record Completed(String key, TerminationMessage words) {
    private static final String FILE = "completed.json";
    private static final long MAX_BYTES = 1 << 20;

    static String key(FrozenJob job) {
        return switch (job.kind()) {
            // These look by themselves for what is done already.
            case Dataset, EvalJob -> "";
            case PretrainJob, SFTJob ->
                Json.digest(List.of(
                        SpecDigest.of(SpecDigest.training(job)),
                        job.datasets(),
                        Optional.ofNullable(job.checkpoint()).map(Json::digest).orElse("")));
        };
    }

    static Optional<TerminationMessage> read(Path folder, String key) throws IOException {
        Path file = folder.resolve(FILE);
        if (key.isEmpty() || !Files.isRegularFile(file)) {
            return Optional.empty();
        }
        Completed completed = Json.read(file, MAX_BYTES, Completed.class);
        return completed.key().equals(key) && stillThere(folder, completed.words())
                ? Optional.of(completed.words())
                : Optional.empty();
    }

    private static boolean stillThere(Path folder, TerminationMessage words) {
        return words.checkpoint() == null
                || Files.isDirectory(folder.resolve("checkpoints")
                        .resolve("step-%09d".formatted(words.checkpoint().step())));
    }

    static void write(Path folder, String key, TerminationMessage words) throws IOException {
        if (!key.isEmpty()) {
            Durable.write(folder.resolve(FILE), Json.bytes(new Completed(key, words)));
        }
    }
}
