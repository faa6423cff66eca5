package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.data.Bicubic;
import io.vlmoperator.trainer.data.FilterModel;
import io.vlmoperator.trainer.data.ImageDecoder;
import io.vlmoperator.trainer.data.Normalize;
import io.vlmoperator.trainer.data.Pixels;
import io.vlmoperator.trainer.data.RejectedException;
import io.vlmoperator.trainer.model.Generator;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import io.vlmoperator.trainer.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * MLM-Filter's way of scoring with a model of ours: image, caption and what is asked for in the chat template, greedy decoding of a few
 * tokens behind one blank, which saves the step that would generate it. Read when it is first asked.
 */
public final class CaptionFilter implements FilterModel {
    /** Longer prompts lose the end of their caption; without the places of the image. */
    private static final int MAX_PROMPT = 2040;
    /** Gray of LLaVA's padding for an encoder with mean 0.5: {@code int(0.5 * 255)}. */
    private static final byte PADDING = 127;

    private static final int MAX_SQUARE = 4096;

    private final ModelLoader.Source source;
    private final FilterSettings settings;
    private final String digest;
    private final int threads;
    private final ImageDecoder decoder = new ImageDecoder();
    private Optional<Ready> ready = Optional.empty();

    /** The model in memory. */
    private record Ready(Scope scope, Subject subject, Generator generator, Set<Integer> ends, int[] blank) {}

    private CaptionFilter(Path folder, int threads) {
        source = ModelLoader.find(folder, Optional.empty());
        settings = FilterSettings.of(folder);
        digest = Json.digest(List.of("caption filter 1", source.digest(), settings));
        this.threads = threads;
    }

    /**
     * Opens run folders, checkpoints and imported models.
     *
     * @param threads for the model
     */
    public static Opener opener(int threads) {
        return folder -> new CaptionFilter(folder, threads);
    }

    @Override
    public String digest() {
        return digest;
    }

    @Override
    public int batch() {
        return settings.batch();
    }

    @Override
    public float[] pixels(byte[] file) throws RejectedException {
        int side = source.config().vision().imageSize();
        Pixels decoded = decoder.decode(file);
        Pixels seen = Bicubic.resize(settings.padToSquare() ? square(decoded) : decoded, side, side);
        float[] values = new float[3 * side * side];
        Normalize.toCHW(seen, values, 0);
        return values;
    }

    /** The picture in the middle of a gray square; a long one is made smaller first, so that its square fits into memory. */
    static Pixels square(Pixels image) {
        int side = Math.max(image.width(), image.height());
        if (image.width() == image.height()) {
            return image;
        }
        if (side > MAX_SQUARE) {
            return square(Bicubic.resize(
                    image, Math.max(1, (int) ((long) image.width() * MAX_SQUARE / side)), Math.max(1, (int)
                            ((long) image.height() * MAX_SQUARE / side))));
        }
        byte[] rgb = new byte[3 * side * side];
        Arrays.fill(rgb, PADDING);
        int left = (side - image.width()) / 2;
        int top = (side - image.height()) / 2;
        int line = 3 * image.width();
        for (int y = 0; y < image.height(); y++) {
            System.arraycopy(image.rgbHWC(), line * y, rgb, 3 * ((y + top) * side + left), line);
        }
        return new Pixels(side, side, rgb);
    }

    @Override
    public List<String> ask(Select.Metric metric, List<Sample> samples) {
        Ready model = ready();
        List<EncodedText> prompts = samples.stream()
                .map(sample -> prompt(model, settings.prompts().get(metric), sample.caption()))
                .toList();
        List<int[]> said = model.generator()
                .greedy(
                        Sequences.batch(
                                prompts,
                                samples.stream()
                                        .map(sample -> List.of(sample.pixels()))
                                        .toList(),
                                model.subject().tokensPerImage(),
                                model.subject().imageSize()),
                        settings.maxNewTokens(),
                        model.ends());
        List<String> answers = new ArrayList<>();
        for (int[] ids : said) {
            answers.add(model.subject().tokenizer().decode(ids, true));
        }
        return answers;
    }

    /** The prompt with its blank; a caption that is too long loses its end, never the question. */
    private EncodedText prompt(Ready model, String template, String caption) {
        Tokenizer tokenizer = model.subject().tokenizer();
        int tokensPerImage = model.subject().tokensPerImage();
        long most = Math.min(
                (long) MAX_PROMPT + tokensPerImage, (long) model.subject().longest() - settings.maxNewTokens());
        String text = caption.strip().replace(Tokenizer.IMAGE, Templates.IMAGE_LITERAL);
        while (true) {
            EncodedText prompt = Prompts.chat(tokenizer, template.replace(FilterSettings.CAPTION, text), 1);
            long over = prompt.length(tokensPerImage) + model.blank().length - most;
            if (over <= 0) {
                return withBlank(prompt, model.blank());
            }
            int[] ids = tokenizer.encode(text);
            if (ids.length == 0) {
                throw TrainerException.configuration(
                        "the filter model reads " + model.subject().longest()
                                + " tokens, which the prompt without any caption exceeds; write a shorter one into "
                                + FilterSettings.FILE);
            }
            // At least one less each time, whatever the decoded text is encoded to.
            int left = (int) Math.max(0, ids.length - over);
            String shorter = tokenizer.decode(Arrays.copyOf(ids, left), false);
            text = shorter.length() < text.length() ? shorter : text.substring(0, text.length() / 2);
        }
    }

    private static EncodedText withBlank(EncodedText prompt, int[] blank) {
        int length = prompt.ids().length;
        int[] ids = Arrays.copyOf(prompt.ids(), length + blank.length);
        int[] labels = Arrays.copyOf(prompt.labels(), length + blank.length);
        System.arraycopy(blank, 0, ids, length, blank.length);
        Arrays.fill(labels, length, labels.length, EncodedText.IGNORE);
        return new EncodedText(ids, labels);
    }

    private Ready ready() {
        if (ready.isEmpty()) {
            Torch.start().threads(threads);
            Scope scope = Scope.open();
            try {
                ModelLoader.Loaded loaded = ModelLoader.open(source, Set.of(), OptionalInt.empty(), scope);
                ready = Optional.of(ready(scope, loaded));
            } catch (RuntimeException e) {
                scope.close();
                throw e;
            }
        }
        return ready.get();
    }

    private static Ready ready(Scope scope, ModelLoader.Loaded loaded) {
        Tokenizer tokenizer = Tokenizer.load(loaded.tokenizer().toAbsolutePath().getParent());
        try {
            return new Ready(
                    scope,
                    new Subject(loaded.model(), tokenizer, loaded.step(), loaded.digest()),
                    new Generator(loaded.model()),
                    GeneratedAnswers.ends(tokenizer),
                    tokenizer.encode(" "));
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    @Override
    public void close() {
        ready.ifPresent(model -> {
            model.subject().tokenizer().close();
            model.scope().close();
        });
        ready = Optional.empty();
    }
}
