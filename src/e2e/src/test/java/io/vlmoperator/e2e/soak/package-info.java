/**
 * Faults at length, by seed: {@code make soak}. Not part of {@code make test}: each repetition takes tens of seconds, and nothing in it
 * decides by time but the faults themselves.
 */
package io.vlmoperator.e2e.soak;
