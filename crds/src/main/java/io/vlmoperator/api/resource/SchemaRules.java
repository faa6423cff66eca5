package io.vlmoperator.api.resource;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.TextNode;
import io.fabric8.crdv2.generator.v1.SchemaCustomizer;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import io.fabric8.kubernetes.api.model.apiextensions.v1.ValidationRule;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import io.vlmoperator.api.spec.Patterns;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What annotations on records can't say: which fields are frozen, how lists merge, messages for patterns, quantities, and what a resource
 * may be called. Runs while the CRDs are generated; the input is the kind.
 */
public final class SchemaRules implements SchemaCustomizer.Customizer {
    /** Every other field of a spec is frozen, so a new field is frozen until someone decides that it is not. */
    private static final Set<String> MUTABLE =
            Set.of("suspend", "ttlSecondsAfterFinished", "failure", "evaluate", "workers", "checkpoints.keep");

    /** Lists in which an entry is known by one of its fields: two field managers may own entries, and no key may come twice. */
    private static final Map<String, String> KEYS =
            Map.of("env", "name", "sources", "name", "benchmarks", "name", "data", "dataset");

    private static final Set<String> SETS = Set.of("train", "protocols", "seeds");

    /**
     * Objects whose default is a value; that of the others is {@code {}}, filled from the defaults of the parts. An API server checks a
     * default against the object's own rules before it fills it, so checkpoints, whose rule looks at a part, belongs here, too.
     */
    private static final Set<String> WITH_VALUE = Set.of("stopAfter", "projector", "checkpoints");

    private static final Set<String> QUANTITIES = Set.of("requests", "limits");

    @Override
    public JSONSchemaProps apply(JSONSchemaProps root, String kind, KubernetesSerialization serialization) {
        root.setDescription(describe(kind));
        root.setRequired(List.of("spec"));
        addRule(
                root,
                "self.metadata.name.size() <= 40 && self.metadata.name.matches('" + Patterns.RESOURCE_NAME + "')",
                Patterns.RESOURCE_NAME_MESSAGE,
                null);
        JSONSchemaProps spec = root.getProperties().get("spec");
        spec.setDescription("What is wanted. Most of it is frozen: to change it, create a new " + kind + ".");
        freeze(spec, kind, "", "");
        walk(spec, KEYS);
        JSONSchemaProps status = root.getProperties().get("status");
        status.setDescription("What is. Written by the operator alone.");
        walk(status, Map.of("conditions", "type"));
        conditions(status.getProperties().get("conditions").getItems().getSchema());
        return root;
    }

    private static String describe(String kind) {
        return switch (kind) {
            case "Dataset" -> "Image-text data made ready for training: indexed, filtered and packed into rows.";
            case "PretrainJob" -> "Trains a vision-language model on packed captions.";
            case "SFTJob" -> "Fine-tunes a checkpoint on conversations.";
            case "EvalJob" -> "Scores a checkpoint on benchmarks.";
            default -> throw new IllegalArgumentException("Unknown kind " + kind + ": describe it in SchemaRules.");
        };
    }

    /** One rule a field, so that the message names it; inside an object with a mutable part, one rule a part. */
    private static void freeze(JSONSchemaProps spec, String kind, String prefix, String access) {
        JSONSchemaProps parent = prefix.isEmpty() ? spec : spec.getProperties().get(access.substring(1));
        parent.getProperties().forEach((name, field) -> {
            String path = prefix + name;
            if (MUTABLE.contains(path)) {
                return;
            }
            if (MUTABLE.stream().anyMatch(mutable -> mutable.startsWith(path + "."))) {
                freeze(spec, kind, path + ".", "." + path);
                return;
            }
            String now = "self" + access + "." + name;
            String before = "oldSelf" + access + "." + name;
            boolean always = field.getDefault() != null || parent.getRequired().contains(name);
            String rule = always
                    ? now + " == " + before
                    : "has(%s) == has(%s) && (!has(%s) || %s == %s)".formatted(now, before, now, now, before);
            addRule(spec, rule, path + " can't be changed; create a new " + kind, access + "." + name);
        });
    }

    private static void walk(JSONSchemaProps schema, Map<String, String> keys) {
        schema.getProperties().forEach((name, field) -> {
            shape(name, field, keys);
            walk(field, keys);
        });
        if (schema.getItems() != null && schema.getItems().getSchema() != null) {
            JSONSchemaProps items = schema.getItems().getSchema();
            explainPattern(items);
            walk(items, keys);
        }
    }

    private static void shape(String name, JSONSchemaProps field, Map<String, String> keys) {
        explainPattern(field);
        if ("array".equals(field.getType())) {
            if (keys.containsKey(name)) {
                field.setXKubernetesListType("map");
                field.setXKubernetesListMapKeys(List.of(keys.get(name)));
            } else {
                field.setXKubernetesListType(SETS.contains(name) ? "set" : "atomic");
            }
        }
        if (field.getDefault() != null && field.getDefault().isObject() && !WITH_VALUE.contains(name)) {
            field.setDefault(JsonNodeFactory.instance.objectNode());
        }
        if (QUANTITIES.contains(name)) {
            JSONSchemaProps value = field.getAdditionalProperties().getSchema();
            value.setType(null);
            value.setXKubernetesIntOrString(true);
        }
    }

    /** A pattern that has a message becomes a rule: of a failing pattern people see the expression only. */
    private static void explainPattern(JSONSchemaProps field) {
        if (field.getPattern() == null) {
            return;
        }
        Patterns.message(field.getPattern()).ifPresent(message -> {
            addRule(field, "self.matches(r'" + field.getPattern() + "')", message, null);
            field.setPattern(null);
        });
    }

    private static void conditions(JSONSchemaProps condition) {
        condition
                .getProperties()
                .get("status")
                .setEnum(List.of(TextNode.valueOf("True"), TextNode.valueOf("False"), TextNode.valueOf("Unknown")));
    }

    private static void addRule(JSONSchemaProps schema, String rule, String message, String fieldPath) {
        List<ValidationRule> rules = new ArrayList<>(
                schema.getXKubernetesValidations() == null ? List.of() : schema.getXKubernetesValidations());
        ValidationRule added = new ValidationRule();
        added.setRule(rule);
        added.setMessage(message);
        added.setFieldPath(fieldPath);
        rules.add(added);
        schema.setXKubernetesValidations(rules);
    }
}
