package io.vlmoperator.trainer.storage;

import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.ListMultipartUploadsResponse;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Response;
import software.amazon.awssdk.services.s3.model.MultipartUpload;

/** S3 and what speaks its protocol, by the AWS SDK. Credentials, region and endpoint come from its usual chain. */
public final class S3Store implements ObjectStore {
    /** Larger files go up in parts; at least 5 MiB each, at most 10,000. */
    private static final long PART = 16L << 20;

    private static final int MAX_PARTS = 9_000;
    private static final int PARALLEL = 4;
    private static final int TRIES = 5;
    private static final int PAGE = 1_000;

    /** Metadata by which a writer knows its own object again when the answer to its write is lost. */
    private static final String WRITE = "vlm-write";

    private final S3Client client;
    private final S3Errors errors;
    private final long part;
    private final int pageSize;

    /** @param environment where the keys, {@code AWS_REGION}, {@code AWS_ENDPOINT_URL} and {@code AWS_ENDPOINT_URL_S3} are looked for */
    public S3Store(Map<String, String> environment) {
        this(
                client(endpoint(environment), environment),
                endpoint(environment).map(URI::toString).orElse("Amazon S3"),
                PART,
                PAGE);
    }

    /**
     * @param part bytes above which a file goes up in parts of this size
     * @param pageSize entries asked for at once
     */
    S3Store(S3Client client, String endpoint, long part, int pageSize) {
        this.client = client;
        this.errors = new S3Errors(endpoint);
        this.part = part;
        this.pageSize = pageSize;
    }

    private static Optional<URI> endpoint(Map<String, String> environment) {
        return Optional.ofNullable(environment.getOrDefault("AWS_ENDPOINT_URL_S3", environment.get("AWS_ENDPOINT_URL")))
                .filter(text -> !text.isBlank())
                .map(String::strip)
                .map(URI::create);
    }

    private static S3Client client(Optional<URI> endpoint, Map<String, String> environment) {
        S3ClientBuilder builder = builder();
        // Buckets as part of the host's name need a name service that other stores rarely have.
        endpoint.ifPresent(uri -> builder.endpointOverride(uri).forcePathStyle(true));
        String region = environment.getOrDefault("AWS_REGION", "").strip();
        if (!region.isEmpty()) {
            builder.region(Region.of(region));
        } else if (endpoint.isPresent()) {
            builder.region(Region.US_EAST_1); // they do not look at it, but it is part of a signature
        }
        credentials(environment).ifPresent(builder::credentialsProvider);
        try {
            return builder.build();
        } catch (SdkException e) {
            throw TrainerException.configuration("object storage can't be reached: " + e.getMessage()
                    + "; set AWS_REGION, or AWS_ENDPOINT_URL for a store of your own, in the Secret of secretRef");
        }
    }

    /** The keys of the environment; without them the SDK's chain looks elsewhere. */
    private static Optional<AwsCredentialsProvider> credentials(Map<String, String> environment) {
        String key = environment.getOrDefault("AWS_ACCESS_KEY_ID", "").strip();
        String secret = environment.getOrDefault("AWS_SECRET_ACCESS_KEY", "").strip();
        String token = environment.getOrDefault("AWS_SESSION_TOKEN", "").strip();
        if (key.isEmpty() || secret.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(StaticCredentialsProvider.create(
                token.isEmpty()
                        ? AwsBasicCredentials.create(key, secret)
                        : AwsSessionCredentials.create(key, secret, token)));
    }

    /** A client with bounded waits and tries. */
    static S3ClientBuilder builder() {
        return S3Client.builder()
                .httpClientBuilder(UrlConnectionHttpClient.builder()
                        .connectionTimeout(Duration.ofSeconds(10))
                        .socketTimeout(Duration.ofSeconds(60)))
                .overrideConfiguration(c -> c.addExecutionInterceptor(new WholeAnswers())
                        .retryStrategy(b -> b.maxAttempts(TRIES).retryOnException(S3Errors::isCutAnswer)));
    }

    @Override
    public Optional<Info> find(ObjectName name) throws IOException {
        if (name.key().isEmpty()) {
            return Optional.empty();
        }
        try {
            HeadObjectResponse head = head(name);
            return Optional.of(new Info(name, head.contentLength(), head.eTag(), head.lastModified()));
        } catch (SdkException e) {
            if (S3Errors.isMissing(e)) {
                return Optional.empty();
            }
            throw errors.of("can't look at", name, e);
        }
    }

    @Override
    public InputStream read(Info object, long from, long size) throws IOException {
        ObjectName name = object.name();
        try {
            return client.getObject(r -> r.bucket(name.bucket())
                    .key(name.key())
                    .range("bytes=" + from + "-" + (from + size - 1))
                    .ifMatch(object.etag()));
        } catch (SdkException e) {
            if (S3Errors.isRefusedCondition(e)) {
                throw new StoreException(name + " changed while it was read; let its writer finish first", true, e);
            }
            throw errors.of("can't read", name, e);
        }
    }

    @Override
    public Info put(ObjectName name, Path file, Condition condition) throws IOException {
        long size = Files.size(file);
        String write = UUID.randomUUID().toString();
        try {
            String etag = size <= part
                    ? putWhole(name, file, size, condition, write)
                    : putParts(name, file, size, condition, write);
            return new Info(name, size, etag, Instant.now());
        } catch (SdkException e) {
            boolean refused = S3Errors.isRefusedCondition(e);
            boolean gone = S3Errors.isMissing(e) || S3Errors.isUnknownUpload(e);
            if (refused || gone || S3Errors.isOpen(e)) {
                // The answer to a write may get lost; when it is tried again, it finds itself.
                Optional<HeadObjectResponse> there = there(name, refused);
                if (there.isPresent() && isOwn(there.get(), file, size, write)) {
                    return new Info(name, size, there.get().eTag(), there.get().lastModified());
                }
                // A store that refuses before it has read the body may break the connection.
                if (refused || there.isPresent() && !holds(condition, there.get())) {
                    FileAlreadyExistsException exists = new FileAlreadyExistsException(name.toString());
                    exists.initCause(e);
                    throw exists;
                }
            }
            if (gone) {
                throw new StoreException(
                        "can't write " + name + ": another program ended its upload before it was complete", false, e);
            }
            throw errors.of("can't write", name, e);
        }
    }

    /**
     * The object as it stands after a write has failed; empty when there is none.
     *
     * @param refused whether the store said that another object is there; else the error of the write is the one to tell
     */
    private Optional<HeadObjectResponse> there(ObjectName name, boolean refused) throws IOException {
        try {
            HeadObjectResponse head = head(name);
            // An answer that broke off lacks the end of its head; or nobody here wrote the object.
            return Optional.of(head.metadata().isEmpty() ? head(name) : head);
        } catch (SdkException e) {
            if (refused && !S3Errors.isMissing(e)) {
                throw errors.of("can't look at", name, e);
            }
            return Optional.empty();
        }
    }

    /** Whether this write made the object, or another of the same content. */
    private boolean isOwn(HeadObjectResponse there, Path file, long size, String write) throws IOException {
        return there.contentLength() == size
                && (write.equals(there.metadata().get(WRITE)) || isContent(there.eTag(), file, size));
    }

    private static boolean holds(Condition condition, HeadObjectResponse there) {
        return switch (condition) {
            case Always any -> true;
            case IfAbsent any -> false;
            case IfUnchanged unchanged -> unchanged.etag().equals(there.eTag());
        };
    }

    private HeadObjectResponse head(ObjectName name) {
        return client.headObject(r -> r.bucket(name.bucket()).key(name.key()));
    }

    private String putWhole(ObjectName name, Path file, long size, Condition condition, String write) {
        return client.putObject(
                        r -> {
                            r.bucket(name.bucket()).key(name.key()).metadata(Map.of(WRITE, write));
                            switch (condition) {
                                case Always any -> {}
                                case IfAbsent any -> r.ifNoneMatch("*");
                                case IfUnchanged unchanged -> r.ifMatch(unchanged.etag());
                            }
                        },
                        body(file, 0, size))
                .eTag();
    }

    private static RequestBody body(Path file, long from, long size) {
        return RequestBody.fromContentProvider(
                () -> {
                    try {
                        FileChannel channel = FileChannel.open(file).position(from);
                        return new LimitedInput(Channels.newInputStream(channel), size);
                    } catch (IOException e) {
                        throw new java.io.UncheckedIOException(e);
                    }
                },
                size,
                "application/octet-stream");
    }

    private String putParts(ObjectName name, Path file, long size, Condition condition, String write)
            throws IOException {
        long each = Math.max(part, Math.ceilDiv(size, MAX_PARTS));
        abort(name, true);
        String upload = client.createMultipartUpload(
                        r -> r.bucket(name.bucket()).key(name.key()).metadata(Map.of(WRITE, write)))
                .uploadId();
        boolean done = false;
        try {
            List<CompletedPart> parts = parts(name, file, size, each, upload);
            String etag = client.completeMultipartUpload(r -> {
                        r.bucket(name.bucket()).key(name.key()).uploadId(upload).multipartUpload(m -> m.parts(parts));
                        switch (condition) {
                            case Always any -> {}
                            case IfAbsent any -> r.ifNoneMatch("*");
                            case IfUnchanged unchanged -> r.ifMatch(unchanged.etag());
                        }
                    })
                    .eTag();
            done = true;
            return etag;
        } finally {
            if (!done) {
                abort(name, upload);
            }
        }
    }

    private List<CompletedPart> parts(ObjectName name, Path file, long size, long each, String upload)
            throws IOException {
        List<Future<CompletedPart>> pending = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(PARALLEL)) {
            for (long from = 0; from < size; from += each) {
                long begin = from;
                int number = pending.size() + 1;
                long length = Math.min(each, size - from);
                pending.add(threads.submit(() -> {
                    String etag = client.uploadPart(
                                    r -> r.bucket(name.bucket())
                                            .key(name.key())
                                            .uploadId(upload)
                                            .partNumber(number),
                                    body(file, begin, length))
                            .eTag();
                    return CompletedPart.builder().partNumber(number).eTag(etag).build();
                }));
            }
            List<CompletedPart> parts = new ArrayList<>();
            try {
                for (Future<CompletedPart> one : pending) {
                    parts.add(one.get());
                }
                return parts;
            } catch (ExecutionException e) {
                threads.shutdownNow();
                if (e.getCause() instanceof SdkException sdk) {
                    throw sdk;
                }
                throw new IOException("can't write " + name + ": " + e.getCause(), e.getCause());
            } catch (InterruptedException e) {
                threads.shutdownNow();
                Thread.currentThread().interrupt();
                throw new java.io.InterruptedIOException("can't write " + name + ": interrupted");
            }
        }
    }

    @Override
    public void join(ObjectName name, List<Info> parts, Runnable joined) throws IOException {
        abort(name, true);
        try {
            new S3Join(client, name).run(parts, joined);
        } catch (SdkException e) {
            throw errors.of("can't join the pieces of", name, e);
        }
    }

    private void abort(ObjectName name, String upload) {
        try {
            client.abortMultipartUpload(
                    r -> r.bucket(name.bucket()).key(name.key()).uploadId(upload));
        } catch (SdkException e) {
            return; // the first error is the one to tell; the next writer there ends the upload
        }
    }

    @Override
    public Listing list(ObjectName folder, int limit) throws IOException {
        List<Info> objects = new ArrayList<>();
        List<String> folders = new ArrayList<>();
        String prefix = folder.asFolder();
        String token = null;
        try {
            do {
                String from = token;
                ListObjectsV2Response page = client.listObjectsV2(r -> r.bucket(folder.bucket())
                        .prefix(prefix)
                        .delimiter("/")
                        .maxKeys(Math.min(limit, pageSize))
                        .continuationToken(from));
                page.contents().stream()
                        .filter(o -> !o.key().equals(prefix)) // some tools make an empty object of a folder's name
                        .forEach(o -> objects.add(new Info(
                                new ObjectName(folder.bucket(), o.key()), o.size(), o.eTag(), o.lastModified())));
                page.commonPrefixes().forEach(p -> folders.add(p.prefix()));
                token = Boolean.TRUE.equals(page.isTruncated()) ? page.nextContinuationToken() : null;
                if (limit > 1 && objects.size() + folders.size() > limit) {
                    throw new StoreException(folder + ": more than " + limit + " entries", true, null);
                }
            } while (token != null && limit > 1);
        } catch (SdkException e) {
            throw errors.of("can't list", folder, e);
        }
        return new Listing(List.copyOf(objects), List.copyOf(folders));
    }

    @Override
    public void delete(ObjectName name) throws IOException {
        try {
            client.deleteObject(r -> r.bucket(name.bucket()).key(name.key()));
        } catch (SdkException e) {
            if (!S3Errors.isMissing(e)) {
                throw errors.of("can't delete", name, e);
            }
        }
    }

    @Override
    public int abortUploads(ObjectName prefix) throws IOException {
        return abort(prefix, false);
    }

    private int abort(ObjectName prefix, boolean exact) throws IOException {
        int count = 0;
        try {
            String keys = null;
            String uploads = null;
            boolean more = true;
            while (more) {
                String fromKey = keys;
                String fromUpload = uploads;
                ListMultipartUploadsResponse page = client.listMultipartUploads(r -> r.bucket(prefix.bucket())
                        .prefix(prefix.key())
                        .keyMarker(fromKey)
                        .uploadIdMarker(fromUpload));
                for (MultipartUpload upload : page.uploads()) {
                    if (!exact || upload.key().equals(prefix.key())) {
                        abort(new ObjectName(prefix.bucket(), upload.key()), upload.uploadId());
                        count++;
                    }
                }
                keys = page.nextKeyMarker();
                uploads = page.nextUploadIdMarker();
                more = Boolean.TRUE.equals(page.isTruncated()) && keys != null;
            }
            return count;
        } catch (SdkException e) {
            throw errors.of("can't list the unfinished uploads of", prefix, e);
        }
    }

    private boolean isContent(String etag, Path file, long size) throws IOException {
        if (size > part) {
            return false;
        }
        try {
            MessageDigest md5 = MessageDigest.getInstance("MD5"); // what the protocol calls an ETag
            String digest = HexFormat.of().formatHex(md5.digest(Files.readAllBytes(file)));
            return etag.replace("\"", "").equals(digest);
        } catch (NoSuchAlgorithmException e) {
            return false;
        }
    }

    /** The first bytes of a stream. */
    private static final class LimitedInput extends InputStream {
        private final InputStream in;
        private long left;

        LimitedInput(InputStream in, long left) {
            this.in = in;
            this.left = left;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            if (left <= 0) {
                return -1;
            }
            int n = in.read(bytes, offset, (int) Math.min(length, left));
            left -= Math.max(0, n);
            return n;
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
