package io.vlmoperator.operator.tls;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Keeps the {@link Material} in a Secret of the operator's namespace and, for the web server, in two files. All replicas share the
 * Secret; who writes second takes what the first wrote.
 */
public final class Authority {
    private static final int TRIES = 5;
    private static final int CONFLICT = 409;

    private final String namespace;
    private final String secret;
    private final List<String> names;
    private final Path folder;
    private final Clock clock;
    private volatile Material current;

    /** @param folder for the two files; made with access for this user only */
    public Authority(String namespace, String service, Path folder, Clock clock) {
        this.namespace = namespace;
        this.secret = service + "-tls";
        this.names = List.of(
                service + "." + namespace + ".svc",
                service + "." + namespace + ".svc.cluster.local",
                service + "." + namespace,
                service);
        this.folder = folder;
        this.clock = clock;
    }

    public Path certificateFile() {
        return folder.resolve("tls.crt");
    }

    public Path keyFile() {
        return folder.resolve("tls.key");
    }

    /** The certificates that workers must trust, PEM. */
    public String trusted() {
        return current.trusted();
    }

    /** Reads the Secret, makes or renews what is due, writes the files. */
    public synchronized void refresh(KubernetesClient client) {
        var material = store(client);
        if (!material.equals(current)) {
            write(keyFile(), material.key());
            write(certificateFile(), material.certificate());
            current = material;
        }
    }

    private Material store(KubernetesClient client) {
        var secrets = client.secrets().inNamespace(namespace);
        for (int i = 0; i < TRIES; i++) {
            var there = secrets.withName(secret).get();
            try {
                if (there == null) {
                    var fresh = Material.fresh(names, clock.instant());
                    secrets.resource(secret(fresh)).create();
                    return fresh;
                }
                var stored = read(there);
                var renewed = stored.renewed(names, clock.instant());
                if (renewed.isEmpty()) {
                    return stored;
                }
                there.setData(secret(renewed.get()).getData());
                secrets.resource(there).update();
                return renewed.get();
            } catch (KubernetesClientException e) {
                if (e.getCode() != CONFLICT) {
                    throw e;
                }
            }
        }
        throw new IllegalStateException(
                "Secret " + namespace + "/" + secret + " changes all the time; who else writes it?");
    }

    private static Material read(Secret secret) {
        var entries = new HashMap<String, String>();
        if (secret.getData() != null) {
            secret.getData()
                    .forEach((key, value) ->
                            entries.put(key, new String(Base64.getDecoder().decode(value), StandardCharsets.UTF_8)));
        }
        return new Material(entries);
    }

    private Secret secret(Material material) {
        Map<String, String> data = new HashMap<>();
        material.entries()
                .forEach((key, value) ->
                        data.put(key, Base64.getEncoder().encodeToString(value.getBytes(StandardCharsets.UTF_8))));
        return new SecretBuilder()
                .withNewMetadata()
                .withName(secret)
                .withNamespace(namespace)
                .addToLabels("app.kubernetes.io/managed-by", "vlm-operator")
                .endMetadata()
                .withType("Opaque")
                .withData(data)
                .build();
    }

    private void write(Path file, String text) {
        try {
            var part = Files.createTempFile(
                    folder,
                    "part",
                    "",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            Files.writeString(part, text);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException("Can't write " + file, e);
        }
    }
}
