package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.FieldValidateable.Validation;
import io.fabric8.kubernetes.client.dsl.Resource;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What an API server refuses, fills in and freezes. */
@ExtendWith(ApiServer.Extension.class)
class SchemaOnApiServerTest {
    private static final ObjectMapper JSON =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, true);
    private static final Map<String, Class<? extends Record>> SPECS = Map.of(
            "Dataset", DatasetSpec.class,
            "PretrainJob", PretrainJobSpec.class,
            "SFTJob", SFTJobSpec.class,
            "EvalJob", EvalJobSpec.class);
    private static String namespace;

    @BeforeAll
    static void makeNamespace(ApiServer server) {
        namespace = server.namespace("schema");
    }

    static Stream<Specs.Bad> bad() {
        return Specs.bad().stream();
    }

    @ParameterizedTest
    @MethodSource("bad")
    void badSpecsAreRefused(Specs.Bad bad, ApiServer server) {
        Resource<GenericKubernetesResource> resource = on(server, Specs.resource(bad.base(), "bad", bad.change()));
        if ("checks".equals(bad.only())) {
            resource.dryRun().fieldValidation(Validation.STRICT).create(); // SpecChecks refuses it: not built yet
            return;
        }
        assertThatThrownBy(() ->
                        resource.dryRun().fieldValidation(Validation.STRICT).create())
                .as("%s + %s", bad.base(), bad.change())
                .isInstanceOf(KubernetesClientException.class)
                .hasMessageContaining(bad.path())
                .hasMessageContaining(bad.said());
    }

    static Stream<String> good() {
        return Specs.good().keySet().stream();
    }

    /** The stored spec, with what the server filled in, is the same record as the spec that was written. */
    @ParameterizedTest
    @MethodSource("good")
    void defaultsMeanTheSameInBothWorlds(String base, ApiServer server) {
        GenericKubernetesResource written = Specs.resource(base, "good-" + base, Specs.none());
        GenericKubernetesResource stored =
                on(server, written).fieldValidation(Validation.STRICT).create();
        Class<? extends Record> type = SPECS.get(written.getKind());
        assertThat(JSON.convertValue(stored.get("spec"), type)).isEqualTo(JSON.convertValue(written.get("spec"), type));
    }

    @Test
    void defaultsStandInTheStoredSpec(ApiServer server) {
        GenericKubernetesResource job = on(server, Specs.resource("pretrain-from-folders", "defaults", Specs.none()))
                .dryRun()
                .create();
        assertThat(job.<Integer>get("spec", "model", "projector", "tokensPerImage"))
                .isEqualTo(144);
        assertThat(job.<List<String>>get("spec", "model", "train")).containsExactly("Projector", "Language");
        assertThat(job.<Integer>get("spec", "batch", "contextLength")).isEqualTo(4096);
        assertThat(job.<Integer>get("spec", "schedule", "stopAfter", "epochs")).isEqualTo(1);
        assertThat(job.<String>get("spec", "precision")).isEqualTo("BFloat16");
        assertThat(job.<String>get("spec", "workers", "gpuResource")).isEqualTo("nvidia.com/gpu");
        GenericKubernetesResource sft = on(server, Specs.resource("sft", "defaults", Specs.none()))
                .dryRun()
                .create();
        assertThat(sft.<Integer>get("spec", "model", "projector", "tokensPerImage"))
                .isEqualTo(729);
        assertThat(sft.<Integer>get("spec", "workers", "nodes")).isEqualTo(1);
        assertThat(sft.<Object>get("spec", "workers", "minNodes"))
                .as("minNodes follows nodes: a stored default would stay behind when nodes rises")
                .isNull();
    }

    static Stream<Specs.Edit> edits() {
        return Specs.edits().stream();
    }

    @ParameterizedTest
    @MethodSource("edits")
    void edits(Specs.Edit edit, ApiServer server) {
        String name = "edit-" + Integer.toHexString(edit.name().hashCode());
        on(server, Specs.resource(edit.base(), name, Specs.none())).create();
        Resource<GenericKubernetesResource> edited = on(server, Specs.resource(edit.base(), name, edit.change()));
        if (edit.message() == null) {
            assertThat(edited.patch().getMetadata().getGeneration()).isEqualTo(2);
        } else {
            assertThatThrownBy(edited::update)
                    .isInstanceOf(KubernetesClientException.class)
                    .hasMessageContaining(edit.message());
        }
    }

    /** Applying the same manifest again, with and without the defaults written out, is no edit. */
    @ParameterizedTest
    @MethodSource("good")
    void applyingAgainChangesNothing(String base, ApiServer server) {
        GenericKubernetesResource written = Specs.resource(base, "again-" + base, Specs.none());
        GenericKubernetesResource first =
                on(server, written).fieldManager("kubectl").serverSideApply();
        GenericKubernetesResource second = on(server, Specs.resource(base, "again-" + base, Specs.none()))
                .fieldManager("kubectl")
                .serverSideApply();
        assertThat(second.getMetadata().getResourceVersion())
                .isEqualTo(first.getMetadata().getResourceVersion());
        GenericKubernetesResource full = Specs.resource(base, "again-" + base, Specs.none());
        full.setAdditionalProperty("spec", first.get("spec"));
        assertThat(on(server, full)
                        .fieldManager("kubectl")
                        .serverSideApply()
                        .getMetadata()
                        .getGeneration())
                .isEqualTo(1);
    }

    @Test
    void namesThatChildrenCantBear(ApiServer server) {
        on(server, Specs.resource("sft", "a".repeat(40), Specs.none())).dryRun().create();
        for (String name : List.of("a".repeat(41), "9lives", "a.b")) {
            assertThatThrownBy(() -> on(server, Specs.resource("sft", name, Specs.none()))
                            .dryRun()
                            .create())
                    .as(name)
                    .hasMessageContaining("metadata.name: at most 40 lower-case letters");
        }
    }

    /** Server-side apply knows the schema, too, and refuses what it can't place. */
    @Test
    void unknownFieldsAreRefusedByServerSideApply(ApiServer server) {
        GenericKubernetesResource resource =
                Specs.resource("captions", "unknown", Specs.patch("pack: {kontextLength: 4}"));
        assertThatThrownBy(() -> on(server, resource).fieldManager("kubectl").serverSideApply())
                .hasMessageContaining(".spec.pack.kontextLength: field not declared in schema");
    }

    @Test
    void aSpecIsRequired(ApiServer server) {
        GenericKubernetesResource resource = Specs.resource("captions", "empty", Specs.none());
        resource.setAdditionalProperties(Map.of());
        assertThatThrownBy(() -> on(server, resource).create()).hasMessageContaining("spec: Required value");
    }

    /** Long lists of long strings: the rules must stay affordable when everything is as large as the schema allows. */
    @Test
    void aSpecAtEveryLimitIsAccepted(ApiServer server) {
        StringBuilder sources = new StringBuilder("sources:\n");
        String path = "pvc://data/" + "{0..1}/".repeat(140) + "x".repeat(30);
        for (int i = 0; i < 64; i++) {
            sources.append(String.format(Locale.ROOT, "- {name: s%d, webDataset: {location: \"%s\"}}%n", i, path));
        }
        sources.append("workers:\n  env:\n");
        for (int i = 0; i < 32; i++) {
            sources.append(String.format(Locale.ROOT, "  - {name: V%d, value: %s}%n", i, "v".repeat(4096)));
        }
        GenericKubernetesResource stored = on(
                        server, Specs.resource("captions", "large", Specs.patch(sources.toString())))
                .create();
        assertThat(stored.<List<Object>>get("spec", "sources")).hasSize(64);
        assertThat(on(server, Specs.resource("captions", "large", Specs.patch(sources + "suspend: true")))
                        .patch()
                        .<Boolean>get("spec", "suspend"))
                .isTrue();
    }

    private static Resource<GenericKubernetesResource> on(ApiServer server, GenericKubernetesResource resource) {
        return server.admin().resource(resource).inNamespace(namespace);
    }
}
