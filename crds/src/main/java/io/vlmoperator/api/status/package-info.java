/** What people read: phases, conditions, progress, checkpoints and scores. Every list and text is bounded; a status stays under 8 KiB. */
package io.vlmoperator.api.status;
