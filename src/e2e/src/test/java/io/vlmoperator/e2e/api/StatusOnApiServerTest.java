package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.ManagedFieldsEntry;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.vlmoperator.api.status.Limits;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Who owns what of a status, and what of it people see in {@code kubectl get}. */
@ExtendWith(ApiServer.Extension.class)
class StatusOnApiServerTest {
    private static final String TIME = "2026-01-01T00:00:00Z";
    private static String namespace;

    @BeforeAll
    static void makeNamespace(ApiServer server) {
        namespace = server.namespace("status");
    }

    /** The operator's two field managers, and a third one with a condition of its own, do not tread on each other. */
    @Test
    void fieldManagersOwnTheirOwnEntries(ApiServer server) {
        create(server, "pretrain", "owned");
        applyStatus(server, "PretrainJob", "owned", "vlm-operator", """
                phase: Running
                conditions:
                - {type: Accepted, status: "True", reason: Valid, message: ok, lastTransitionTime: %s}
                - {type: Ready, status: "True", reason: Running, message: ok, lastTransitionTime: %s}
                """.formatted(TIME, TIME));
        applyStatus(server, "PretrainJob", "owned", "vlm-operator-progress", """
                progress: {attempt: 1, step: 10, steps: 100, loss: 3.5, updatedAt: %s}
                """.formatted(TIME));
        applyStatus(server, "PretrainJob", "owned", "someone-else", """
                conditions:
                - {type: Audited, status: "True", reason: Done, message: ok, lastTransitionTime: %s}
                """.formatted(TIME));
        // The operator drops a condition of its own and says nothing of the others' fields.
        GenericKubernetesResource job =
                applyStatus(server, "PretrainJob", "owned", "vlm-operator", """
                phase: Complete
                conditions:
                - {type: Accepted, status: "True", reason: Valid, message: ok, lastTransitionTime: %s}
                """.formatted(TIME));
        assertThat(job.<String>get("status", "phase")).isEqualTo("Complete");
        assertThat(job.<Integer>get("status", "progress", "step")).isEqualTo(10);
        assertThat(conditions(job)).containsExactlyInAnyOrder("Accepted", "Audited");
        assertThat(job.getMetadata().getGeneration()).isEqualTo(1);
        assertThat(job.getMetadata().getManagedFields())
                .filteredOn(entry -> "status".equals(entry.getSubresource()))
                .extracting(ManagedFieldsEntry::getManager)
                .containsExactlyInAnyOrder("vlm-operator", "vlm-operator-progress", "someone-else");
        assertThatThrownBy(() -> server.admin()
                        .resource(status("PretrainJob", "owned", "progress: {step: 11}"))
                        .inNamespace(namespace)
                        .subresource("status")
                        .patch(PatchContext.of(PatchType.SERVER_SIDE_APPLY)))
                .as("a second manager of one field")
                .hasMessageContaining(".status.progress.step")
                .hasMessageContaining("vlm-operator-progress");
    }

    @Test
    void aSpecSentToTheStatusIsIgnoredAndTheOtherWayRound(ApiServer server) {
        create(server, "sft", "apart");
        GenericKubernetesResource both = status("SFTJob", "apart", "phase: Running");
        both.setAdditionalProperty("spec", Map.of("suspend", true));
        GenericKubernetesResource stored = server.admin()
                .resource(both)
                .inNamespace(namespace)
                .subresource("status")
                .patch(PatchContext.of(PatchType.JSON_MERGE), both);
        assertThat(stored.<String>get("status", "phase")).isEqualTo("Running");
        assertThat(stored.<Boolean>get("spec", "suspend")).isFalse();
        GenericKubernetesResource again = Specs.resource("sft", "apart", Specs.patch("suspend: true"));
        again.setAdditionalProperty("status", Map.of("phase", "Failed"));
        assertThat(server.admin()
                        .resource(again)
                        .inNamespace(namespace)
                        .fieldManager("kubectl")
                        .forceConflicts()
                        .serverSideApply()
                        .<String>get("status", "phase"))
                .isEqualTo("Running");
    }

    @Test
    void aStatusBeyondTheLimitsIsRefused(ApiServer server) {
        create(server, "eval", "limits");
        String longest = "m".repeat(Limits.MESSAGE);
        applyStatus(server, "EvalJob", "limits", "vlm-operator", condition(longest));
        assertThatThrownBy(() -> applyStatus(server, "EvalJob", "limits", "vlm-operator", condition(longest + "m")))
                .isInstanceOf(KubernetesClientException.class)
                .hasMessageContaining("status.conditions[0].message: Too long");
        assertThatThrownBy(() -> applyStatus(
                        server, "EvalJob", "limits", "vlm-operator", "conditions: [{type: A, status: \"yes\"}]"))
                .hasMessageContaining("status.conditions[0].status: Unsupported value");
    }

    @Test
    void columns(ApiServer server) throws Exception {
        create(server, "captions", "cols");
        applyStatus(server, "Dataset", "cols", "vlm-operator", "phase: Complete\nsamples: 1200\nrows: 77\nfill: 0.97");
        assertThat(kubectl(server, "get", "vds", "cols"))
                .containsSubsequence("NAME", "PHASE", "SAMPLES", "ROWS", "FILL", "AGE")
                .containsSubsequence("cols", "Complete", "1200", "77", "0.97");
        create(server, "pretrain", "cols");
        applyStatus(server, "PretrainJob", "cols", "vlm-operator", """
                phase: Running
                progress: {step: 120, steps: 900, loss: 2.31, tokensPerSecond: 5300.5, etaSeconds: 61}
                checkpoints: {latest: {step: 100}}
                """);
        assertThat(kubectl(server, "get", "vpt", "cols"))
                .containsSubsequence("NAME", "PHASE", "STEP", "STEPS", "LOSS", "ETA(S)", "CHECKPOINT", "AGE")
                .containsSubsequence("cols", "Running", "120", "900", "2.31", "5300.5", "61", "100");
        create(server, "sft", "cols");
        assertThat(kubectl(server, "get", "vsft", "cols")).containsSubsequence("NAME", "PHASE", "STEP", "cols");
        create(server, "eval", "cols");
        applyStatus(server, "EvalJob", "cols", "vlm-operator", """
                phase: Complete
                checkpoint: SFTJob/sft@100
                summary: emoji-names 64.1 % (OptionLikelihood)
                """);
        assertThat(kubectl(server, "get", "vev", "cols"))
                .containsSubsequence("NAME", "PHASE", "CHECKPOINT", "SCORES", "AGE")
                .containsSubsequence("cols", "Complete", "SFTJob/sft@100", "emoji-names 64.1 % (OptionLikelihood)");
    }

    @Test
    void explainTellsWhatAFieldIsFor(ApiServer server) throws Exception {
        assertThat(kubectl(server, "explain", "pretrainjobs.spec.batch.globalSize"))
                .contains("Rows in one optimizer step");
        assertThat(kubectl(server, "explain", "dataset")).contains("Image-text data made ready for training");
    }

    private static String condition(String message) {
        return "conditions: [{type: Ready, status: \"False\", reason: A, message: " + message + "}]";
    }

    private static Set<String> conditions(GenericKubernetesResource resource) {
        return resource.<List<Map<String, Object>>>get("status", "conditions").stream()
                .map(condition -> (String) condition.get("type"))
                .collect(Collectors.toSet());
    }

    private static void create(ApiServer server, String base, String name) {
        server.admin()
                .resource(Specs.resource(base, name, Specs.none()))
                .inNamespace(namespace)
                .create();
    }

    private static GenericKubernetesResource status(String kind, String name, String yaml) {
        GenericKubernetesResource resource = new GenericKubernetesResource();
        resource.setApiVersion("vlm-operator.io/v1alpha1");
        resource.setKind(kind);
        resource.setMetadata(new ObjectMetaBuilder().withName(name).build());
        resource.setAdditionalProperty("status", Serialization.unmarshal(yaml, Map.class));
        return resource;
    }

    private static GenericKubernetesResource applyStatus(
            ApiServer server, String kind, String name, String manager, String yaml) {
        return server.admin()
                .resource(status(kind, name, yaml))
                .inNamespace(namespace)
                .subresource("status")
                .patch(new PatchContext.Builder()
                        .withPatchType(PatchType.SERVER_SIDE_APPLY)
                        .withFieldManager(manager)
                        .build());
    }

    private static String kubectl(ApiServer server, String... arguments) throws IOException {
        List<String> all = new ArrayList<>(List.of("--namespace", namespace));
        all.addAll(List.of(arguments));
        return server.kubectl(all.toArray(String[]::new));
    }
}
