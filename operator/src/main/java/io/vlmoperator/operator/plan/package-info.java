/** Decides: from the resource and what was observed to a list of actions and the facts that the status reports. Pure. */
package io.vlmoperator.operator.plan;
