/**
 * Scoring rules of the benchmarks: pure functions from answers to scores, without a judge model, a clock or a random number. They follow
 * the protocols of VLMEvalKit, lmms-eval and the paper's harness as {@code src/docs/evaluation.md} states them; goldens in the tests fix
 * every detail.
 */
package io.vlmoperator.trainer.eval.scoring;
