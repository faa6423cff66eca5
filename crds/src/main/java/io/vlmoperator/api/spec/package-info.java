/**
 * What people write: the specs of the four resources, as records. A missing value becomes its default in the compact
 * constructor, so that a manifest means the same on a laptop and behind an API server (whose schema has the same defaults;
 * a test compares them). Nothing but annotations is needed here: the trainer reads these very types.
 */
package io.vlmoperator.api.spec;
