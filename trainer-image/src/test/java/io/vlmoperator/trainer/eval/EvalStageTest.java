package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.Benchmark;
import io.vlmoperator.api.spec.CheckpointRef;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.api.spec.Generation;
import io.vlmoperator.api.spec.JobOutput;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Export;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.Sampling;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An EvalJob from its frozen form to its files, on an exported model with random weights. */
class EvalStageTest {
    private static final Path TOKENIZER = Path.of("src/test/resources/tokenizer/small/tokenizer.json");
    private static final EvalJobSpec.Checkpoint EXPORT =
            new EvalJobSpec.Checkpoint(null, null, "pvc://data/model", null);

    @TempDir
    Path data;

    private String digest;

    @BeforeEach
    void model() throws IOException {
        ModelConfig config = new ModelConfig(
                new LanguageConfig(32, 64, 2, 4, 2, 2048, 10_000, 1e-6, true, 160),
                new VisionConfig(32, 8, 32, 64, 2, 4, 1e-6, -1, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, Set.of());
            model.initialize(EnumSet.allOf(Part.class), 5);
            digest = Export.write(
                    data.resolve("model"),
                    model,
                    Files.readAllBytes(TOKENIZER),
                    12,
                    Export.Options.TRAINED,
                    Faults.NONE);
        }
        Tables.write(data.resolve("things.tsv"), 24, 1);
    }

    private static Benchmark benchmark(String name, Protocol... protocols) {
        return new Benchmark(name, "pvc://data/things.tsv", protocols.length == 0 ? null : List.of(protocols), null);
    }

    private static FrozenJob job(
            EvalJobSpec.Checkpoint checkpoint, FrozenJob.ResolvedCheckpoint resolved, List<Benchmark> benchmarks) {
        EvalJobSpec spec = new EvalJobSpec(
                checkpoint,
                benchmarks,
                new Generation(4),
                null,
                new JobOutput("pvc://data/run", null),
                null,
                null,
                null);
        return new FrozenJob(1, Kind.EvalJob, "default", "eval", "u", 1, 1, 1, null, null, null, spec, null, resolved);
    }

    private List<BenchmarkResult> run(FrozenJob job) {
        return EvalStage.run(job, Locations.of(Map.of("data", data)), new Single(), (done, total, results) -> {});
    }

    @Test
    void scoresAnExportAndTakesOverWhatIsFinished() throws IOException {
        FrozenJob job = job(
                EXPORT,
                null,
                List.of(benchmark("Things", Protocol.Strict, Protocol.OptionLikelihood), benchmark("Again")));
        List<String> heard = new ArrayList<>();

        List<BenchmarkResult> first = EvalStage.run(
                job,
                Locations.of(Map.of("data", data)),
                new Single(),
                (done, total, results) -> heard.add(done + "/" + total + " " + results.size()));

        assertThat(first).hasSize(3);
        assertThat(first).extracting(BenchmarkResult::protocol).containsExactly("Strict", "OptionLikelihood", "Strict");
        for (BenchmarkResult result : first) {
            assertThat(result.checkpointDigest()).isEqualTo(digest);
            assertThat(result.step()).isEqualTo(12);
            assertThat(result.rows()).isEqualTo(24);
            assertThat(result.seconds()).isPositive();
        }
        assertThat(heard).contains("24/72 1").endsWith("72/72 3");
        assertThat(data.resolve("run/predictions/Again_Strict.tsv"))
                .hasSameTextualContentAs(data.resolve("run/predictions/Things_Strict.tsv"));
        // The time an evaluation took is measured, so equal times mean that nothing was computed again.
        assertThat(run(job)).isEqualTo(first);
    }

    @Test
    void aPreTrainedModelIsAskedForCaptions() {
        FrozenJob.ResolvedCheckpoint resolved = new FrozenJob.ResolvedCheckpoint("pvc://data/model", null, digest);
        List<Benchmark> benchmarks = List.of(benchmark("Things", Protocol.OptionLikelihood));
        EvalJobSpec.Checkpoint pretrained =
                new EvalJobSpec.Checkpoint(new CheckpointRef("p", null, null), null, null, null);
        EvalJobSpec.Checkpoint tuned = new EvalJobSpec.Checkpoint(null, new CheckpointRef("s", null, null), null, null);

        String captions = run(job(pretrained, resolved, benchmarks)).getFirst().promptDigest();
        String chat = run(job(tuned, resolved, benchmarks)).getFirst().promptDigest();

        assertThat(captions).isNotEqualTo(chat);
    }

    private static Benchmark fewShot(int shots, List<Long> seeds, Benchmark.FewShot.From from) {
        return new Benchmark("Shots", "pvc://data/things.tsv", null, new Benchmark.FewShot(shots, seeds, from));
    }

    @Test
    void specsThatCannotWork() {
        Benchmark things = benchmark("Things", Protocol.Strict);
        refuses(job(EXPORT, null, List.of()), ExitCode.InvalidConfiguration, "spec.benchmarks is empty");
        refuses(job(EXPORT, null, List.of(things, things)), ExitCode.InvalidConfiguration, "two benchmarks are called");
        refuses(
                job(EXPORT, null, List.of(benchmark("../x"))),
                ExitCode.InvalidConfiguration,
                "'../x' can't be a file name");
        refuses(
                job(EXPORT, null, List.of(fewShot(8, List.of(1L), Benchmark.FewShot.From.Train))),
                ExitCode.InvalidConfiguration,
                "8 demonstrations are wanted, but only 0 usable rows");
        refuses(
                job(EXPORT, null, List.of(fewShot(0, List.of(1L), Benchmark.FewShot.From.Evaluated))),
                ExitCode.InvalidConfiguration,
                "at least 1 is needed");
        refuses(
                job(EXPORT, null, List.of(fewShot(1, List.of(1L, 1L), Benchmark.FewShot.From.Evaluated))),
                ExitCode.InvalidConfiguration,
                "each once");
        refuses(
                job(EXPORT, null, List.of(new Benchmark("None", "pvc://data/things.tsv", List.of(), null))),
                ExitCode.InvalidConfiguration,
                "protocols is an empty list");
        refuses(
                job(new EvalJobSpec.Checkpoint(null, null, null, "http://x"), null, List.of(things)),
                ExitCode.InvalidConfiguration,
                "scores checkpoints, not servers");
        refuses(
                job(new EvalJobSpec.Checkpoint(null, null, "pvc://data/none", null), null, List.of(things)),
                ExitCode.InvalidConfiguration,
                "holds no checkpoint");
        refuses(
                job(
                        EXPORT,
                        new FrozenJob.ResolvedCheckpoint("pvc://data/model", null, "sha256:other"),
                        List.of(things)),
                ExitCode.InvalidConfiguration,
                "has been replaced since");
    }

    @Test
    void damagedInput() throws IOException {
        refuses(
                job(
                        EXPORT,
                        null,
                        List.of(new Benchmark("Missing", "pvc://data/missing.tsv", List.of(Protocol.Strict), null))),
                ExitCode.InvalidData,
                "does not exist");

        Path weights = data.resolve("model/model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        bytes[bytes.length - 1] ^= 1;
        Files.write(weights, bytes);
        refuses(job(EXPORT, null, List.of(benchmark("Things", Protocol.Strict))), ExitCode.InvalidData, "is damaged");
        assertThat(data.resolve("run/results.json")).doesNotExist();
    }

    private Generate.Request asked(String prompt, int tokens, Sampling sampling, Path... images) {
        return new Generate.Request(data.resolve("model"), List.of(images), prompt, tokens, sampling, 3, List.of());
    }

    private static String answer(Generate.Request request) {
        StringBuilder shown = new StringBuilder();
        String answer = Generate.answer(request, shown::append);
        assertThat(shown.toString().strip()).isEqualTo(answer);
        return answer;
    }

    @Test
    void generatesForAPerson() throws IOException {
        Path image = Files.write(data.resolve("a.png"), Base64.getDecoder().decode(Tables.image(new Random(1))));
        Path other = Files.write(data.resolve("b.png"), Base64.getDecoder().decode(Tables.image(new Random(2))));
        Sampling hot = new Sampling(2, 0, 1);

        String answer = answer(asked("What is this?", 8, Sampling.GREEDY, image));

        assertThat(answer)
                .isNotEmpty()
                .isNotEqualTo(answer(asked("", 8, Sampling.GREEDY, image)))
                .isEqualTo(answer(asked("What is this?", 8, Sampling.GREEDY, image)))
                .isEqualTo(answer(asked("<image>\nWhat is this?", 8, Sampling.GREEDY, image)))
                .startsWith(answer(asked("What is this?", 2, Sampling.GREEDY, image)));
        String sampled = answer(asked("First <image> then <image>?", 8, hot, image, other));
        assertThat(sampled)
                .isEqualTo(answer(asked("First <image> then <image>?", 8, hot, image, other)))
                .isNotEqualTo(answer(asked("First <image> then <image>?", 8, hot, other, image)));
        assertThat(answer(asked("No image at all", 8, Sampling.GREEDY))).isNotEmpty();
        String stop = sampled.substring(sampled.length() / 2, sampled.length() / 2 + 1);
        assertThat(answer(new Generate.Request(
                        data.resolve("model"),
                        List.of(image, other),
                        "First <image> then <image>?",
                        8,
                        hot,
                        3,
                        List.of(stop))))
                .isEqualTo(sampled.substring(0, sampled.indexOf(stop)).strip());
    }

    @Test
    void whatCannotBeAnswered() throws IOException {
        Path image = Files.write(data.resolve("a.png"), Base64.getDecoder().decode(Tables.image(new Random(1))));
        Path noImage = Files.writeString(data.resolve("c.png"), "text");
        cannotAnswer(() -> asked("q", 8, Sampling.GREEDY, data.resolve("b.png")), "is no file");
        cannotAnswer(() -> asked("why? ".repeat(200), 8, Sampling.GREEDY, image), "the model reads 160");
        cannotAnswer(() -> asked("<image> and <image>", 8, Sampling.GREEDY, image), "2 places <image>");
        cannotAnswer(() -> asked("", 8, Sampling.GREEDY, image, image), "there are 2: give --prompt");
        cannotAnswer(() -> asked("q", 0, Sampling.GREEDY, image), "at least 1 is needed");
        cannotAnswer(
                () -> new Generate.Request(
                        data.resolve("model"), List.of(image), "q", 8, Sampling.GREEDY, 0, List.of("")),
                "a stop string of 0 characters");
        assertThatThrownBy(() -> answer(asked("q", 8, Sampling.GREEDY, noImage)))
                .hasMessageContaining("c.png")
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData));
    }

    private static void cannotAnswer(Supplier<Generate.Request> request, String message) {
        assertThatThrownBy(() -> answer(request.get()))
                .hasMessageContaining(message)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration));
    }

    private void refuses(FrozenJob job, ExitCode code, String message) {
        assertThatThrownBy(() -> run(job))
                .hasMessageContaining(message)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(code));
    }
}
