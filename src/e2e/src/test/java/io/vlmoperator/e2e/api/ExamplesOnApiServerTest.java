package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.dsl.FieldValidateable.Validation;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.Problem;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.SpecChecks;
import io.vlmoperator.api.spec.SpecChecks.Where;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every manifest under examples/ is one that an API server takes and that asks for nothing that is not built. */
@ExtendWith(ApiServer.Extension.class)
class ExamplesOnApiServerTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static String namespace;

    @BeforeAll
    static void makeNamespace(ApiServer server) {
        namespace = server.namespace("examples");
    }

    static Stream<Path> files() throws IOException {
        try (Stream<Path> files = Files.walk(ApiServer.REPOSITORY.resolve("examples"))) {
            // Of gitops and kueue only what is ours: other programs' kinds are unknown to this API server.
            return files
                    .filter(file -> file.toString().endsWith(".yaml"))
                    .filter(file -> !file.getParent().endsWith("gitops") && !file.endsWith("kueue/queue.yaml"))
                    .sorted()
                    .toList()
                    .stream();
        }
    }

    @ParameterizedTest
    @MethodSource("files")
    void isTaken(Path file, ApiServer server) throws IOException {
        List<HasMetadata> objects;
        try (InputStream in = Files.newInputStream(file)) {
            objects = server.admin().load(in).items();
        }
        assertThat(objects).as("objects in %s", file).isNotEmpty();
        for (HasMetadata object : objects) {
            server.admin()
                    .resource(object)
                    .inNamespace(namespace)
                    .dryRun()
                    .fieldValidation(Validation.STRICT)
                    .create();
            if (object instanceof GenericKubernetesResource resource) {
                assertThat(problems(resource))
                        .as("%s %s", file, resource.getKind())
                        .isEmpty();
            }
        }
    }

    private static List<Problem> problems(GenericKubernetesResource resource) {
        JsonNode spec = JSON.valueToTree(resource.get("spec"));
        return switch (resource.getKind()) {
            case "Dataset" -> SpecChecks.check(JSON.convertValue(spec, DatasetSpec.class), Where.CLUSTER);
            case "PretrainJob" -> SpecChecks.check(JSON.convertValue(spec, PretrainJobSpec.class), Where.CLUSTER);
            case "SFTJob" -> SpecChecks.check(JSON.convertValue(spec, SFTJobSpec.class), Where.CLUSTER);
            case "EvalJob" -> SpecChecks.check(JSON.convertValue(spec, EvalJobSpec.class), Where.CLUSTER);
            default -> throw new IllegalArgumentException("unknown kind " + resource.getKind());
        };
    }
}
