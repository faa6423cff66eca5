/** The endpoint that workers report to, as {@code contracts.md} (Progress) has it. */
package io.vlmoperator.operator.progress;
