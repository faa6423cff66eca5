package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.checkpoint.Export;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
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

    private void tar(int count) throws IOException {
        StringBuilder tar = new StringBuilder();
        for (int n = 0; n < count; n++) {
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            image.setRGB(n % 8, 0, 0xFFFFFF);
            ImageIO.write(image, "png", png);
            tar.append(member("k" + n + ".png", png.toByteArray()))
                    .append(member("k" + n + ".txt", ("number " + n).getBytes(StandardCharsets.UTF_8)));
        }
        tar.append("\0".repeat(1024));
        Files.write(root.resolve("a.tar"), tar.toString().getBytes(StandardCharsets.ISO_8859_1));
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
        tar(11);
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
}
