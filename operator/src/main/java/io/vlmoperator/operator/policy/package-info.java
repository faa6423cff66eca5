/** One policy a file, pure: the resource and what was observed in, a verdict out. {@code src/docs/policies.md} has a row for each. */
package io.vlmoperator.operator.policy;
