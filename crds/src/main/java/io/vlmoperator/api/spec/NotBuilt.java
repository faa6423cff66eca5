package io.vlmoperator.api.spec;

import io.fabric8.generator.annotation.Pattern;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.List;

/** Features that the API has and the program does not have yet: refused by name, never ignored. */
final class NotBuilt {
    static final String MESSAGE = "not built yet; ";

    private NotBuilt() {}

    static List<Problem> eval(EvalJobSpec spec) {
        return spec.checkpoint().endpoint() == null
                ? List.of()
                : List.of(not("spec.checkpoint.endpoint", "name a job or the location of a checkpoint"));
    }

    /** Every {@code s3://} location of a spec, wherever it stands. */
    static List<Problem> locations(String path, Record spec) {
        List<Problem> problems = new ArrayList<>();
        for (RecordComponent component : spec.getClass().getRecordComponents()) {
            String at = path + "." + component.getName();
            Pattern pattern = component.getAccessor().getAnnotation(Pattern.class);
            boolean location = pattern != null
                    && (pattern.value().equals(Patterns.LOCATION)
                            || pattern.value().equals(Patterns.LOCATIONS));
            find(at, SchemaChecks.read(component, spec), location, problems);
        }
        return problems;
    }

    private static void find(String path, Object value, boolean location, List<Problem> problems) {
        switch (value) {
            case String text
            when location && text.startsWith("s3://") ->
                problems.add(not(path, "s3:// locations will come; write pvc://CLAIM/path"));
            case Record nested -> problems.addAll(locations(path, nested));
            case List<?> list -> {
                for (int i = 0; i < list.size(); i++) {
                    find(path + "[" + i + "]", list.get(i), location, problems);
                }
            }
            case null, default -> {}
        }
    }

    private static Problem not(String path, String instead) {
        return new Problem(path, MESSAGE + instead);
    }
}
