package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.luaj.vm2.Globals;
import org.luaj.vm2.LuaTable;
import org.luaj.vm2.LuaValue;
import org.luaj.vm2.lib.jse.JsePlatform;

/** The health checks of {@code examples/gitops/argocd-health.yaml}, run as Argo CD runs them. */
class ArgoHealthTest {
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    @Test
    void everyKindHasOne() throws IOException {
        assertThat(scripts().keySet())
                .isEqualTo(Set.of(
                        "resource.customizations.health.vlm-operator.io_Dataset",
                        "resource.customizations.health.vlm-operator.io_PretrainJob",
                        "resource.customizations.health.vlm-operator.io_SFTJob",
                        "resource.customizations.health.vlm-operator.io_EvalJob"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "Progressing | Waiting for the operator | {metadata: {generation: 1}}",
                "Progressing | Waiting for the operator | {metadata: {generation: 1}, status: {phase: Pending}}",
                "Progressing | Running | {metadata: {generation: 1}, status: {observedGeneration: 1, phase: Running, conditions: [{type: Complete, status: 'False'}]}}",
                "Progressing | The newest spec has not been acted on | {metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Complete, status: 'True'}]}}",
                "Healthy | all done | {metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Complete, status: 'True', message: all done}]}}",
                "Degraded | no more restarts | {metadata: {generation: 1}, status: {conditions: [{type: Stalled, status: 'True', message: x}, {type: Failed, status: 'True', message: no more restarts}]}}",
                "Degraded | NoClaim | {metadata: {generation: 1}, status: {conditions: [{type: Stalled, status: 'True', reason: NoClaim}]}}",
                "Suspended | by the spec | {metadata: {generation: 1}, status: {conditions: [{type: Suspended, status: 'True', message: by the spec}]}}",
            })
    void healthOfAStatus(String status, String message, String resource) throws IOException {
        for (String script : scripts().values()) {
            Globals lua = JsePlatform.standardGlobals();
            lua.set("obj", table(YAML.readTree(resource)));
            LuaValue health = lua.load(script).call();
            assertThat(health.get("status").tojstring()).isEqualTo(status);
            assertThat(health.get("message").tojstring()).isEqualTo(message);
        }
    }

    private static Map<String, String> scripts() throws IOException {
        // Serialization resolves the anchor that the four entries share; the tree reader of Jackson does not.
        Map<?, ?> file = Serialization.unmarshal(
                Files.readString(ApiServer.REPOSITORY.resolve("examples/gitops/argocd-health.yaml")), Map.class);
        return YAML.convertValue(file.get("data"), new TypeReference<>() {});
    }

    private static LuaValue table(JsonNode node) {
        if (node.isObject()) {
            LuaTable table = new LuaTable();
            node.properties().forEach(entry -> table.set(entry.getKey(), table(entry.getValue())));
            return table;
        }
        if (node.isArray()) {
            LuaTable table = new LuaTable();
            for (int i = 0; i < node.size(); i++) {
                table.set(i + 1, table(node.get(i)));
            }
            return table;
        }
        return node.isIntegralNumber() ? LuaValue.valueOf(node.intValue()) : LuaValue.valueOf(node.asText());
    }
}
