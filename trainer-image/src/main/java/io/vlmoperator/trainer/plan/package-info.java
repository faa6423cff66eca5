/** What a training job will need, before it runs: memory by part, floating point operations by part, time and communication. Pure arithmetic. */
package io.vlmoperator.trainer.plan;
