package io.vlmoperator.emoji;

/** Whose drawing of an emoji. The first two are trained on; Facebook's are the benchmark and nothing else. */
public enum DrawingSet {
    GOOGLE("google", true),
    TWITTER("twitter", true),
    FACEBOOK("facebook", false);

    private final String id;
    private final boolean trained;

    DrawingSet(String id, boolean trained) {
        this.id = id;
        this.trained = trained;
    }

    /** The name in emoji.json ({@code has_img_ID}) and in the package's paths ({@code img/ID/64}). */
    public String id() {
        return id;
    }

    /** Whether training data may hold these drawings. */
    public boolean trained() {
        return trained;
    }
}
