package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.model.Generator;
import io.vlmoperator.trainer.model.Sampling;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;

/** One question about some images, for a person at a terminal: {@code vlm-trainer generate}. */
public final class Generate {
    /** Images of one question. */
    public static final int MAX_IMAGES = 64;

    private static final long MAX_IMAGE_BYTES = 256L << 20;

    private Generate() {}

    /**
     * What is asked.
     *
     * @param checkpoint a run folder (its newest checkpoint), one checkpoint's folder, or an export
     * @param images at most {@value #MAX_IMAGES}; they stand where the prompt says {@code <image>}, or all in front of it
     * @param prompt asked in the chat template; empty: the model goes on with the caption of the one image, as it was pre-trained
     * @param maxNewTokens at least 1
     * @param seed of sampling
     * @param stops the answer ends before the first of these texts
     */
    public record Request(
            Path checkpoint,
            List<Path> images,
            String prompt,
            int maxNewTokens,
            Sampling sampling,
            long seed,
            List<String> stops) {
        /** @throws TrainerException InvalidConfiguration for values that do not fit each other */
        public Request {
            images = List.copyOf(images);
            stops = List.copyOf(stops);
            if (maxNewTokens < 1) {
                throw TrainerException.configuration(
                        "the answer may have " + maxNewTokens + " tokens; at least 1 is needed");
            }
            if (images.size() > MAX_IMAGES) {
                throw TrainerException.configuration(
                        images.size() + " images; at most " + MAX_IMAGES + " are possible");
            }
            if (prompt.isEmpty() && images.size() != 1) {
                throw TrainerException.configuration(
                        "without a prompt the model writes the caption of one image; there are " + images.size()
                                + ": give --prompt");
            }
        }
    }

    /**
     * The answer of a model, without white space around it.
     *
     * @param news hears the answer piece by piece while it is generated
     * @throws TrainerException InvalidConfiguration for a checkpoint or image that is not there, or a prompt that is too long; InvalidData
     *     for an image that can't be decoded; NonFinite for a model whose logits are no numbers
     */
    public static String answer(Request request, Consumer<String> news) {
        List<byte[]> files = request.images().stream().map(Generate::bytes).toList();
        try (Scope scope = Scope.open()) {
            ModelLoader.Loaded loaded = ModelLoader.open(
                    ModelLoader.find(request.checkpoint(), Optional.empty()), Set.of(), OptionalInt.empty(), scope);
            try (Tokenizer tokenizer =
                    Tokenizer.load(loaded.tokenizer().toAbsolutePath().getParent())) {
                Subject subject = new Subject(loaded.model(), tokenizer, loaded.step(), loaded.digest());
                EncodedText text = request.prompt().isEmpty()
                        ? Prompts.openCaption(tokenizer)
                        : Prompts.chat(tokenizer, request.prompt(), files.size());
                long tokens = text.length(subject.tokensPerImage()) + request.maxNewTokens();
                if (tokens > subject.longest()) {
                    throw TrainerException.configuration("images, prompt and answer take " + tokens
                            + " tokens, the model reads " + subject.longest() + "; shorten the prompt or the answer");
                }
                List<float[]> pixels = new ArrayList<>();
                for (int i = 0; i < files.size(); i++) {
                    pixels.add(pixels(request.images().get(i), files.get(i), subject.imageSize()));
                }
                return say(subject, request, text, pixels, news);
            }
        }
    }

    private static String say(
            Subject subject, Request request, EncodedText text, List<float[]> pixels, Consumer<String> news) {
        AnswerText answer;
        try {
            answer = new AnswerText(subject.tokenizer(), request.stops());
        } catch (IllegalArgumentException e) {
            throw new TrainerException(ExitCode.InvalidConfiguration, e.getMessage(), e);
        }
        try {
            new Generator(subject.model())
                    .generate(
                            Sequences.batch(
                                    List.of(text), List.of(pixels), subject.tokensPerImage(), subject.imageSize()),
                            new Generator.Request(
                                    request.maxNewTokens(),
                                    GeneratedAnswers.ends(subject.tokenizer()),
                                    request.sampling()),
                            new long[] {request.seed()},
                            (row, id) -> {
                                boolean goesOn = answer.add(id);
                                news.accept(answer.news());
                                return goesOn;
                            });
        } catch (ArithmeticException e) {
            throw new TrainerException(
                    ExitCode.NonFinite,
                    "the model's answer is no number (" + e.getMessage()
                            + "): the checkpoint has diverged; take an earlier one",
                    e);
        }
        news.accept(answer.rest());
        return answer.text().strip();
    }

    private static float[] pixels(Path image, byte[] file, int side) {
        try {
            return EvalStage.images().read(file, side);
        } catch (TrainerException e) {
            throw new TrainerException(e.code(), image + ": " + e.getMessage(), e);
        }
    }

    private static byte[] bytes(Path image) {
        if (!Files.isRegularFile(image)) {
            throw TrainerException.configuration(image + " is no file; name an image (PNG, JPEG, GIF or WebP)");
        }
        try {
            if (Files.size(image) > MAX_IMAGE_BYTES) {
                throw TrainerException.data(image + " is larger than " + (MAX_IMAGE_BYTES >> 20) + " MiB");
            }
            return Files.readAllBytes(image);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + image + ": " + e.getMessage(), e);
        }
    }
}
