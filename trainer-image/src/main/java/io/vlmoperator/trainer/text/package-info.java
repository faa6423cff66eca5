/** Text and tokens: the tokenizer, the layouts of samples and conversations, and which tokens are targets. */
package io.vlmoperator.trainer.text;
