/** Reports: facts to a whole, bounded status and the events that a change of it deserves. Pure. */
package io.vlmoperator.operator.status;
