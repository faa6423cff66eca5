package io.vlmoperator.trainer.eval;

import java.util.Optional;

/**
 * What the model said to one question.
 *
 * @param text the generated text, or the letter of the likeliest option
 * @param read what was read out of it; empty: no rule could read it
 * @param score 0 (wrong) to 1 (right); between them where annotators disagree
 */
record Answer(Question question, String text, Optional<String> read, double score) {}
