/**
 * From tars and conversations to batches: index, rejects and packing plan of a Dataset, the images as the model sees them, and the order
 * in which training reads them.
 */
package io.vlmoperator.trainer.data;
