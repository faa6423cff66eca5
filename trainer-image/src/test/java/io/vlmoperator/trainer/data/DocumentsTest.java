package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.SFTJobSpec.Template;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.SampleView.Sample;
import io.vlmoperator.trainer.data.TestData.Tar;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Interleaved documents of both forms, and samples shown to people. */
class DocumentsTest {
    @TempDir
    Path root;

    private Path data;
    private Locations locations;
    private Tokenizer tokenizer;

    @BeforeEach
    void folders() throws IOException {
        locations = TestData.locations(root);
        data = root.resolve("data");
        TestData.folder(data.resolve("img"));
        for (int i = 0; i < 4; i++) {
            Files.write(data.resolve("img/" + i + ".png"), TestData.png(10 + i, 12, i));
        }
        tokenizer = Tokenizer.load(TestData.TOKENIZER.resolve("small"));
    }

    @AfterEach
    void close() {
        tokenizer.close();
    }

    private DatasetSummary build(String location, String images) {
        Source source = new Source("docs", null, null, null, new Source.Interleaved(location, images));
        DatasetSpec spec = TestData.spec(source, 96, 4, new Reject(null, null, null, null, null, 0.95));
        return TestData.build(spec, locations);
    }

    private List<Sample> samples() {
        try (SampleView view = SampleView.open(root.resolve("out/docs"), locations, tokenizer, Template.ChatML)) {
            List<Sample> samples = new ArrayList<>();
            for (int i = 0; i < view.size(); i++) {
                samples.add(view.sample(i, 16));
            }
            samples.sort(java.util.Comparator.comparing(Sample::key));
            return samples;
        }
    }

    /** Text with images as brackets. */
    private String shown(EncodedText text) {
        StringBuilder shown = new StringBuilder();
        List<Integer> ids = new ArrayList<>();
        for (int id : text.ids()) {
            if (id == EncodedText.IMAGE) {
                shown.append(decode(ids)).append("[]");
                ids.clear();
            } else {
                ids.add(id);
            }
        }
        return shown.append(decode(ids)).toString();
    }

    private String decode(List<Integer> ids) {
        return tokenizer.decode(ids.stream().mapToInt(i -> i).toArray(), false);
    }

    @Test
    void parallelListsAndMatchedTextsGiveTheSameDocument() throws IOException {
        Files.writeString(data.resolve("a.jsonl"), """
                {"id": "o", "images": ["0.png", null, null, "1.png", "2.png", null, "3.png"], "texts": [null, "one", "two", null, null, "a <image> b", null]}
                {"id": "m", "text_list": ["one", "two", "a <image> b"], "image_info": [{"image_name": "1.png", "matched_text_index": 2}, {"image_name": "0.png", "matched_text_index": 0}, {"image_name": "2.png", "matched_text_index": 2}]}
                """);
        DatasetSummary summary = build("pvc://data/a.jsonl", "pvc://data/img");
        assertThat(summary.samples()).isEqualTo(2);
        assertThat(summary.images()).isEqualTo(6);
        List<Sample> samples = samples();
        String want =
                "<s>[]\none<|endofchunk|>two<|endofchunk|>[]\n[]\na <image-placeholder> b<|endofchunk|><|im_end|>";
        for (Sample sample : samples) {
            assertThat(shown(sample.text())).isEqualTo(want);
            assertThat(sample.images()).hasSize(3);
            for (int i = 0; i < 3; i++) {
                assertThat(sample.images().get(i)).isEqualTo(TestData.png(10 + i, 12, i));
                assertThat(ImageIO.read(new ByteArrayInputStream(sample.seen().get(i)))
                                .getWidth())
                        .isEqualTo(16);
            }
            // Every text token is a target, no image is.
            for (int i = 0; i < sample.text().ids().length; i++) {
                boolean image = sample.text().ids()[i] == EncodedText.IMAGE;
                assertThat(sample.text().labels()[i])
                        .isEqualTo(image ? EncodedText.IGNORE : sample.text().ids()[i]);
            }
            assertThat(sample.length()).isEqualTo(sample.text().textTokens() + 3 * 4);
        }
        assertThat(samples.getFirst().key()).isEqualTo("0 (id o)");
        assertThat(summary.tokens())
                .isEqualTo(samples.stream().mapToLong(Sample::length).sum());
        assertThat(DatasetManifest.read(root.resolve("out/docs")).imageLiterals())
                .isEqualTo(2);
    }

    @Test
    void tarsOfJsonWithImagesInside() throws IOException {
        String inside = Base64.getEncoder().encodeToString(TestData.png(9, 9, 5));
        Tar tar = new Tar()
                .file("a.json", "{\"images\": [\"" + inside + "\", null], \"texts\": [null, \"x\"]}")
                .file(
                        "b.json",
                        "{\"images\": [\"data:image/png;base64," + inside + "\", null], \"texts\": [null, \"y\"]}")
                .file("c.txt", "no document");
        Files.write(data.resolve("a.tar"), tar.bytes());
        DatasetSummary summary = build("pvc://data/a.tar", null);
        assertThat(summary.samples()).isEqualTo(2);
        assertThat(summary.rejected()).containsExactly(new DatasetStatus.Rejected("UnsupportedMember", 1L));
        assertThat(samples().stream().map(sample -> shown(sample.text())))
                .containsExactly("<s>[]\nx<|endofchunk|><|im_end|>", "<s>[]\ny<|endofchunk|><|im_end|>");
    }

    @Test
    void everyFaultIsCounted() throws IOException {
        Files.writeString(
                data.resolve("a.jsonl"),
                String.join(
                        "\n",
                        "{\"images\": [\"0.png\", null], \"texts\": [null, \"good\"]}",
                        "{\"images\": [\"0.png\"], \"texts\": [null, \"x\"]}",
                        "{\"images\": [\"0.png\"], \"texts\": [\"both\"]}",
                        "{\"images\": [null], \"texts\": [\"no image\"]}",
                        "{\"images\": [null, \"0.png\"], \"texts\": [\"image at the end\", null]}",
                        "{\"images\": 3, \"texts\": []}",
                        "{\"other\": 1}",
                        "{\"images\": [7, null], \"texts\": [null, \"x\"]}",
                        "{\"text_list\": [\"x\"], \"image_info\": [{\"image_name\": \"0.png\", \"matched_text_index\": 1}]}",
                        "{\"images\": [\"9.png\", null], \"texts\": [null, \"x\"]}",
                        "{\"images\": [\"../x.png\", null], \"texts\": [null, \"x\"]}",
                        "{\"images\": [\"https://example.org/a.png\", null], \"texts\": [null, \"x\"]}",
                        "{\"images\": [\"data:image/png,abc\", null], \"texts\": [null, \"x\"]}",
                        "{\"images\": [\"0.png\", null], \"texts\": [null, \"" + "long ".repeat(200) + "\"]}",
                        "{broken"));
        Map<String, Long> reasons = build("pvc://data/a.jsonl", "pvc://data/img").rejected().stream()
                .collect(Collectors.toMap(DatasetStatus.Rejected::reason, DatasetStatus.Rejected::count));
        assertThat(reasons)
                .isEqualTo(Map.of(
                        "DocumentInvalid", 8L,
                        "ImageMissing", 2L,
                        "UnsafeImagePath", 1L,
                        "ImageUndecodable", 1L,
                        "SampleTooLong", 1L,
                        "JsonInvalid", 1L));
    }

    @Test
    void damagedDocumentsEndWithAReason() {
        byte[] good =
                "{\"text_list\": [\"one\", \"two\"], \"image_info\": [{\"image_name\": \"1.png\", \"matched_text_index\": 1}]}"
                        .getBytes(java.nio.charset.StandardCharsets.UTF_8);
        Random random = new Random(3);
        int refused = 0;
        for (int round = 0; round < 3_000; round++) {
            byte[] bytes = round % 3 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
            for (int i = 0; i < 1 + round % 4 && bytes.length > 0; i++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            try {
                Document document = Document.parse(bytes);
                assertThat(document.images()).isNotEmpty();
            } catch (RejectedException e) {
                refused++;
            }
        }
        assertThat(refused).isGreaterThan(1_000);
    }

    @Test
    void aSampleThatIsNotThereAndAnotherTokenizerAreNamed() throws IOException {
        Files.writeString(data.resolve("a.jsonl"), "{\"images\": [\"0.png\", null], \"texts\": [null, \"good\"]}");
        build("pvc://data/a.jsonl", "pvc://data/img");
        try (SampleView view = SampleView.open(root.resolve("out/docs"), locations, tokenizer, Template.ChatML)) {
            assertThatThrownBy(() -> view.sample(1, 16))
                    .isInstanceOfSatisfying(
                            TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                    .hasMessageContaining("samples 0 to 0");
            Files.write(data.resolve("img/0.png"), TestData.png(11, 11, 99));
            assertThatThrownBy(() -> view.sample(0, 16)).hasMessageContaining("changed since the Dataset was made");
        }
    }
}
