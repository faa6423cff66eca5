package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/** Compares the tensors and scalars of one case, by the rules of the reference goldens. */
final class TensorComparisons {
    /**
     * Elements whose gradient is below this share of the tensor's largest are left out of comparisons after updates: AdamW divides a
     * gradient by its own size, and moves a weight as far by a gradient of rounding errors as by any other.
     */
    private static final double NOISE = 1e-3;

    private final Case result;
    private final Findings findings;

    private TensorComparisons(Case result, Findings findings) {
        this.result = result;
        this.findings = findings;
    }

    /** Adds a comparison for everything that is expected. */
    static void run(Case result, Findings findings) throws IOException {
        TensorComparisons comparisons = new TensorComparisons(result, findings);
        comparisons.tensors();
        comparisons.scalars();
        comparisons.summaries();
    }

    private void tensors() throws IOException {
        double largestGradient = 0;
        for (Safetensors.Entry entry : result.golden().entries().values()) {
            if (entry.name().startsWith("grad.")) {
                largestGradient = Math.max(largestGradient, largest(entry.floats()));
            }
        }
        int[] meaningful = meaningful();
        for (Safetensors.Entry entry : result.golden().entries().values()) {
            Values produced = result.produced().get(entry.name());
            if (produced != null) {
                tensor(entry, produced, meaningful, largestGradient);
            } else if (!result.inputs().contains(entry.name())) {
                findings.leftOut(result.what(entry.name()), why(entry.name()));
            }
        }
    }

    private static String why(String name) {
        return name.equals("last_with_post_layernorm")
                ? "the feature has no norm behind it, and the trainer none to compute"
                : "the trainer has no such quantity";
    }

    private void tensor(Safetensors.Entry entry, Values produced, int[] meaningful, double largestGradient)
            throws IOException {
        String name = entry.name();
        String what = result.what(name);
        if (!entry.shape().equals(produced.shape())) {
            findings.failed(what, "shape " + produced.shape() + " instead of " + entry.shape());
            return;
        }
        if (Set.of(DType.INT64, DType.INT32, DType.UINT8, DType.BOOL).contains(entry.type())) {
            integers(what, entry.floats(), produced.elements());
            return;
        }
        if (isLaterWeights(name)) {
            findings.leftOut(what, "the file holds the weights after the last update under this name as well");
            return;
        }
        Values expected = new Values(entry.shape(), entry.floats());
        Values actual = produced;
        if (name.contains(".param.")) {
            actual = withoutNoise(name.substring(name.indexOf(".param.") + ".param.".length()), actual, expected);
        }
        if (meaningful.length > 0 && (name.startsWith("hidden.") || name.equals("logits"))) {
            expected = expected.rows(meaningful);
            actual = actual.rows(meaningful);
        }
        double difference = difference(actual.elements(), expected.elements());
        // Without rotary positions a key bias moves all scores of a query alike: its gradient is zero but for rounding.
        if (name.startsWith("grad.") && name.contains("vision_model") && name.endsWith("k_proj.bias")) {
            findings.add(
                    what,
                    new Comparison.Difference(difference, difference / largestGradient, Comparison.ZERO_GRADIENT));
        } else {
            double largest = largest(expected.elements());
            findings.add(
                    what,
                    new Comparison.Difference(
                            difference, difference == 0 ? 0 : difference / largest, Comparison.RELATIVE));
        }
    }

    private void integers(String what, float[] expected, float[] actual) {
        try (Findings.Tally tally = findings.tally(what)) {
            for (int i = 0; i < expected.length; i++) {
                tally.equal("element " + i, (long) actual[i], (long) expected[i]);
            }
        }
    }

    private void scalars() {
        for (Map.Entry<String, Double> scalar : result.scalars().entrySet()) {
            JsonNode expected = result.facts().at("/" + scalar.getKey().replace('.', '/'));
            if (expected.isNumber()) {
                findings.number(result.what(scalar.getKey()), scalar.getValue(), expected.asDouble());
            }
        }
    }

    /** Large gradients are given as their norm, their sum and every n-th element. */
    private void summaries() {
        for (Map.Entry<String, JsonNode> summary : result.facts().path("grads").properties()) {
            String what = result.what(summary.getKey());
            Values produced = result.produced().get(summary.getKey());
            if (produced == null) {
                findings.failed(what, "was not formed");
                continue;
            }
            double sum = 0;
            double sizes = 0;
            for (float value : produced.elements()) {
                sum += value;
                sizes += Math.abs(value);
            }
            findings.number(
                    what + " (norm)",
                    norm(produced.elements()),
                    summary.getValue().path("l2").asDouble());
            // Positive and negative elements cancel: the sum's error is that of its terms.
            double off = Math.abs(sum - summary.getValue().path("sum").asDouble());
            findings.add(
                    what + " (sum, relative to the sum of sizes)",
                    new Comparison.Difference(off, off == 0 ? 0 : off / sizes, Comparison.RELATIVE));
            JsonNode samples = summary.getValue().path("every_stride");
            int stride = summary.getValue().path("stride").asInt();
            float[] expected = new float[samples.size()];
            float[] actual = new float[samples.size()];
            for (int i = 0; i < expected.length; i++) {
                expected[i] = (float) samples.get(i).asDouble();
                actual[i] = produced.elements()[i * stride];
            }
            double difference = difference(actual, expected);
            findings.add(
                    what + " (every " + stride + "th)",
                    new Comparison.Difference(
                            difference, difference == 0 ? 0 : difference / largest(expected), Comparison.RELATIVE));
        }
    }

    /** As the goldens form it: torch's, in float32, which over millions of elements is 1e-5 off the exact one. */
    private static double norm(float[] values) {
        try (Scope scope = Scope.open()) {
            return scope.ops()
                    .normInFloat32(scope.floats(values, values.length))
                    .item();
        }
    }

    /**
     * Whether a case of updates holds the weights after its last update under this earlier one's name as well (the generator of the first
     * goldens did): then they say nothing about the earlier update.
     */
    private boolean isLaterWeights(String name) throws IOException {
        int last = result.facts().path("steps").size() - 1;
        if (!name.contains(".param.") || name.startsWith("step." + last + ".")) {
            return false;
        }
        Safetensors.Entry end = result.golden().get("step." + last + name.substring(name.indexOf(".param.")));
        return result.golden().get(name).data().mismatch(end.data()) < 0;
    }

    /** Elements with gradients of rounding errors (the key bias of rotary dimensions that hardly turn has such) are set to the golden's. */
    private Values withoutNoise(String name, Values actual, Values expected) throws IOException {
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
    private int[] meaningful() throws IOException {
        if (!result.has("attention_mask")) {
            return new int[0];
        }
        int[] mask = result.ints("attention_mask");
        return IntStream.range(0, mask.length).filter(t -> mask[t] == 1).toArray();
    }

    static double difference(float[] actual, float[] expected) {
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

    static double largest(float[] values) {
        double largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}
