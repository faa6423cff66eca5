package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.text.EncodedText;
import java.util.List;

/** Puts questions to a model by one protocol. */
interface Asker {
    /**
     * A question as the model reads it.
     *
     * @param texts of {@link #texts}
     * @param images normalised pixels of the images of each of its texts, in their order, {@code 3 * side * side} each
     */
    record Seen(Question question, List<EncodedText> texts, List<float[]> images) {}

    /** The sequences of one question; their images not yet expanded. */
    List<EncodedText> texts(Question question);

    /** Tokens that an answer may add to a sequence. */
    int room();

    /** Answers, in the order of the questions. */
    List<Answer> ask(List<Seen> questions);
}
