/** Runs the trainer's own code on reference cases (a folder of inputs and expected results) and compares. */
package io.vlmoperator.trainer.verify;
