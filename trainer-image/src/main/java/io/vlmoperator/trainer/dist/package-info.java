/** What the workers of an attempt say to each other: sums, copies, barriers, each with a time limit. */
package io.vlmoperator.trainer.dist;
