package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;

/** A real server that speaks the S3 protocol on the loopback and checks signatures. */
public interface ObjectServer extends AutoCloseable {
    /** The one user's keys. */
    String KEY = "test-key";

    String SECRET = "test-secret";

    /** Such as {@code http://127.0.0.1:4711}. */
    String endpoint();

    /** Whether the unfinished uploads of a whole folder can be listed, and not only those of one key. */
    boolean listsUploadsOfFolders();

    /** Whether a conditional write looks and writes in one, so that of several at the same moment one succeeds. */
    boolean isAtomic();

    @Override
    void close() throws Exception;

    /** Makes a bucket. */
    default void bucket(String name) {
        try (S3Client client = client(KEY, SECRET)) {
            client.createBucket(r -> r.bucket(name));
        }
    }

    /** A client with these keys. */
    default S3Client client(String key, String secret) {
        return builder(key, secret).build();
    }

    /** The trainer's own settings of a client, with these keys. */
    default S3ClientBuilder builder(String key, String secret) {
        return S3Store.builder()
                .endpointOverride(URI.create(endpoint()))
                .forcePathStyle(true)
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(key, secret)));
    }

    /** A store with small parts and pages, so that larger files go up in several and lists come in several. */
    default S3Store store() {
        return store(KEY, SECRET);
    }

    default S3Store store(String key, String secret) {
        return new S3Store(client(key, secret), endpoint(), 5 << 20, 3);
    }

    /** What a program has that reads and writes here. */
    default Buckets buckets(Path cache) throws IOException {
        return Buckets.of(store(), cache, 1L << 30, Duration.ofMillis(50));
    }

    /** What a person sets to use this server. */
    default Map<String, String> environment(Path cache) {
        return Map.of(
                "AWS_ENDPOINT_URL",
                endpoint(),
                "AWS_ACCESS_KEY_ID",
                KEY,
                "AWS_SECRET_ACCESS_KEY",
                SECRET,
                Buckets.CACHE,
                cache.toString());
    }
}
