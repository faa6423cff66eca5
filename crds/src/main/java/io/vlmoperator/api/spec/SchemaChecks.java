package io.vlmoperator.api.spec;

import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.AnnotatedParameterizedType;
import java.lang.reflect.AnnotatedType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The limits that stand as annotations on the records, checked where no API server does it. The annotations are the one source: the CRD
 * generator reads the same.
 */
final class SchemaChecks {
    private final SpecChecks.Where where;
    private final List<Problem> problems;

    SchemaChecks(SpecChecks.Where where, List<Problem> problems) {
        this.where = where;
        this.problems = problems;
    }

    /** Walks a record down to its leaves. */
    void check(String path, Record value) {
        for (RecordComponent component : value.getClass().getRecordComponents()) {
            String at = path + "." + component.getName();
            Object part = read(component, value);
            if (part == null) {
                if (component.getAccessor().isAnnotationPresent(Required.class)) {
                    problems.add(new Problem(at, "is required"));
                }
                continue;
            }
            one(at, part, component.getAccessor());
            elements(at, part, component.getAnnotatedType());
        }
    }

    private void elements(String path, Object value, AnnotatedType type) {
        switch (value) {
            case Record nested -> check(path, nested);
            case List<?> list -> {
                int index = 0;
                for (Object element : list) {
                    element(path + "[" + index++ + "]", element, argument(type, 0));
                }
            }
            case Map<?, ?> map ->
                map.forEach((key, element) -> element(path + "[" + key + "]", element, argument(type, 1)));
            default -> {}
        }
    }

    private void element(String path, Object value, Optional<AnnotatedType> type) {
        type.ifPresent(annotated -> one(path, value, annotated));
        if (value instanceof Record nested) {
            check(path, nested);
        }
    }

    private static Optional<AnnotatedType> argument(AnnotatedType type, int index) {
        return type instanceof AnnotatedParameterizedType parameterized
                ? Optional.of(parameterized.getAnnotatedActualTypeArguments()[index])
                : Optional.empty();
    }

    private static final int SHORT = 200;
    private static final long DEEP_STACK = 16L << 20;

    private void one(String path, Object value, AnnotatedElement limits) {
        if (value instanceof Number number) {
            range(path, number.doubleValue(), limits);
        }
        boolean bounded = size(path, value, limits.getAnnotation(Size.class));
        Pattern pattern = limits.getAnnotation(Pattern.class);
        if (bounded && value instanceof String text && pattern != null) {
            String expression =
                    where == SpecChecks.Where.LAPTOP ? Patterns.withFiles(pattern.value()) : pattern.value();
            if (!matches(expression, text)) {
                String instead = Patterns.message(pattern.value()).orElse("does not match " + pattern.value());
                problems.add(new Problem(path, "\"" + text + "\": " + instead));
            }
        }
    }

    /** Java matches a group by recursion, one level a repetition: a long location needs more stack than a thread has. */
    private static boolean matches(String expression, String text) {
        if (text.length() <= SHORT) {
            return java.util.regex.Pattern.matches(expression, text);
        }
        var holds = new AtomicBoolean();
        var matcher = new Thread(
                null, () -> holds.set(java.util.regex.Pattern.matches(expression, text)), "pattern", DEEP_STACK);
        matcher.start();
        boolean interrupted = false;
        while (true) {
            try {
                matcher.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return holds.get();
    }

    private void range(String path, double number, AnnotatedElement limits) {
        Min min = limits.getAnnotation(Min.class);
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            problems.add(new Problem(path, "must be a finite number"));
        } else if (min != null && (min.inclusive() ? number < min.value() : number <= min.value())) {
            problems.add(new Problem(
                    path, "must be " + (min.inclusive() ? "at least " : "greater than ") + text(min.value())));
        }
        Max max = limits.getAnnotation(Max.class);
        if (max != null && (max.inclusive() ? number > max.value() : number >= max.value())) {
            problems.add(
                    new Problem(path, "must be " + (max.inclusive() ? "at most " : "less than ") + text(max.value())));
        }
    }

    private boolean size(String path, Object value, Size size) {
        if (size == null) {
            return true;
        }
        int length = switch (value) {
            case String text -> text.codePointCount(0, text.length());
            case Collection<?> list -> list.size();
            case Map<?, ?> map -> map.size();
            default -> throw new IllegalStateException(path + ": @Size on " + value.getClass());
        };
        String unit = value instanceof String ? " characters" : " entries";
        if (length < size.min()) {
            problems.add(new Problem(path, "must have at least " + size.min() + unit));
        } else if (length > size.max()) {
            problems.add(new Problem(path, "must have at most " + size.max() + unit));
        }
        return length >= size.min() && length <= size.max();
    }

    private static String text(double limit) {
        return limit == Math.rint(limit) && Math.abs(limit) < 1e15
                ? Long.toString((long) limit)
                : Double.toString(limit);
    }

    static Object read(RecordComponent component, Record value) {
        try {
            return component.getAccessor().invoke(value);
        } catch (IllegalAccessException | InvocationTargetException e) {
            throw new IllegalStateException(
                    "Can't read " + component + " of a " + value.getClass().getSimpleName(), e);
        }
    }
}
