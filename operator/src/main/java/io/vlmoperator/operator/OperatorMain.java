package io.vlmoperator.operator;

import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.annotations.QuarkusMain;
import io.vlmoperator.operator.tls.Authority;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.time.Clock;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Starts the operator. The certificate must lie in its file before the web server starts, so the Secret is read (or made) first.
 * Exits with 64 and one line for a wrong environment, with 69 when the API server can't be used or lacks the CRDs: the pod is then
 * restarted, and its last words say why.
 */
@QuarkusMain
public final class OperatorMain {
    private static final int WRONG_ENVIRONMENT = 64;
    /** The API server can't be used, or lacks what is needed. */
    static final int NO_SERVER = 69;
    /** Made before the container exists, which hands it on. */
    private static final AtomicReference<Authority> AUTHORITY = new AtomicReference<>();

    private OperatorMain() {}

    /** @throws IllegalStateException before {@link #main} */
    static Authority authority() {
        var authority = AUTHORITY.get();
        if (authority == null) {
            throw new IllegalStateException("Start the operator by OperatorMain");
        }
        return authority;
    }

    public static void main(String... args) {
        Settings settings;
        try {
            settings = Settings.of(System.getenv());
        } catch (IllegalArgumentException e) {
            System.err.println("vlm-operator: " + e.getMessage());
            System.exit(WRONG_ENVIRONMENT);
            return;
        }
        try (var client = new KubernetesClientBuilder().build()) {
            var missing = Prerequisites.missing(client, settings.namespaces());
            if (missing.isPresent()) {
                System.err.println("vlm-operator: " + missing.get());
                System.exit(NO_SERVER);
                return;
            }
            var authority = new Authority(
                    settings.namespace(),
                    settings.service(),
                    Files.createTempDirectory("vlm-operator"),
                    Clock.systemUTC());
            authority.refresh(client);
            AUTHORITY.set(authority);
            System.setProperty(
                    "quarkus.tls.key-store.pem.0.cert",
                    authority.certificateFile().toString());
            System.setProperty(
                    "quarkus.tls.key-store.pem.0.key", authority.keyFile().toString());
        } catch (KubernetesClientException e) {
            System.err.println("vlm-operator: can't keep the certificate in Secret " + settings.namespace() + "/"
                    + settings.service() + "-tls: " + e.getMessage());
            System.exit(NO_SERVER);
            return;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Quarkus.run(args);
    }
}
