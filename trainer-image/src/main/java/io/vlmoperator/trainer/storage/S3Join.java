package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CompletedPart;

/** Makes an object of others inside the store: a multipart upload whose parts are copies. */
record S3Join(S3Client client, ObjectName name) {
    private static final int PARALLEL = 4;

    /** @throws SdkException when the store fails; the upload is ended then */
    void run(List<ObjectStore.Info> parts, Runnable joined) throws IOException {
        String upload = client.createMultipartUpload(
                        r -> r.bucket(name.bucket()).key(name.key()))
                .uploadId();
        boolean done = false;
        try {
            List<CompletedPart> copies = copies(parts, upload, joined);
            client.completeMultipartUpload(r ->
                    r.bucket(name.bucket()).key(name.key()).uploadId(upload).multipartUpload(m -> m.parts(copies)));
            done = true;
        } finally {
            if (!done) {
                end(upload);
            }
        }
    }

    private List<CompletedPart> copies(List<ObjectStore.Info> parts, String upload, Runnable joined)
            throws IOException {
        List<Future<CompletedPart>> pending = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(PARALLEL)) {
            for (ObjectStore.Info part : parts) {
                int number = pending.size() + 1;
                pending.add(threads.submit(() -> copy(part, number, upload)));
            }
            List<CompletedPart> copies = new ArrayList<>();
            try {
                for (Future<CompletedPart> one : pending) {
                    copies.add(one.get());
                    joined.run();
                }
                return copies;
            } catch (ExecutionException e) {
                threads.shutdownNow();
                if (e.getCause() instanceof SdkException known) {
                    throw known;
                }
                throw new IOException("can't join the pieces of " + name + ": " + e.getCause(), e.getCause());
            } catch (InterruptedException e) {
                threads.shutdownNow();
                Thread.currentThread().interrupt();
                throw new java.io.InterruptedIOException("can't join the pieces of " + name + ": interrupted");
            }
        }
    }

    /** Of this state of the part: one that was replaced meanwhile is refused. */
    private CompletedPart copy(ObjectStore.Info part, int number, String upload) {
        String etag = client.uploadPartCopy(r -> r.sourceBucket(part.name().bucket())
                        .sourceKey(part.name().key())
                        .copySourceIfMatch(part.etag())
                        .destinationBucket(name.bucket())
                        .destinationKey(name.key())
                        .uploadId(upload)
                        .partNumber(number))
                .copyPartResult()
                .eTag();
        return CompletedPart.builder().partNumber(number).eTag(etag).build();
    }

    private void end(String upload) {
        try {
            client.abortMultipartUpload(
                    r -> r.bucket(name.bucket()).key(name.key()).uploadId(upload));
        } catch (SdkException e) {
            return; // the first error is the one to tell; the next writer there ends the upload
        }
    }
}
