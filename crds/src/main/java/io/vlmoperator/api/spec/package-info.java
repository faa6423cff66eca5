/** What people write: the specs of the four resources, as records with the limits and rules of their schema. */
package io.vlmoperator.api.spec;
