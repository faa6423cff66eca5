package io.vlmoperator.api.spec;

/** The three parts of the model. */
public enum Part {
    Vision,
    Projector,
    Language
}
