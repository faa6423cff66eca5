/** Weights in files: plain safetensors, Hugging Face folders, and the trainer's own checkpoints. */
package io.vlmoperator.trainer.checkpoint;
