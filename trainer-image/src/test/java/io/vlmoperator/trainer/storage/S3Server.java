package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import org.gaul.s3proxy.AuthenticationType;
import org.gaul.s3proxy.S3Proxy;
import org.gaul.s3proxy.nio2blob.TransientNio2BlobApiMetadata;
import org.jclouds.ContextBuilder;
import org.jclouds.blobstore.BlobStore;
import org.jclouds.blobstore.BlobStoreContext;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

/** A real S3 server on a port of its own of the loopback, with signatures checked; objects live in memory. */
public final class S3Server implements AutoCloseable {
    public static final String KEY = "test-key";
    public static final String SECRET = "test-secret";

    private final BlobStoreContext context;
    private final S3Proxy server;

    public S3Server() throws Exception {
        context = ContextBuilder.newBuilder(new TransientNio2BlobApiMetadata())
                .credentials(KEY, SECRET)
                .build(BlobStoreContext.class);
        server = S3Proxy.builder()
                .blobStore(context.getBlobStore())
                .endpoint(URI.create("http://127.0.0.1:0"))
                .awsAuthentication(AuthenticationType.AWS_V2_OR_V4, KEY, SECRET)
                .ignoreUnknownHeaders(true)
                .build();
        server.start();
    }

    public String endpoint() {
        return "http://127.0.0.1:" + server.getPort();
    }

    BlobStore blobs() {
        return context.getBlobStore();
    }

    /** Makes a bucket. */
    public void bucket(String name) {
        client(SECRET).createBucket(r -> r.bucket(name));
    }

    S3Client client(String secret) {
        return S3Store.builder()
                .endpointOverride(URI.create(endpoint()))
                .forcePathStyle(true)
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(KEY, secret)))
                .build();
    }

    /** A store with small parts, so that larger files go up in several. */
    S3Store store() {
        return new S3Store(client(SECRET), endpoint(), 5 << 20);
    }

    /** What a program has that reads and writes here. */
    public Buckets buckets(Path cache) throws IOException {
        return Buckets.of(store(), cache, 1L << 30, Duration.ofMillis(50));
    }

    @Override
    public void close() throws Exception {
        server.stop();
        context.close();
    }
}
