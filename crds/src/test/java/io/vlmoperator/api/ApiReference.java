package io.vlmoperator.api;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Writes {@code src/docs/api.md} from the types: one table a record, each record once. */
final class ApiReference {
    private final StringBuilder out = new StringBuilder();
    private final Set<Class<?>> seen = new LinkedHashSet<>();
    private final Deque<Class<?>> open = new ArrayDeque<>();

    private ApiReference() {}

    static String write() {
        return new ApiReference().all();
    }

    private String all() {
        out.append("""
                # The API: `vlm-operator.io/v1alpha1`

                Written by `make crds` from the types in `crds/src`; `kubectl explain KIND.spec` says the same. Limits and rules between fields are in the schema
                (`crds/crds`): a spec that breaks one is refused when it is applied, with what to write instead.

                A spec is frozen but for `suspend`, `ttlSecondsAfterFinished`, `failure`, `workers`, `evaluate` and `checkpoints.keep`: to change anything else, create a
                new resource. A location is `pvc://CLAIM/path` or `s3://bucket/key` (`vlm-trainer run` also reads `file:///path`); where a list of files is
                read, `*` and ranges such as `{00000..01302}` are allowed. A resource is named by at most 40 lower-case letters, digits and `-`, beginning with a letter.

                """);
        for (Class<? extends HasMetadata> kind : CrdFiles.KINDS) {
            ParameterizedType resource = (ParameterizedType) kind.getGenericSuperclass();
            out.append("## ")
                    .append(kind.getSimpleName())
                    .append("\n\n`kubectl get ")
                    .append(HasMetadata.getPlural(kind))
                    .append("`, short `")
                    .append(kind.getAnnotation(ShortNames.class).value()[0])
                    .append("`.\n\n");
            for (Type part : resource.getActualTypeArguments()) {
                section("###", (Class<?>) part);
            }
        }
        out.append("## Parts\n\n");
        for (Class<?> type = open.poll(); type != null; type = open.poll()) {
            section("###", type);
        }
        return out.toString();
    }

    private void section(String level, Class<?> type) {
        if (!seen.add(type)) {
            out.append("Status: [")
                    .append(name(type))
                    .append("](#")
                    .append(anchor(type))
                    .append("), as above.\n\n");
            return;
        }
        out.append(level)
                .append(' ')
                .append(name(type))
                .append("\n\n| field | type | default | |\n|---|---|---|---|\n");
        for (RecordComponent field : type.getRecordComponents()) {
            Method accessor = field.getAccessor();
            Default given = accessor.getAnnotation(Default.class);
            String fallback = accessor.isAnnotationPresent(Required.class)
                    ? "required"
                    : given == null ? "" : "`" + given.value() + "`";
            out.append("| `")
                    .append(field.getName())
                    .append("` | ")
                    .append(describe(field.getGenericType()))
                    .append(" | ")
                    .append(fallback)
                    .append(" | ")
                    .append(accessor.getAnnotation(JsonPropertyDescription.class)
                            .value()
                            .replace("|", "\\|"))
                    .append(" |\n");
        }
        out.append('\n');
    }

    private String describe(Type type) {
        if (type instanceof ParameterizedType generic) {
            List<String> arguments = new ArrayList<>();
            for (Type argument : generic.getActualTypeArguments()) {
                arguments.add(describe(argument));
            }
            return generic.getRawType() == Map.class
                    ? "map of " + arguments.getLast()
                    : "list of " + arguments.getFirst();
        }
        Class<?> simple = (Class<?>) type;
        if (simple.isEnum()) {
            return Stream.of(simple.getEnumConstants()).map(c -> "`" + c + "`").collect(Collectors.joining(", "));
        }
        if (simple.isRecord()) {
            if (simple.getRecordComponents().length == 0) {
                return "`{}`";
            }
            if (!seen.contains(simple) && !open.contains(simple)) {
                open.add(simple);
            }
            return "[" + name(simple) + "](#" + anchor(simple) + ")";
        }
        return switch (simple.getSimpleName()) {
            case "String" -> "text";
            case "Boolean" -> "true, false";
            case "Double" -> "number";
            case "Integer", "Long" -> "integer";
            default -> throw new IllegalStateException("No word for " + simple);
        };
    }

    /** Nested records are told apart by the record around them, status records by their package. */
    private static String name(Class<?> type) {
        String own = type.getDeclaringClass() == null
                ? type.getSimpleName()
                : type.getDeclaringClass().getSimpleName() + "." + type.getSimpleName();
        boolean twice = type.getPackageName().endsWith(".status") && own.equals("Checkpoints");
        return twice ? "Status." + own : own;
    }

    /** As GitHub makes it of a heading. */
    private static String anchor(Class<?> type) {
        return name(type).toLowerCase(java.util.Locale.ROOT).replace(".", "");
    }
}
