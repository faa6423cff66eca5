package io.vlmoperator.trainer.verify;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * One quantity compared.
 *
 * @param what kind/case/name of the quantity
 * @param measure how far our result is from the expected one
 */
public record Comparison(String what, Measure measure) {
    /** Largest relative difference allowed; where it does not apply the measure says so. */
    static final double RELATIVE = 1e-5;
    /** Allowed for a gradient that is zero by mathematics, relative to the model's largest gradient. */
    static final double ZERO_GRADIENT = 1e-6;

    /** How two results were compared. */
    public sealed interface Measure {
        /** Whether it is within its limit. */
        boolean passed();
    }

    /**
     * Floating-point values.
     *
     * @param absolute largest absolute difference
     * @param relative that over the largest absolute expected value (for a gradient that is zero by mathematics: over the model's largest
     *     gradient); not a number where a value is not
     * @param limit the largest relative difference allowed
     */
    public record Difference(double absolute, double relative, double limit) implements Measure {
        @Override
        public boolean passed() {
            return relative <= limit;
        }
    }

    /**
     * Values that must be equal: ids, bytes, names, scores.
     *
     * @param differing how many are not
     * @param of how many there are
     * @param first the first that differs, for people; empty if none does
     */
    public record Equality(long differing, long of, String first) implements Measure {
        @Override
        public boolean passed() {
            return differing == 0;
        }
    }

    /**
     * A quantity of the reference that is not compared; it neither passes nor fails.
     *
     * @param why the reason
     */
    public record LeftOut(String why) implements Measure {
        @Override
        public boolean passed() {
            return true;
        }
    }

    /**
     * No result to compare.
     *
     * @param why what went wrong
     */
    public record Failure(String why) implements Measure {
        @Override
        public boolean passed() {
            return false;
        }
    }

    /** Whether it is within its limit. */
    public boolean passed() {
        return measure.passed();
    }

    /** One line for people. */
    String line() {
        return switch (measure) {
            case Difference d ->
                String.format(
                        Locale.ROOT,
                        "%-78s max abs %.1e  relative %.1e  tolerance %.0e  %s",
                        what,
                        d.absolute(),
                        d.relative(),
                        d.limit(),
                        verdict());
            case Equality e ->
                String.format(
                        Locale.ROOT,
                        "%-78s %d of %d differ  tolerance 0  %s%s",
                        what,
                        e.differing(),
                        e.of(),
                        verdict(),
                        e.first().isEmpty() ? "" : ": " + e.first());
            case LeftOut l -> String.format(Locale.ROOT, "%-78s left out: %s", what, l.why());
            case Failure f -> String.format(Locale.ROOT, "%-78s FAILED: %s", what, f.why());
        };
    }

    /** {@code ok}, {@code FAILED} or {@code left out}. */
    String verdict() {
        return measure instanceof LeftOut ? "left out" : passed() ? "ok" : "FAILED";
    }

    /** The fields of {@code report.json}. */
    Map<String, Object> json() {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("what", what);
        fields.put("verdict", verdict());
        switch (measure) {
            case Difference d -> {
                fields.put("absolute", d.absolute());
                fields.put("relative", d.relative());
                fields.put("tolerance", d.limit());
            }
            case Equality e -> {
                fields.put("differing", e.differing());
                fields.put("of", e.of());
                if (!e.first().isEmpty()) {
                    fields.put("first", e.first());
                }
            }
            case LeftOut l -> fields.put("why", l.why());
            case Failure f -> fields.put("why", f.why());
        }
        return fields;
    }
}
