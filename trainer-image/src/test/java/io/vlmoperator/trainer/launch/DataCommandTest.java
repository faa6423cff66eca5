package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.data.DatasetBuilder;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataCommandTest {
    private static final String TOKENIZER =
            Path.of("src/test/resources/tokenizer/small").toAbsolutePath().toString();

    @TempDir
    Path root;

    private String output;

    private int show(String... words) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        List<String> all = new java.util.ArrayList<>(List.of("data", "show"));
        all.addAll(List.of(words));
        int code = Main.run(all, Map.of(), out, out);
        output = bytes.toString(StandardCharsets.UTF_8);
        return code;
    }

    @Test
    void aConversationAsTheModelSeesIt() throws Exception {
        ImageIO.write(
                new BufferedImage(20, 10, BufferedImage.TYPE_INT_RGB),
                "png",
                root.resolve("a.png").toFile());
        Files.writeString(
                root.resolve("talks.jsonl"),
                "{\"id\": \"x\\u001b[31m\", \"image\": \"a.png\", \"conversations\": [{\"from\": \"human\", \"value\": \"<image>\\nWhat?\"},"
                        + " {\"from\": \"gpt\", \"value\": \"A cat\\u202e.\"}]}\n");
        Source source =
                new Source("talks", null, null, new Source.Conversations("pvc://data/talks.jsonl", "pvc://data"), null);
        DatasetSpec spec = new DatasetSpec(
                List.of(source),
                null,
                null,
                new Pack(96, 4, Pack.Algorithm.None, "file://" + TOKENIZER),
                new DatasetSpec.Output("pvc://data/out", null, null),
                null,
                null,
                null,
                null);
        new DatasetBuilder(spec, Locations.of(Map.of("data", root)), DatasetBuilder.Options.alone())
                .build((done, total) -> {});
        String folder = root.resolve("out").toString();
        String mount = "--mount=data=" + root;
        String images = root.resolve("images").toString();

        assertThat(show(folder, mount, "--tokenizer", TOKENIZER, "--images", images, "--image-size", "32"))
                .as(output)
                .isZero();
        assertThat(output)
                .contains("sample 0 of 1: row 0, position 0")
                .contains("pvc://data/talks.jsonl, key 0 (id x\\u{1b}[31m)")
                .contains("1 image(s) of 4")
                .contains("<|im_start|>user\n[image 0]\nWhat?<|im_end|>")
                .contains("A cat\\u{202e}.<|im_end|>")
                .containsPattern("image +no  \\[image 0: places \\d+ to \\d+]")
                .containsPattern("\\d+ +yes  \"<\\|im_end\\|>\"")
                .containsPattern("\\d+ +no  \"<\\|im_start\\|>\"")
                .doesNotContain("\u001b");
        assertThat(ImageIO.read(root.resolve("images/sample-0-image-0.png").toFile())
                        .getWidth())
                .isEqualTo(20);
        BufferedImage seen =
                ImageIO.read(root.resolve("images/sample-0-image-0-32.png").toFile());
        assertThat(seen.getWidth()).isEqualTo(32);
        assertThat(seen.getHeight()).isEqualTo(32);

        assertThat(show(folder, mount, "--tokenizer", TOKENIZER, "--sample", "1"))
                .isEqualTo(64);
        assertThat(output).contains("there is no sample 1; the Dataset has samples 0 to 0");
        assertThat(show(folder, mount)).isEqualTo(64);
        assertThat(output).contains("--tokenizer is missing");
        assertThat(show(root.toString(), mount, "--tokenizer", TOKENIZER)).isEqualTo(64);
        assertThat(output).contains("dataset.json");
        assertThat(show(folder, mount, "--tokenizer", TOKENIZER, "--template", "Other"))
                .isEqualTo(64);
        assertThat(output).contains("ChatML, PaperCompatible");
    }
}
