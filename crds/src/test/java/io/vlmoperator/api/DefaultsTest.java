package io.vlmoperator.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A missing value means the same behind an API server (the schema's defaults) and on a laptop (the records' constructors). */
class DefaultsTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, String> GENERATED = CrdFiles.generate();
    private static final Map<String, Class<? extends Record>> SPECS = Map.of(
            "datasets.yaml", DatasetSpec.class,
            "pretrainjobs.yaml", PretrainJobSpec.class,
            "sftjobs.yaml", SFTJobSpec.class,
            "evaljobs.yaml", EvalJobSpec.class);

    /** Defaults that depend on the kind or on another field: only Java has them, and the description of the field says them. */
    private static final Set<String> IN_JAVA_ONLY = Set.of(
            "optimizer.learningRate",
            "optimizer.weightDecay",
            "batch.globalSize",
            "batch.microSize",
            "batch.groupByLength",
            "workers.minNodes");

    static Stream<Map.Entry<String, Class<? extends Record>>> specs() {
        return SPECS.entrySet().stream();
    }

    /** Each record with nothing set: what its constructor put in must be the default of the schema, field by field. */
    @ParameterizedTest
    @MethodSource("specs")
    void everyComponentHasOneDefault(Map.Entry<String, Class<? extends Record>> kind) {
        List<String> differences = new ArrayList<>();
        compare("", kind.getValue(), schema(kind.getKey()), differences);
        assertThat(differences)
                .as("%s: default of the record (Java) against @Default (schema)", kind.getKey())
                .isEmpty();
    }

    /** The whole of it: an empty spec filled by the schema's defaults reads as the very same record as an empty spec. */
    @ParameterizedTest
    @MethodSource("specs")
    void anEmptySpecReadsTheSame(Map.Entry<String, Class<? extends Record>> kind) {
        ObjectNode filled = JSON.createObjectNode();
        fill(filled, schema(kind.getKey()));
        assertThat(filled).as("defaults of %s", kind.getKey()).isNotEmpty();
        assertThat(JSON.convertValue(filled, kind.getValue()))
                .isEqualTo(JSON.convertValue(JSON.createObjectNode(), kind.getValue()));
    }

    private static void compare(String path, Class<?> type, JSONSchemaProps schema, List<String> differences) {
        JsonNode empty = JSON.valueToTree(JSON.convertValue(JSON.createObjectNode(), type));
        for (RecordComponent component : type.getRecordComponents()) {
            String at = path.isEmpty() ? component.getName() : path + "." + component.getName();
            JSONSchemaProps field = schema.getProperties().get(component.getName());
            JsonNode java = withoutEmpty(empty.get(component.getName()));
            JsonNode said = field.getDefault() == null ? JSON.nullNode() : filled(field);
            if (!same(java, withoutEmpty(said)) && !IN_JAVA_ONLY.contains(at)) {
                differences.add(at + ": Java has " + java + ", the schema " + said);
            }
            Class<?> element = element(component.getGenericType());
            if (element.isRecord()) {
                compare(
                        at,
                        element,
                        field.getItems() == null ? field : field.getItems().getSchema(),
                        differences);
            }
        }
    }

    /** A field's default, with the parts that an API server would fill in; less those that only Java fills in. */
    private static JsonNode filled(JSONSchemaProps field) {
        JsonNode value = field.getDefault().deepCopy();
        if (value instanceof ObjectNode object) {
            fill(object, field);
        }
        return value;
    }

    private static void fill(ObjectNode object, JSONSchemaProps schema) {
        schema.getProperties().forEach((name, field) -> {
            if (!object.has(name) && field.getDefault() != null) {
                object.set(name, field.getDefault().deepCopy());
            }
            if (object.get(name) instanceof ObjectNode nested) {
                fill(nested, field);
            }
        });
    }

    private static boolean same(JsonNode java, JsonNode schema) {
        if (java.isNumber() && schema.isNumber()) {
            return java.doubleValue() == schema.doubleValue();
        }
        if (java.isObject() && schema.isObject()) {
            return java.properties().stream()
                            .allMatch(e -> inJavaOnly(e.getKey())
                                    || schema.has(e.getKey()) && same(e.getValue(), schema.get(e.getKey())))
                    && schema.properties().stream().allMatch(e -> java.has(e.getKey()));
        }
        return java.toString().equals(schema.toString());
    }

    private static boolean inJavaOnly(String name) {
        return IN_JAVA_ONLY.stream().anyMatch(path -> path.endsWith("." + name));
    }

    /** null, [], {} and objects of nothing but these say nothing. */
    private static JsonNode withoutEmpty(JsonNode value) {
        if (value instanceof ObjectNode object) {
            ObjectNode rest = JSON.createObjectNode();
            object.properties().forEach(entry -> {
                JsonNode part = withoutEmpty(entry.getValue());
                if (!part.isNull()) {
                    rest.set(entry.getKey(), part);
                }
            });
            return rest.isEmpty() ? JSON.nullNode() : rest;
        }
        boolean nothing = value == null
                || value.isNull()
                || value.isArray() && value.isEmpty()
                || value.isTextual() && value.textValue().isEmpty();
        return nothing ? JSON.nullNode() : value;
    }

    private static Class<?> element(Type type) {
        Type inner = type instanceof ParameterizedType p && p.getRawType() == List.class
                ? p.getActualTypeArguments()[0]
                : type;
        return inner instanceof Class<?> c ? c : Object.class;
    }

    private static JSONSchemaProps schema(String file) {
        return Serialization.unmarshal(GENERATED.get(file), CustomResourceDefinition.class)
                .getSpec()
                .getVersions()
                .getFirst()
                .getSchema()
                .getOpenAPIV3Schema()
                .getProperties()
                .get("spec");
    }
}
