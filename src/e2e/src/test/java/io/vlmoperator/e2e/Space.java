package io.vlmoperator.e2e;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.api.status.Condition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** One test's namespace: applies manifests, waits for what should happen, and says what there is when it does not. */
final class Space {
    private static final Duration POLL = Duration.ofMillis(250);

    private final Stage stage;
    private final String name;
    private final Path claim;
    private final List<ObjectNode> manifests;

    private Space(Stage stage, String name, Path claim) {
        this.stage = stage;
        this.name = name;
        this.claim = claim;
        this.manifests = Manifests.small(stage.examples());
    }

    static Space create(Stage stage, String name, Path data, Path volumes) throws IOException, InterruptedException {
        stage.client()
                .resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(name)
                        .endMetadata()
                        .build())
                .create();
        Space space = new Space(stage, name, volumes.resolve("emoji"));
        space.apply("PersistentVolumeClaim");
        space.await(
                "the folder of the claim",
                Duration.ofSeconds(60),
                () -> Files.isDirectory(space.claim),
                there -> there);
        copy(data, space.claim.resolve("data"));
        return space;
    }

    String name() {
        return name;
    }

    /** The folder behind {@code pvc://emoji}. */
    Path claim() {
        return claim;
    }

    List<ObjectNode> manifests() {
        return manifests;
    }

    /** Applies all manifests of these kinds, in this order. */
    void apply(String... kinds) {
        for (String kind : kinds) {
            manifests.stream()
                    .filter(manifest -> manifest.get("kind").asText().equals(kind))
                    .forEach(this::apply);
        }
    }

    void apply(JsonNode manifest) {
        KubernetesClient client = stage.client();
        HasMetadata resource = client.getKubernetesSerialization().unmarshal(manifest.toString(), HasMetadata.class);
        resource.getMetadata().setNamespace(name);
        // The text itself, not the typed object: what a user wrote, without the defaults of our records.
        client.resource(client.load(new java.io.ByteArrayInputStream(
                                manifest.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                        .items()
                        .getFirst())
                .inNamespace(name)
                .createOr(existing -> existing.update());
    }

    <T extends CustomResource<?, ?>> T get(Class<T> type, String resource) {
        return stage.client()
                .resources(type)
                .inNamespace(name)
                .withName(resource)
                .get();
    }

    /** Waits until the resource is as wanted. */
    <T extends CustomResource<?, ?>> T await(
            Class<T> type, String resource, String what, Duration limit, Predicate<T> wanted) {
        return await(
                type.getSimpleName() + " " + resource + ": " + what,
                limit,
                () -> get(type, resource),
                found -> found != null && found.getStatus() != null && wanted.test(found));
    }

    <T> T await(String what, Duration limit, java.util.function.Supplier<T> look, Predicate<T> wanted) {
        long deadline = System.nanoTime() + limit.toNanos();
        T seen = look.get();
        while (!wanted.test(seen)) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + limit.toSeconds() + " s: " + what + "\n" + situation());
            }
            try {
                Thread.sleep(POLL);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted while waiting for " + what, e);
            }
            seen = look.get();
        }
        return seen;
    }

    List<Pod> pods(String kind, String resource) {
        return stage.client()
                .pods()
                .inNamespace(name)
                .withLabels(Map.of("vlm-operator.io/kind", kind, "vlm-operator.io/name", resource))
                .list()
                .getItems();
    }

    static Condition condition(List<Condition> conditions, String type) {
        return conditions.stream()
                .filter(condition -> condition.type().equals(type))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no condition " + type + " among " + conditions));
    }

    /** What a person would look at: resources with conditions, pods with their last words, the operator's log. */
    private String situation() {
        KubernetesClient client = stage.client();
        StringBuilder text = new StringBuilder();
        Stream.of(
                        io.vlmoperator.api.resource.Dataset.class,
                        io.vlmoperator.api.resource.PretrainJob.class,
                        io.vlmoperator.api.resource.SFTJob.class,
                        io.vlmoperator.api.resource.EvalJob.class)
                .flatMap(type -> client.resources(type).inNamespace(name).list().getItems().stream())
                .forEach(found -> text.append(found.getKind())
                        .append(' ')
                        .append(found.getMetadata().getName())
                        .append(": ")
                        .append(found.getStatus())
                        .append('\n'));
        for (Pod pod : client.pods().inNamespace(name).list().getItems()) {
            text.append("pod ")
                    .append(pod.getMetadata().getName())
                    .append(' ')
                    .append(pod.getStatus().getPhase())
                    .append(' ')
                    .append(pod.getStatus().getContainerStatuses())
                    .append('\n')
                    .append(log(() -> client.pods()
                            .inNamespace(name)
                            .withName(pod.getMetadata().getName())
                            .tailingLines(15)
                            .getLog()));
        }
        client.pods()
                .inNamespace(stage.operatorNamespace())
                .list()
                .getItems()
                .forEach(pod -> text.append("operator:\n")
                        .append(log(() -> client.pods()
                                .inNamespace(stage.operatorNamespace())
                                .withName(pod.getMetadata().getName())
                                .tailingLines(40)
                                .getLog())));
        return text.toString();
    }

    private static String log(java.util.function.Supplier<String> read) {
        try {
            return read.get().lines().map(line -> "    " + line).collect(Collectors.joining("\n", "", "\n"));
        } catch (RuntimeException gone) {
            return "    (no log: " + gone.getMessage() + ")\n";
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            Function<Path, Path> target =
                    file -> to.resolve(from.relativize(file).toString());
            for (Path file : (Iterable<Path>) files::iterator) {
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target.apply(file));
                } else {
                    Files.copy(file, target.apply(file));
                }
            }
        }
    }
}
