package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.model.Generator;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** One question about one image, for a person at a terminal: {@code vlm-trainer generate}. */
public final class Generate {
    private static final long MAX_IMAGE_BYTES = 256L << 20;

    private Generate() {}

    /**
     * The greedy answer of a model.
     *
     * @param checkpoint a run folder (its newest checkpoint), one checkpoint's folder, or an export
     * @param prompt asked in the chat template; empty: the model goes on with the image's caption, as it was pre-trained
     * @param maxNewTokens at least 1
     * @throws TrainerException InvalidConfiguration for a checkpoint or image that is not there, or a prompt that is too long; InvalidData
     *     for an image that can't be decoded
     */
    public static String answer(Path checkpoint, Path image, String prompt, int maxNewTokens) {
        if (maxNewTokens < 1) {
            throw TrainerException.configuration(
                    "the answer may have " + maxNewTokens + " tokens; at least 1 is needed");
        }
        byte[] file = bytes(image);
        try (Scope scope = Scope.open()) {
            ModelLoader.Loaded loaded = ModelLoader.open(
                    ModelLoader.find(checkpoint, Optional.empty()), Set.of(), OptionalInt.empty(), scope);
            try (Tokenizer tokenizer =
                    Tokenizer.load(loaded.tokenizer().toAbsolutePath().getParent())) {
                Subject subject = new Subject(loaded.model(), tokenizer, loaded.step(), loaded.digest());
                EncodedText text = prompt.isEmpty() ? Prompts.openCaption(tokenizer) : Prompts.chat(tokenizer, prompt);
                long tokens = text.length(subject.tokensPerImage()) + maxNewTokens;
                if (tokens > subject.longest()) {
                    throw TrainerException.configuration("image, prompt and answer take " + tokens
                            + " tokens, the model reads " + subject.longest() + "; shorten the prompt or the answer");
                }
                float[] pixels;
                try {
                    pixels = EvalStage.images().read(file, subject.imageSize());
                } catch (TrainerException e) {
                    throw new TrainerException(e.code(), image + ": " + e.getMessage(), e);
                }
                List<int[]> said = new Generator(subject.model())
                        .greedy(
                                Sequences.batch(
                                        List.of(text), List.of(pixels), subject.tokensPerImage(), subject.imageSize()),
                                maxNewTokens,
                                GreedyAnswers.ends(tokenizer));
                return tokenizer.decode(said.getFirst(), true).strip();
            }
        }
    }

    private static byte[] bytes(Path image) {
        if (!Files.isRegularFile(image)) {
            throw TrainerException.configuration(image + " is no file; name an image (PNG, JPEG or GIF)");
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
