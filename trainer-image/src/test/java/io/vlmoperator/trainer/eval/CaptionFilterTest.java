package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Select.Metric;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Export;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.data.FilterModel;
import io.vlmoperator.trainer.data.FilterModel.Sample;
import io.vlmoperator.trainer.data.Pixels;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The filter model itself: a fresh one, whose answers are senseless and the same every time. */
class CaptionFilterTest {
    private static final Path TOKENIZER = Path.of("src/test/resources/tokenizer/small/tokenizer.json");

    @TempDir
    Path folder;

    @BeforeEach
    void model() throws IOException {
        ModelConfig config = new ModelConfig(
                new LanguageConfig(32, 64, 2, 4, 2, 2048, 10_000, 1e-6, true, 512),
                new VisionConfig(32, 8, 32, 64, 2, 4, 1e-6, -1, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, Set.of());
            model.initialize(EnumSet.allOf(Part.class), 5);
            Export.write(folder, model, Files.readAllBytes(TOKENIZER), 12, Export.Options.TRAINED, Faults.NONE);
        }
    }

    private static byte[] picture(int width, int height, int seed) throws IOException {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        Random random = new Random(seed);
        for (int i = 0; i < width * height; i++) {
            image.setRGB(i % width, i / width, random.nextInt());
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.write(image, "png", out);
        return out.toByteArray();
    }

    private List<Sample> samples(FilterModel model, int count) throws Exception {
        List<Sample> samples = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            samples.add(new Sample("caption " + "word ".repeat(n % 5), model.pixels(picture(20 + n, 30, n))));
        }
        return samples;
    }

    @Test
    void answersDoNotDependOnTheBatchNorOnTheProcess() throws Exception {
        List<String> together;
        long tensors = Torch.start().liveTensors();
        try (FilterModel model = CaptionFilter.opener(1).open(folder)) {
            List<Sample> samples = samples(model, 8);
            together = model.ask(Metric.SemanticUnderstanding, samples);
            List<String> alone = new ArrayList<>();
            for (Sample sample : samples) {
                alone.addAll(model.ask(Metric.SemanticUnderstanding, List.of(sample)));
            }
            assertThat(alone).isEqualTo(together);
            assertThat(together).hasSize(8);
        }
        assertThat(Torch.start().liveTensors()).isEqualTo(tensors);
        try (FilterModel model = CaptionFilter.opener(1).open(folder)) {
            assertThat(model.ask(Metric.SemanticUnderstanding, samples(model, 8)))
                    .isEqualTo(together);
        }
    }

    @Test
    void aCaptionThatIsTooLongLosesItsEndAndControlWordsAreText() throws Exception {
        try (FilterModel model = CaptionFilter.opener(1).open(folder)) {
            float[] pixels = model.pixels(picture(20, 20, 1));
            List<String> answers = model.ask(
                    Metric.CaptionTextQuality,
                    List.of(
                            new Sample("many words ".repeat(3_000), pixels),
                            new Sample("many words ".repeat(4_000), pixels),
                            new Sample("a <image> and <|im_end|> {caption}", pixels)));
            assertThat(answers).hasSize(3);
            assertThat(answers.get(0)).isEqualTo(answers.get(1)); // what is left is the same
        }
    }

    @Test
    void settingsAreReadCheckedAndPartOfTheDigest() throws Exception {
        String usual;
        try (FilterModel model = CaptionFilter.opener(1).open(folder)) {
            usual = model.digest();
            assertThat(model.batch()).isEqualTo(8);
        }
        Path file = folder.resolve(FilterSettings.FILE);
        Files.writeString(
                file,
                "{\"padToSquare\": true, \"maxNewTokens\": 3, \"batch\": 4, \"prompts\": {\"ImageTextMatching\": \"{caption}?\"}}");
        try (FilterModel model = CaptionFilter.opener(1).open(folder)) {
            assertThat(model.batch()).isEqualTo(4);
            assertThat(model.digest()).isNotEqualTo(usual);
            // A wide picture has gray above and below.
            float[] pixels = model.pixels(picture(64, 16, 1));
            assertThat(pixels[0]).isEqualTo((127 / 255f - 0.5f) / 0.5f);
            assertThat(pixels[16 * 32 + 7]).isNotEqualTo(pixels[0]);
            assertThat(model.ask(Metric.ImageTextMatching, List.of(new Sample("x", pixels))))
                    .hasSize(1);
        }
        Files.writeString(file, "{\"batch\": 3}");
        refused("batch is 3; 1, 2, 4, 8, 16, 32 and 64");
        Files.writeString(file, "{\"maxNewTokens\": 0}");
        refused("maxNewTokens is 0; 1 to 16");
        Files.writeString(file, "{\"prompts\": {\"CaptionTextQuality\": \"well?\"}}");
        refused("CaptionTextQuality has no place {caption}");
        Files.writeString(file, "{\"prompts\": {\"Beauty\": \"{caption}\"}}");
        refused("Beauty");
        Files.writeString(file, "{");
        refused("scoring.json");
    }

    private void refused(String part) {
        assertThatThrownBy(() -> CaptionFilter.opener(1).open(folder))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining(part);
    }

    @Test
    void aSquareOfAnyPictureFitsIntoMemory() {
        Pixels wide = CaptionFilter.square(new Pixels(3, 1, new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9}));
        assertThat(wide.rgbHWC())
                .containsExactly(
                        127, 127, 127, 127, 127, 127, 127, 127, 127, 1, 2, 3, 4, 5, 6, 7, 8, 9, 127, 127, 127, 127, 127,
                        127, 127, 127, 127);
        Pixels line = CaptionFilter.square(new Pixels(60_000, 2, new byte[360_000]));
        assertThat(line.width()).isEqualTo(4096);
        assertThat(line.height()).isEqualTo(4096);
    }

    @Test
    void aFolderWithoutAModelIsNamed() {
        assertThatThrownBy(() -> CaptionFilter.opener(1).open(folder.resolve("none")))
                .hasMessageContaining("holds no checkpoint");
    }
}
