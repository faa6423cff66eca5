/** Observes, acts and writes: the impure shell around {@code plan}, the same for the four kinds. */
package io.vlmoperator.operator.engine;
