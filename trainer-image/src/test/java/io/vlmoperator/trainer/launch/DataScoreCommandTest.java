package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.checkpoint.Export;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.RunFacts;
import io.vlmoperator.trainer.train.StopSignal;
import io.vlmoperator.trainer.train.Watchdog;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A Dataset with a threshold, and the same scores by hand, with a fresh model for a filter. */
class DataScoreCommandTest {
    private static final Path TOKENIZER =
            Path.of("src/test/resources/tokenizer/small").toAbsolutePath();

    @TempDir
    Path root;

    private String output;

    private int run(String... words) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        List<String> all = new ArrayList<>(List.of(words));
        all.add("--mount=data=" + root);
        int code = Main.run(all, Map.of(), out, out);
        output = bytes.toString(StandardCharsets.UTF_8);
        return code;
    }

    private void tar(String name, int first, int end) throws IOException {
        StringBuilder tar = new StringBuilder();
        for (int n = first; n < end; n++) {
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            image.setRGB(n % 8, 0, 0xFFFFFF);
            ImageIO.write(image, "png", png);
            tar.append(member("k" + n + ".png", png.toByteArray()))
                    .append(member("k" + n + ".txt", ("number " + n).getBytes(StandardCharsets.UTF_8)));
        }
        tar.append("\0".repeat(1024));
        Files.write(root.resolve(name), tar.toString().getBytes(StandardCharsets.ISO_8859_1));
    }

    private static String member(String name, byte[] content) {
        byte[] header = new byte[512];
        System.arraycopy(name.getBytes(StandardCharsets.US_ASCII), 0, header, 0, name.length());
        String size = "%011o".formatted(content.length);
        System.arraycopy(size.getBytes(StandardCharsets.US_ASCII), 0, header, 124, 11);
        header[156] = '0';
        java.util.Arrays.fill(header, 148, 156, (byte) ' ');
        int sum = 0;
        for (byte b : header) {
            sum += b;
        }
        System.arraycopy("%06o\0 ".formatted(sum).getBytes(StandardCharsets.US_ASCII), 0, header, 148, 8);
        return new String(header, StandardCharsets.ISO_8859_1)
                + new String(content, StandardCharsets.ISO_8859_1)
                + "\0".repeat((512 - content.length % 512) % 512);
    }

    private void model() throws IOException {
        ModelConfig config = new ModelConfig(
                new LanguageConfig(32, 64, 2, 4, 2, 2048, 10_000, 1e-6, true, 512),
                new VisionConfig(32, 8, 32, 64, 2, 4, 1e-6, -1, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, Set.of());
            model.initialize(EnumSet.allOf(Part.class), 5);
            Export.write(
                    root.resolve("filter"),
                    model,
                    Files.readAllBytes(TOKENIZER.resolve("tokenizer.json")),
                    1,
                    Export.Options.TRAINED,
                    Faults.NONE);
        }
    }

    private Path manifest(String select) throws IOException {
        return Files.writeString(root.resolve("dataset.yaml"), """
                apiVersion: vlm-operator.io/v1alpha1
                kind: Dataset
                metadata: {name: pairs}
                spec:
                  sources: [{name: pairs, webDataset: {location: pvc://data/a.tar}}]
                  pack: {contextLength: 64, tokensPerImage: 4, tokenizer: "file://%s"}
                  output: {location: pvc://data/out}
                %s
                """.formatted(TOKENIZER, select));
    }

    @Test
    void scoresOfAThresholdAndOfTheCommandAreTheSame() throws Exception {
        tar("a.tar", 0, 11);
        model();
        // A fresh model says nothing that is a number: whoever is not below is kept.
        String rule =
                "  select: {not: [{score: {metric: ImageTextMatching, atLeast: 0, scorer: {location: pvc://data/filter}}}]}";
        assertThat(run("run", manifest(rule).toString())).as(output).isZero();
        assertThat(output).contains("ImageTextMatching: 11 samples scored", "% of the time waiting for data");
        String out = root.resolve("out").toString();
        String filter = root.resolve("filter").toString();

        assertThat(run("data", "score", out, "--scorer", filter, "--metric", "ImageTextMatching", "--threads", "1"))
                .as(output)
                .isZero();
        assertThat(output).contains("scored before; ", "in all: 0 samples scored");
        assertThat(run("data", "score", out, "--scorer", filter, "--part", "0/2"))
                .as(output)
                .isZero();
        assertThat(output).contains("pvc://data/a.tar, SemanticUnderstanding: 11 samples scored");
        assertThat(run("data", "score", out, "--scorer", filter, "--part", "1/2"))
                .isZero();
        assertThat(output).contains("in all: 0 samples scored");

        assertThat(run("data", "score", out)).isEqualTo(64);
        assertThat(output).contains("--scorer is missing");
        assertThat(run("data", "score", out, "--scorer", filter, "--metric", "Beauty"))
                .isEqualTo(64);
        assertThat(output).contains("SemanticUnderstanding");
        assertThat(run("data", "score", out, "--scorer", filter, "--part", "2/2"))
                .isEqualTo(64);
        assertThat(output).contains("write 0/4");
    }

    private TerminationMessage stage(
            DatasetSpec spec, DatasetStage stage, int index, int pods, List<ProgressReport> heard) {
        FrozenJob job = new FrozenJob(
                1, Kind.Dataset, "team", "pairs", "u", 1, pods, 1, spec, null, null, null, List.of(), null, stage);
        try (Watchdog watchdog = new Watchdog(Duration.ofHours(1), late -> {})) {
            return new Stage(
                            job,
                            Locations.of(Map.of("data", root)),
                            index,
                            Single::new,
                            new Reporter(heard),
                            new StopSignal(),
                            watchdog,
                            new RunFacts(),
                            1,
                            line -> {},
                            0)
                    .end();
        }
    }

    /** Keeps what is told. */
    private record Reporter(List<ProgressReport> heard) implements Progress {
        @Override
        public void report(ProgressReport report, boolean now) {
            heard.add(report);
        }

        @Override
        public Set<Long> pins() {
            return Set.of();
        }

        @Override
        public boolean heardWithin(Duration time) {
            return true;
        }

        @Override
        public Optional<ProgressAnswer.Command> takeCommand() {
            return Optional.empty();
        }

        @Override
        public void close() {}
    }

    private DatasetSpec spec(String output, String gpus) throws IOException {
        Path file = manifest("""
                  select: {not: [{score: {metric: ImageTextMatching, atLeast: 0, scorer: {location: pvc://data/filter}}}]}
                  workers: {count: 2, stages: {score: {count: 2%s}}}
                """.formatted(gpus));
        Files.writeString(
                file,
                Files.readString(file).replace("a.tar", "*.tar").replace("pvc://data/out", "pvc://data/" + output));
        return (DatasetSpec)
                ManifestFiles.read(List.of(file), line -> {}).getFirst().spec();
    }

    @Test
    void stagesOfAFrozenJobMakeWhatRunMakesOfTheSameManifest() throws Exception {
        tar("a.tar", 0, 5);
        tar("b.tar", 5, 9);
        model();
        spec("whole", "");
        assertThat(run("run", root.resolve("dataset.yaml").toString()))
                .as(output)
                .isZero();
        DatasetSpec spec = spec("staged", "");
        assertThat(DatasetStage.of(spec)).containsExactly(DatasetStage.Index, DatasetStage.Score, DatasetStage.Pack);
        List<ProgressReport> heard = new ArrayList<>();
        for (DatasetStage stage : DatasetStage.of(spec)) {
            int pods = stage.pods(spec.workers()).nodes();
            for (int index = pods - 1; index >= 0; index--) { // the first pod waits for the others
                TerminationMessage words = stage(spec, stage, index, pods, index == 0 ? heard : new ArrayList<>());
                assertThat(words.reason()).as(words.message()).isEqualTo("Completed");
                assertThat(words.dataset() != null).isEqualTo(stage == DatasetStage.Pack);
            }
            assertThat(heard.getLast())
                    .extracting(ProgressReport::stage, ProgressReport::done, ProgressReport::total)
                    .containsExactly(stage.word(), 2L, 2L);
        }
        assertThat(heard.getLast().dataset().samples()).isEqualTo(9);
        try (Stream<Path> made = Files.walk(root.resolve("whole"))) {
            for (Path file : made.filter(one -> one.toString().endsWith(".parquet")
                            || one.endsWith("dataset.json")
                            || one.endsWith("rejects.jsonl"))
                    .toList()) {
                Path other = root.resolve("staged")
                        .resolve(root.resolve("whole").relativize(file).toString());
                assertThat(other).hasSameBinaryContentAs(file);
            }
        }

        if (Torch.start().device().isHost()) {
            TerminationMessage refused = stage(spec("gpus", ", gpus: 1"), DatasetStage.Score, 0, 1, new ArrayList<>());
            assertThat(refused.reason()).isEqualTo("InvalidConfiguration");
            assertThat(refused.message())
                    .contains("asks for workers.stages.score.gpus 1", "no GPU", "or write gpus: 0");
        }
    }
}
