/**
 * The model, readable from top to bottom: {@link io.vlmoperator.trainer.model.VisionLanguageModel} is an image encoder
 * ({@link io.vlmoperator.trainer.model.VisionTransformer}), a projector
 * ({@link io.vlmoperator.trainer.model.AveragePoolProjector}) and a decoder ({@link io.vlmoperator.trainer.model.LanguageModel} of
 * {@link io.vlmoperator.trainer.model.DecoderLayer}s). It knows the operators of {@code op} and nothing of libtorch.
 *
 * <p>Shape letters: T tokens of a micro-batch laid end to end, D hidden size of the decoder, E joined query, key and value, R rows of
 * patches (images times patches), P patches of an image, W width of the encoder, N images, V vocabulary.
 */
package io.vlmoperator.trainer.model;
