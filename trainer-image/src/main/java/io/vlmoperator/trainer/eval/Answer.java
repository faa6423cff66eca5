package io.vlmoperator.trainer.eval;

import java.util.Optional;

/**
 * What the model said to one question.
 *
 * @param text the generated text, or the letter of the likeliest option
 * @param letter what was read out of it; empty: no rule could read it
 */
record Answer(Question question, String text, Optional<String> letter, boolean hit) {}
