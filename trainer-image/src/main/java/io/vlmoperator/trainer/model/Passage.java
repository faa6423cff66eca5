package io.vlmoperator.trainer.model;

/**
 * What a training loop does on a batch's way through the {@linkplain VisionLanguageModel#stages() stages}. Not every batch passes every
 * stage: without images the encoder is left out.
 */
public interface Passage {
    /** Does nothing. */
    Passage NONE = new Passage() {
        @Override
        public void entering(int stage) {}

        @Override
        public void left(int stage) {}
    };

    /** Called before the stage reads its weights on the way forward. */
    void entering(int stage);

    /** Called when the gradients of this stage, and so of all later ones, are complete as far as this batch is concerned. */
    void left(int stage);
}
