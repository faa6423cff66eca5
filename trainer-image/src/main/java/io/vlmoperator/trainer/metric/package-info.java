/** What a run tells: console lines, metrics.jsonl, TensorBoard event files, and reports to the operator. */
package io.vlmoperator.trainer.metric;
