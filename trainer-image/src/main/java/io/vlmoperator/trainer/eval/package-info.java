/**
 * Evaluation: asks a model the questions of a benchmark by one or more protocols and writes scores and predictions. What each number means
 * stands in {@code src/docs/evaluation.md}.
 */
package io.vlmoperator.trainer.eval;
