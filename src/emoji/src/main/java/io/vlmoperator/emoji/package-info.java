/**
 * The demo's data: turns the emoji drawings of three npm packages into what users have in the field.
 *
 * <p>{@link io.vlmoperator.emoji.NpmPackages} fetches and verifies, {@link io.vlmoperator.emoji.EmojiCatalog} reads and
 * chooses, {@link io.vlmoperator.emoji.CaptionShards}, {@link io.vlmoperator.emoji.Conversations} and {@link
 * io.vlmoperator.emoji.Benchmarks} write, {@link io.vlmoperator.emoji.PrepareEmoji} ties them together. {@link
 * io.vlmoperator.emoji.TrainTokenizer} makes the small tokenizer that is checked in under {@code examples/emoji}.
 */
package io.vlmoperator.emoji;
