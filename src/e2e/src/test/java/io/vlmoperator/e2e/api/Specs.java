package io.vlmoperator.e2e.api;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;

/** The tables in {@code crds/src/test/resources/specs}. */
final class Specs {
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    private Specs() {}

    record Example(String kind, JsonNode spec) {}

    record Bad(String name, String base, ObjectNode change, String path, String message, String schema, String only) {
        /** What the API server says. */
        String said() {
            return schema == null ? message : schema;
        }

        @Override
        public String toString() {
            return name;
        }
    }

    record Edit(String name, String base, ObjectNode change, String message) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Map<String, Example> good() {
        return read("good.yaml", new TypeReference<>() {});
    }

    static List<Bad> bad() {
        return read("bad.yaml", new TypeReference<>() {});
    }

    static List<Edit> edits() {
        return read("edits.yaml", new TypeReference<>() {});
    }

    /** A resource with a base's spec and a change of it. */
    static GenericKubernetesResource resource(String base, String name, JsonNode change) {
        Example example = good().get(base);
        ObjectNode resource = YAML.createObjectNode();
        resource.put("apiVersion", "vlm-operator.io/v1alpha1").put("kind", example.kind());
        resource.putObject("metadata").put("name", name);
        resource.set("spec", merge(example.spec().deepCopy(), change));
        return YAML.convertValue(resource, GenericKubernetesResource.class);
    }

    static ObjectNode none() {
        return YAML.createObjectNode();
    }

    static ObjectNode patch(String yaml) {
        try {
            return (ObjectNode) YAML.readTree(yaml);
        } catch (IOException e) {
            throw new IllegalArgumentException(yaml, e);
        }
    }

    /** JSON merge patch (RFC 7386). */
    private static JsonNode merge(JsonNode target, JsonNode patch) {
        if (!(patch instanceof ObjectNode changes)) {
            return patch;
        }
        ObjectNode result = target instanceof ObjectNode object ? object : YAML.createObjectNode();
        changes.properties().forEach(entry -> {
            if (entry.getValue().isNull()) {
                result.remove(entry.getKey());
            } else {
                result.set(entry.getKey(), merge(result.get(entry.getKey()), entry.getValue()));
            }
        });
        return result;
    }

    private static <T> T read(String name, TypeReference<T> type) {
        try (InputStream in = Specs.class.getResourceAsStream("/specs/" + name)) {
            return YAML.readValue(in, type);
        } catch (IOException e) {
            throw new IllegalStateException("Can't read specs/" + name, e);
        }
    }
}
