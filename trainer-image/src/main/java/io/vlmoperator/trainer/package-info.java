/** The trainer: what all its packages share, the error that carries an exit code and the meaning of locations. */
package io.vlmoperator.trainer;
