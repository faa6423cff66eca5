package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * One value compared.
 *
 * @param what kind/case/tensor
 * @param difference largest absolute difference over the largest absolute expected value (for a gradient that is zero by mathematics: over
 *     the model's largest gradient)
 * @param limit what is allowed
 */
public record Comparison(String what, double difference, double limit) {
    static final double RELATIVE = 1e-5;
    static final double ZERO_GRADIENT = 1e-6;
    private static final double NOISE = 1e-3;

    /** Whether the difference is within the limit. */
    public boolean passed() {
        return difference <= limit;
    }

    /** Compares everything that was produced and is expected. */
    static List<Comparison> all(Case result) throws java.io.IOException {
        List<Comparison> comparisons = new ArrayList<>();
        double largestGradient = 0;
        for (Safetensors.Entry entry : result.golden().entries().values()) {
            if (entry.name().startsWith("grad.")) {
                largestGradient = Math.max(largestGradient, largest(entry.floats()));
            }
        }
        int[] meaningful = meaningful(result);
        for (Map.Entry<String, Values> produced : result.produced().entrySet()) {
            String name = produced.getKey();
            if (!result.has(name)) {
                continue;
            }
            Safetensors.Entry entry = result.golden().get(name);
            String what = result.kind() + "/" + result.name() + "/" + name;
            if (!entry.shape().equals(produced.getValue().shape())) {
                comparisons.add(new Comparison(
                        what + " has shape " + produced.getValue().shape() + " instead of " + entry.shape(),
                        Double.NaN,
                        0));
                continue;
            }
            Values expected = new Values(entry.shape(), entry.floats());
            Values actual = produced.getValue();
            if (isLaterWeights(result, name)) {
                continue;
            }
            if (name.contains(".param.")) {
                actual = withoutNoise(
                        result, name.substring(name.indexOf(".param.") + ".param.".length()), actual, expected);
            }
            if (meaningful.length > 0 && (name.startsWith("hidden.") || name.equals("logits"))) {
                expected = expected.rows(meaningful);
                actual = actual.rows(meaningful);
            }
            double difference = difference(actual.elements(), expected.elements());
            // Without rotary positions a key bias moves all scores of a query alike: its gradient is zero but for
            // rounding.
            if (name.startsWith("grad.") && name.contains("vision_model") && name.endsWith("k_proj.bias")) {
                comparisons.add(new Comparison(what, difference / largestGradient, ZERO_GRADIENT));
            } else {
                double largest = largest(expected.elements());
                comparisons.add(new Comparison(what, difference == 0 ? 0 : difference / largest, RELATIVE));
            }
        }
        for (Map.Entry<String, Double> scalar : result.scalars().entrySet()) {
            JsonNode expected = result.facts().at("/" + scalar.getKey().replace('.', '/'));
            if (expected.isNumber()) {
                double difference = Math.abs(scalar.getValue() - expected.asDouble());
                comparisons.add(new Comparison(
                        result.kind() + "/" + result.name() + "/" + scalar.getKey(),
                        difference == 0 ? 0 : difference / Math.abs(expected.asDouble()),
                        RELATIVE));
            }
        }
        summaries(result, comparisons);
        return comparisons;
    }

    /** Large gradients are given as their norm and every n-th element. */
    private static void summaries(Case result, List<Comparison> comparisons) {
        for (Map.Entry<String, JsonNode> summary : result.facts().path("grads").properties()) {
            String what = result.kind() + "/" + result.name() + "/" + summary.getKey();
            Values produced = result.produced().get(summary.getKey());
            if (produced == null) {
                comparisons.add(new Comparison(what + " was not formed", Double.NaN, 0));
                continue;
            }
            double squares = 0;
            for (float value : produced.elements()) {
                squares += (double) value * value;
            }
            double norm = summary.getValue().path("l2").asDouble();
            comparisons.add(new Comparison(what + " (norm)", Math.abs(Math.sqrt(squares) - norm) / norm, RELATIVE));
            JsonNode samples = summary.getValue().path("every_stride");
            int stride = summary.getValue().path("stride").asInt();
            float[] expected = new float[samples.size()];
            float[] actual = new float[samples.size()];
            for (int i = 0; i < expected.length; i++) {
                expected[i] = (float) samples.get(i).asDouble();
                actual[i] = produced.elements()[i * stride];
            }
            comparisons.add(new Comparison(
                    what + " (every " + stride + "th)", difference(actual, expected) / largest(expected), RELATIVE));
        }
    }

    /**
     * Whether a case of updates holds the weights after its last update under this earlier one's name as well (the generator of the first
     * goldens did): then they say nothing about the earlier update.
     */
    private static boolean isLaterWeights(Case result, String name) throws java.io.IOException {
        int last = result.facts().path("steps").size() - 1;
        if (!name.contains(".param.") || name.startsWith("step." + last + ".")) {
            return false;
        }
        Safetensors.Entry end = result.golden().get("step." + last + name.substring(name.indexOf(".param.")));
        return result.golden().get(name).data().mismatch(end.data()) < 0;
    }

    /**
     * AdamW divides a gradient by its own size, so it moves a weight as far by a gradient of rounding errors as by any other. The key bias of
     * rotary dimensions that hardly turn has such gradients (without rotation they are zero by mathematics). Elements whose gradients are
     * below {@value #NOISE} of the tensor's largest, where the tolerance of the gradient alone is 1 % of an update, are left out.
     */
    private static Values withoutNoise(Case result, String name, Values actual, Values expected)
            throws java.io.IOException {
        float[] squares = result.golden().get("exp_avg_sq." + name).floats();
        double floor = NOISE * Math.sqrt(largest(squares));
        float[] kept = actual.elements().clone();
        for (int i = 0; i < kept.length; i++) {
            if (Math.sqrt(squares[i]) < floor) {
                kept[i] = expected.elements()[i];
            }
        }
        return new Values(actual.shape(), kept);
    }

    /** Rows whose values mean something: those the attention mask lets through. Empty without a mask. */
    private static int[] meaningful(Case result) throws java.io.IOException {
        if (!result.has("attention_mask")) {
            return new int[0];
        }
        int[] mask = result.ints("attention_mask");
        return java.util.stream.IntStream.range(0, mask.length)
                .filter(t -> mask[t] == 1)
                .toArray();
    }

    private static double difference(float[] actual, float[] expected) {
        double largest = 0;
        for (int i = 0; i < actual.length; i++) {
            double difference = Math.abs((double) actual[i] - expected[i]);
            if (Double.isNaN(difference)) {
                return Double.NaN;
            }
            largest = Math.max(largest, difference);
        }
        return largest;
    }

    private static double largest(float[] values) {
        double largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}
