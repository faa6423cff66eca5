package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.text.Tokenizer;

/**
 * What is scored.
 *
 * @param step the checkpoint's; 0 for one that has none
 * @param digest of the checkpoint
 */
record Subject(VisionLanguageModel model, Tokenizer tokenizer, long step, String digest) {
    /** @throws TrainerException InvalidConfiguration if the tokenizer has ids that the model lacks */
    Subject {
        int known = model.config().language().vocabSize();
        if (tokenizer.vocabularySize() > known) {
            throw TrainerException.configuration("the tokenizer " + tokenizer.name() + " has "
                    + tokenizer.vocabularySize() + " entries, but the checkpoint's vocabulary ends at " + known
                    + "; use the tokenizer that the model was trained with");
        }
        tokenizer.id(Tokenizer.MESSAGE_START);
        tokenizer.id(Tokenizer.MESSAGE_END);
        tokenizer.id(Tokenizer.BEGIN);
    }

    int tokensPerImage() {
        return model.config().projector().tokensPerImage();
    }

    int imageSize() {
        return model.config().vision().imageSize();
    }

    /** Longest sequence the model was made for, visual tokens included. */
    int longest() {
        return model.config().language().maxPositionEmbeddings();
    }
}
