/** The step: accumulate, backward, reduce, clip, update; and what surrounds it: schedule, guards, log, checkpoints. */
package io.vlmoperator.trainer.train;
