/**
 * Object storage behind {@code java.nio.file}: a location {@code s3://bucket/key} becomes a {@link java.nio.file.Path}, and every other
 * package reads and writes it with the calls that it uses for files.
 *
 * <p>{@link io.vlmoperator.trainer.storage.ObjectStore} is what a store must be able to do, {@code S3Store} does it with the AWS SDK.
 * What a path means is in {@code ObjectProvider}: names that begin with a dot are files of this machine (scratch, temporary files); giving
 * such a file another name uploads it, in one piece that appears whole or not at all.
 */
package io.vlmoperator.trainer.storage;
