package io.vlmoperator.trainer.storage;

import java.net.URI;
import org.gaul.s3proxy.AuthenticationType;
import org.gaul.s3proxy.S3Proxy;
import org.gaul.s3proxy.nio2blob.TransientNio2BlobApiMetadata;
import org.jclouds.ContextBuilder;
import org.jclouds.blobstore.BlobStoreContext;

/** S3Proxy in this process, on a port of its own of the loopback; objects live in memory. It looks first and writes then. */
public final class S3Server implements ObjectServer {
    private final BlobStoreContext context;
    private final S3Proxy server;

    public S3Server() throws Exception {
        context = ContextBuilder.newBuilder(new TransientNio2BlobApiMetadata())
                .credentials(KEY, SECRET)
                .build(BlobStoreContext.class);
        server = S3Proxy.builder()
                .blobStore(context.getBlobStore())
                .endpoint(URI.create("http://127.0.0.1:0"))
                .awsAuthentication(AuthenticationType.AWS_V4, KEY, SECRET)
                .ignoreUnknownHeaders(true)
                .build();
        server.start();
    }

    @Override
    public String endpoint() {
        return "http://127.0.0.1:" + server.getPort();
    }

    @Override
    public boolean listsUploadsOfFolders() {
        return true;
    }

    @Override
    public boolean isAtomic() {
        return false;
    }

    @Override
    public void close() throws Exception {
        server.stop();
        context.close();
    }
}
