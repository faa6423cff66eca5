package io.vlmoperator.trainer.model;

/** The three parts of the model, each trained or frozen as a whole, with the prefix of its parameters in a LLaVA checkpoint. */
public enum Part {
    VISION("vision_tower."),
    PROJECTOR("multi_modal_projector."),
    LANGUAGE("language_model.");

    private final String prefix;

    Part(String prefix) {
        this.prefix = prefix;
    }

    /** What stands before the part's own parameter names. */
    public String prefix() {
        return prefix;
    }
}
