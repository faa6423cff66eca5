/** Watches the demo's resources until they end and says what came out: the live board, the table of scores, result.json. */
package io.vlmoperator.demo;
