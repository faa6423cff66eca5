package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.storage.ObjectServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Every verb of {@code vlm-trainer}, with everything that it reads and writes in a bucket: from a tar to a score, and around it. */
@Timeout(1800)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class VerbsOnStoreContract {
    private static final Path ENCODER = Path.of("src/test/resources/reference/vlm/model/vision");

    private ObjectServer server;

    @TempDir
    Path folder;

    private final ByteArrayOutputStream said = new ByteArrayOutputStream();

    /** Starts one. */
    abstract ObjectServer open() throws Exception;

    @BeforeAll
    void start() throws Exception {
        server = open();
        server.bucket("verbs");
    }

    @AfterAll
    void stop() throws Exception {
        if (server != null) {
            server.close();
        }
    }

    private int run(String... arguments) {
        said.reset();
        PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);
        Map<String, String> environment = server.environment(folder.resolve("cache"));
        return Main.run(Arrays.asList(arguments), environment, out, out);
    }

    private String said() {
        return said.toString(StandardCharsets.UTF_8);
    }

    private void done(String... arguments) {
        assertThat(run(arguments))
                .as(() -> String.join(" ", arguments) + "\n" + said())
                .isZero();
    }

    private Path bucket() throws IOException {
        return server.buckets(folder.resolve("own")).path("s3://verbs/c");
    }

    @Test
    void everythingLiesInABucket() throws IOException {
        Path c = bucket();
        RunCommandTest.prepare(c, 16, 4);
        String manifests = RunCommandTest.MANIFESTS
                .replace("pvc://c", "s3://verbs/c")
                .replace("steps: 90", "steps: 2")
                .replace("epochs: 26", "steps: 4")
                .replace("precision: Float32", "precision: Float32\n  checkpoints: {everySteps: 2}");
        Files.writeString(c.resolve("manifests/all.yaml"), manifests);

        done("run", "s3://verbs/c/manifests");
        assertThat(said()).contains("EvalJob").contains("accuracy");
        assertThat(Files.readString(c.resolve("eval/results.json"))).contains("\"value\"");
        done("run", "s3://verbs/c/manifests/all.yaml");
        assertThat(said().lines().filter(l -> l.contains("Completed (before)"))).isNotEmpty();
        assertThat(said()).doesNotContain("step 1/");

        done("checkpoint", "list", "s3://verbs/c/pretrain");
        done("checkpoint", "verify", "s3://verbs/c/pretrain");
        done("checkpoint", "prune", "s3://verbs/c/pretrain", "--keep", "1");
        assertThat(said()).contains("\"step\":4").contains("\"deleted\":[2]");

        done(
                "generate",
                "--checkpoint",
                "s3://verbs/c/sft",
                "--image",
                "s3://verbs/c/images/0.png",
                "--max-new-tokens",
                "2");
        done(
                "data",
                "show",
                "s3://verbs/c/packed",
                "--tokenizer",
                "s3://verbs/c/tokenizer",
                "--images",
                "s3://verbs/c/shown");
        try (Stream<Path> shown = Files.list(c.resolve("shown"))) {
            assertThat(shown.map(f -> f.getFileName().toString())).contains("sample-0-image-0.png");
        }
        done("data", "fetch", "s3://verbs/c/copy", "--folder", "s3://verbs/c/tokenizer");
        assertThat(Files.size(c.resolve("copy/tokenizer.json")))
                .isEqualTo(Files.size(c.resolve("tokenizer/tokenizer.json")));

        models(c, manifests);
        refused();
    }

    /** Models of other libraries: written to the bucket, read from it, and begun with. */
    private void models(Path c, String manifests) throws IOException {
        done("export", "--checkpoint", "s3://verbs/c/sft", "--to", "s3://verbs/c/llava");
        assertThat(Files.readString(c.resolve("llava/config.json"))).contains("LlavaForConditionalGeneration");
        done("export", "--checkpoint", "s3://verbs/c/sft", "--to", "s3://verbs/c/text", "--text-only");
        assertThat(Files.readString(c.resolve("text/config.json"))).contains("Qwen2ForCausalLM");
        done("import", "--llava", "s3://verbs/c/llava", "--to", "s3://verbs/c/imported", "--tokens-per-image", "4");
        Path here = folder.resolve("imported");
        done("import", "--llava", "s3://verbs/c/llava", "--to", here.toString(), "--tokens-per-image", "4");
        Path seen = server.buckets(folder.resolve("seen")).path("s3://verbs/c/imported");
        try (Stream<Path> files = Files.list(here)) {
            assertThat(files.toList())
                    .hasSizeGreaterThan(2)
                    .allSatisfy(file -> assertThat(Files.readAllBytes(
                                    seen.resolve(file.getFileName().toString())))
                            .isEqualTo(Files.readAllBytes(file)));
        }
        for (String name : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(ENCODER.resolve(name), c.resolve("siglip").resolve(name));
        }
        String other = manifests.substring(
                manifests.indexOf("kind: PretrainJob"),
                manifests.indexOf("---", manifests.indexOf("kind: PretrainJob")));
        String from = "apiVersion: vlm-operator.io/v1alpha1\n"
                + other.replaceFirst("(?s)language:.*?projector:", """
                language: {location: "s3://verbs/c/text"}
                    vision: {location: "s3://verbs/c/siglip", activation: Erf}
                    projector:""")
                        .replace("s3://verbs/c/pretrain", "s3://verbs/c/begun")
                        .replace("steps: 4", "steps: 1");
        String dataset = manifests.substring(manifests.indexOf("kind: Dataset"), manifests.lastIndexOf("---"));
        Files.writeString(c.resolve("others/p.yaml"), from + "---\napiVersion: vlm-operator.io/v1alpha1\n" + dataset);
        done("plan", "s3://verbs/c/others", "--gpu", "H100-80G", "--nodes", "1", "--gpus-per-node", "1");
        assertThat(said()).contains("PretrainJob colours").contains("weights");
        done("run", "s3://verbs/c/others");
        assertThat(said()).contains("step 1/1");
    }

    /** Where a bucket makes no sense the answer says what to do. */
    private void refused() {
        for (String[] words : new String[][] {
            {"verify", "s3://verbs/c/reference"}, {"bench-images", "s3://verbs/c/captions.tar"},
        }) {
            assertThat(run(words)).isEqualTo(64);
            assertThat(said()).contains("vlm-trainer data fetch FOLDER --folder " + words[1]);
        }
        assertThat(run("generate", "--checkpoint", "s3://verbs/c/nothing", "--prompt", "x"))
                .isEqualTo(64);
        assertThat(said()).contains("s3://verbs/c/nothing");
        assertThat(run("export", "--checkpoint", "s3://nowhere/c", "--to", "s3://verbs/c/x"))
                .isEqualTo(64);
        assertThat(said()).contains("there is no bucket nowhere");
        assertThat(run("import", "--llava", "s3://verbs/c/none", "--to", "s3://verbs/c/x"))
                .isEqualTo(64);
        assertThat(said()).contains("s3://verbs/c/none");
    }
}
