/** The command line: what is run, with which environment, and how it ends. */
package io.vlmoperator.trainer.launch;
