package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The four kinds, from a tar of coloured squares to a score, as a person runs them on a laptop. */
@Timeout(900)
class RunCommandTest {
    private static final Map<String, Color> COLOURS = Map.of(
            "red square",
            Color.RED,
            "green square",
            Color.GREEN,
            "blue square",
            Color.BLUE,
            "black square",
            Color.BLACK);
    private static final List<String> NAMES = COLOURS.keySet().stream().sorted().toList();

    @TempDir
    Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int run(String... arguments) {
        List<String> all = new ArrayList<>(
                List.of("run", folder.resolve("manifests").toString(), "--mount", "c=" + folder.resolve("claim")));
        all.addAll(Arrays.asList(arguments));
        out.reset();
        err.reset();
        return Main.run(
                all,
                System.getenv(),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
    }

    private String said() {
        return out.toString(StandardCharsets.UTF_8) + err.toString(StandardCharsets.UTF_8);
    }

    /** All four kinds; locations in the claim {@code c}. */
    static final String MANIFESTS = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: EvalJob
            metadata: {name: colours}
            spec:
              checkpoint: {sftJob: {name: colours}}
              benchmarks: [{name: colours, location: "pvc://c/colours.tsv", protocols: [OptionLikelihood]}]
              output: {location: "pvc://c/eval"}
            ---
            apiVersion: vlm-operator.io/v1alpha1
            kind: SFTJob
            metadata: {name: colours}
            spec:
              from: {pretrainJob: {name: colours}}
              model: {projector: {tokensPerImage: 4}, train: [Vision, Projector, Language]}
              data: [{dataset: questions}]
              batch: {globalSize: 8, microSize: 4, contextLength: 64}
              optimizer: {learningRate: 3e-3}
              schedule: {stopAfter: {steps: 90}}
              precision: Float32
              output: {location: "pvc://c/sft"}
            ---
            apiVersion: vlm-operator.io/v1alpha1
            kind: PretrainJob
            metadata: {name: colours}
            spec:
              model:
                language:
                  tokenizer: "pvc://c/tokenizer"
                  config: {hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 2, numAttentionHeads: 2, numKeyValueHeads: 1, vocabSize: 2048}
                vision:
                  config: {imageSize: 16, patchSize: 8, hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 2, numAttentionHeads: 2}
                projector: {tokensPerImage: 1}
                train: [Vision, Projector, Language]
              data: [{dataset: captions}]
              batch: {globalSize: 4, microSize: 2, contextLength: 64}
              optimizer: {learningRate: 5.0e-3}
              schedule: {stopAfter: {epochs: 26}}
              precision: Float32
              output: {location: "pvc://c/pretrain"}
            ---
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: captions}
            spec:
              sources: [{name: s, webDataset: {location: "pvc://c/captions.tar"}}]
              pack: {contextLength: 64, tokensPerImage: 1, tokenizer: "pvc://c/tokenizer"}
              output: {location: "pvc://c/packed"}
            ---
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: questions}
            spec:
              sources: [{name: s, conversations: {location: "pvc://c/questions.jsonl", images: "pvc://c/images"}}]
              pack: {contextLength: 64, tokensPerImage: 4, algorithm: None, tokenizer: "pvc://c/tokenizer"}
              output: {location: "pvc://c/asked"}
            """;

    private void write(String manifests) throws IOException {
        Files.writeString(Files.createDirectories(folder.resolve("manifests")).resolve("all.yaml"), manifests);
    }

    private void prepare() throws IOException {
        prepare(Files.createDirectories(folder.resolve("claim")), 120, 40);
    }

    /** Tokenizer, tar, conversations with their images, and a benchmark of so many questions. */
    static void prepare(Path claim, int samples, int asked) throws IOException {
        try (var in = RunCommandTest.class.getResourceAsStream("/tokenizer/small/tokenizer.json")) {
            Files.copy(in, Files.createDirectories(claim.resolve("tokenizer")).resolve("tokenizer.json"));
        }
        Random random = new Random(1);
        List<String> questions = new ArrayList<>();
        List<String> benchmark =
                new ArrayList<>(List.of("index\timage\tquestion\tA\tB\tC\tD\tanswer\tcategory\tsplit"));
        try (OutputStream tar = Files.newOutputStream(claim.resolve("captions.tar"))) {
            for (int i = 0; i < samples; i++) {
                String name = NAMES.get(i % NAMES.size());
                byte[] picture = picture(COLOURS.get(name), random);
                entry(tar, "%05d.png".formatted(i), picture);
                entry(tar, "%05d.txt".formatted(i), name.getBytes(StandardCharsets.UTF_8));
                Files.write(Files.createDirectories(claim.resolve("images")).resolve(i + ".png"), picture);
                questions.add("""
                        {"id":"%d","image":"%d.png","conversations":[{"from":"human","value":"<image>\\nWhat is it?"},{"from":"gpt","value":"%s"}]}""".formatted(i, i, name));
            }
            tar.write(new byte[1024]);
        }
        for (int i = 0; i < asked; i++) {
            List<String> options = new ArrayList<>(NAMES);
            Collections.shuffle(options, random);
            String name = NAMES.get(i % NAMES.size());
            benchmark.add(String.join(
                    "\t",
                    Integer.toString(i),
                    Base64.getEncoder().encodeToString(picture(COLOURS.get(name), random)),
                    "What is it?",
                    String.join("\t", options),
                    Character.toString('A' + options.indexOf(name)),
                    "colours",
                    "test"));
        }
        Files.write(claim.resolve("questions.jsonl"), questions);
        Files.write(claim.resolve("colours.tsv"), benchmark);
    }

    private static byte[] picture(Color colour, Random random) throws IOException {
        BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 256; i++) {
            int noise = random.nextInt(0x30);
            image.setRGB(
                    i % 16,
                    i / 16,
                    new Color(
                                    Math.clamp(colour.getRed() ^ noise, 0, 255),
                                    Math.clamp(colour.getGreen() ^ noise, 0, 255),
                                    Math.clamp(colour.getBlue() ^ noise, 0, 255))
                            .getRGB());
        }
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        ImageIO.write(image, "png", png);
        return png.toByteArray();
    }

    private static void entry(OutputStream tar, String name, byte[] content) throws IOException {
        byte[] header = new byte[512];
        put(header, 0, name);
        put(header, 100, "0000644");
        put(header, 124, "%011o".formatted(content.length));
        put(header, 136, "00000000000");
        put(header, 148, "        ");
        header[156] = '0';
        put(header, 257, "ustar");
        put(header, 263, "00");
        int sum = 0;
        for (byte b : header) {
            sum += b & 0xff;
        }
        put(header, 148, "%06o".formatted(sum));
        header[154] = 0;
        tar.write(header);
        tar.write(content);
        tar.write(new byte[(512 - content.length % 512) % 512]);
    }

    private static void put(byte[] header, int at, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(bytes, 0, header, at, bytes.length);
    }

    @Test
    void fourManifestsLearnAndScore() throws IOException {
        prepare();
        write(MANIFESTS);
        assertThat(run()).as(said()).isZero();
        Path claim = folder.resolve("claim");
        List<String> metrics = Files.readAllLines(claim.resolve("pretrain/metrics.jsonl"));
        ObjectMapper json = new ObjectMapper();
        double first = json.readTree(metrics.getFirst()).path("loss").asDouble();
        double last = json.readTree(metrics.getLast()).path("loss").asDouble();
        assertThat(last).as("loss at the end; it began with %s", first).isLessThan(first / 4);
        JsonNode result = json.readTree(claim.resolve("eval/results.json").toFile());
        JsonNode score = result.findParents("value").getFirst();
        assertThat(score.path("value").asDouble())
                .as("accuracy, chance is 0.25: %s", result)
                .isGreaterThanOrEqualTo(0.8);
        assertThat(said()).contains("step 90/90  loss ").contains("EvalJob").contains("accuracy");

        assertThat(run()).as(said()).isZero();
        assertThat(said().lines().filter(l -> l.contains("Completed (before)"))).hasSize(2);
        assertThat(said()).doesNotContain("step 1/");

        // Another learning rate in the same folder is another run.
        write(MANIFESTS.replace("learningRate: 3e-3", "learningRate: 1e-3"));
        assertThat(run()).isEqualTo(64);
        assertThat(said()).contains("holds checkpoints of another spec");

        // Without its checkpoint the job runs again.
        write(MANIFESTS);
        long step = RunFolder.at(claim.resolve("sft")).complete().getFirst().step();
        assertThat(Main.run(
                        List.of("checkpoint", "delete", claim.resolve("sft").toString(), "--step", Long.toString(step)),
                        Map.of(),
                        new PrintStream(out, true, StandardCharsets.UTF_8),
                        new PrintStream(err, true, StandardCharsets.UTF_8)))
                .isZero();
        assertThat(run("--only", "SFTJob/colours")).as(said()).isZero();
        assertThat(said()).contains("step 90/90");
    }

    @Test
    void whatDoesNotFitIsNamed() throws IOException {
        prepare();
        write(MANIFESTS.replace("projector: {tokensPerImage: 1}", "projector: {tokensPerImage: 4}"));
        assertThat(run("--only", "PretrainJob/colours")).isEqualTo(64);
        assertThat(said()).contains("PlanMismatch").contains("captions");
        write(MANIFESTS.replace("vocabSize: 2048", "vocabSize: 1000"));
        assertThat(run("--only", "PretrainJob/colours")).isEqualTo(64);
        assertThat(said()).contains("tokenizer");
        Files.write(folder.resolve("claim/captions.tar"), new byte[1024]);
        write(MANIFESTS);
        assertThat(run("--only", "Dataset/captions")).isEqualTo(65);
        assertThat(said()).contains("EmptyShard");
    }
}
