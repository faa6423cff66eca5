package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.Batch;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.Projector;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.BatchSource;
import io.vlmoperator.trainer.data.DatasetBuilder;
import io.vlmoperator.trainer.text.Tokenizer;
import io.vlmoperator.trainer.train.LoaderSpeed;
import io.vlmoperator.trainer.train.RowSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * {@code vlm-trainer bench-images TAR --ahead THREADS --tokenizer DIR}: the tar as a Dataset of packed captions, and how many of its images
 * training's own loader has ready in a second, decoded, resized and normalised. No image is kept, so each is decoded every time.
 */
final class AheadBench {
    private static final int CONTEXT = 4096;
    private static final int TOKENS_PER_IMAGE = 144;
    private static final int SIDE = 384;
    private static final int ROWS = 4;

    private AheadBench() {}

    /**
     * @param threads that decode
     * @param images that were measured
     */
    record Result(int threads, long images, double imagesPerSecond) {}

    static Result run(Path tar, Path tokenizerFolder, int threads, int steps) throws IOException {
        Path folder = Files.createTempDirectory("vlm-bench-ahead");
        try {
            Locations locations = Locations.of(
                    Map.of("in", tar.toAbsolutePath().getParent(), "out", folder, "tokenizer", tokenizerFolder));
            DatasetSpec spec = new DatasetSpec(
                    List.of(new Source(
                            "bench", new Source.WebDataset("pvc://in/" + tar.getFileName()), null, null, null)),
                    null,
                    null,
                    new Pack(CONTEXT, TOKENS_PER_IMAGE, null, "pvc://tokenizer"),
                    new DatasetSpec.Output("pvc://out/dataset", null, null),
                    null,
                    null,
                    null,
                    null);
            new DatasetBuilder(spec, locations, DatasetBuilder.Options.alone()).build((done, total) -> {});
            try (Tokenizer tokenizer = Tokenizer.load(tokenizerFolder);
                    RowSource rows = TrainingData.rows(BatchSource.open(
                            job(),
                            locations,
                            tokenizer,
                            SIDE,
                            tokenizer.vocabularySize(),
                            new BatchSource.Resources(threads, 0)))) {
                LoaderSpeed.Result speed = LoaderSpeed.measure(rows, ROWS, 1, steps);
                return new Result(threads, speed.images(), speed.imagesPerSecond());
            }
        } finally {
            delete(folder);
        }
    }

    private static FrozenJob job() {
        PretrainJobSpec spec = new PretrainJobSpec(
                new PretrainJobSpec.Model(null, null, new Projector(TOKENS_PER_IMAGE), null),
                List.of(),
                new Batch(ROWS, 1, CONTEXT, null, null),
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                1L,
                null,
                null,
                null,
                null,
                null,
                null,
                null);
        List<ResolvedDataset> datasets = List.of(new ResolvedDataset("bench", "pvc://out/dataset", 1, null));
        return new FrozenJob(
                1, Kind.PretrainJob, "bench", "bench", "bench", 1, 1, 1, null, spec, null, null, datasets, null);
    }

    private static void delete(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't delete " + folder + ": " + e.getMessage(), e);
        }
    }
}
