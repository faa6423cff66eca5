package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Relations between cases of the whole model: packed against unpacked, the two attention modes, the two rules of accumulation. */
final class VlmReport {
    private static final String PACKED = "isolated_packed_vs_unpacked";
    private static final String MODES = "paper_vs_isolated";

    /** What one case gave. */
    private record Outcome(double loss, Values logits, Map<String, Values> gradients) {}

    private final JsonNode golden;
    private final Map<String, Outcome> outcomes = new HashMap<>();
    private Outcome unpacked;

    VlmReport(JsonNode golden) {
        this.golden = golden;
    }

    /** Whether the case is a packed row in one of the two modes. */
    static boolean isPacked(Case result, boolean isolated) {
        return result.has("segments")
                && result.facts().path("attention").asText().startsWith("block") == isolated;
    }

    void remember(Case result) {
        Outcome outcome = new Outcome(
                result.scalars().get("loss"), result.produced().get("logits_at_text"), gradients(result.produced()));
        if (result.has("micro.0.input_ids")) {
            outcomes.put(
                    result.facts().path("attention").asText() + " "
                            + result.facts().path("normalization").asText(),
                    outcome);
        } else if (result.has("segments")
                && !result.facts().path("vision").asText().equals("trained")) {
            outcomes.put(isPacked(result, true) ? "isolated" : "paper", outcome);
        }
    }

    /** The samples of the isolated row, each alone. */
    void unpacked(double loss, List<float[]> logits, Map<String, Values> produced) {
        int size = logits.stream().mapToInt(row -> row.length).sum();
        float[] all = new float[size];
        int at = 0;
        for (float[] row : logits) {
            System.arraycopy(row, 0, all, at, row.length);
            at += row.length;
        }
        unpacked = new Outcome(loss, new Values(List.of((long) size), all), gradients(produced));
    }

    private static Map<String, Values> gradients(Map<String, Values> produced) {
        Map<String, Values> gradients = new HashMap<>();
        produced.forEach((name, values) -> {
            if (name.startsWith("grad.")) {
                gradients.put(name, values);
            }
        });
        return gradients;
    }

    void compare(Findings findings) {
        Outcome isolated = outcomes.get("isolated");
        Outcome paper = outcomes.get("paper");
        if (isolated != null && unpacked != null && golden.has(PACKED)) {
            String what = "vlm/report/" + PACKED + "/";
            JsonNode facts = golden.path(PACKED);
            findings.number(
                    what + "loss_packed",
                    isolated.loss(),
                    facts.path("loss_packed").asDouble());
            findings.number(
                    what + "loss_unpacked_token_weighted",
                    unpacked.loss(),
                    facts.path("loss_unpacked_token_weighted").asDouble());
            findings.number(what + "loss (ours, packed against unpacked)", isolated.loss(), unpacked.loss());
            // Rounding: the golden's own figure says nothing about ours, which has to be as small.
            findings.zero(
                    what + "max_abs_logit",
                    TensorComparisons.difference(
                            isolated.logits().elements(), unpacked.logits().elements()),
                    TensorComparisons.largest(unpacked.logits().elements()));
            findings.number(what + "grad_cosine", cosine(isolated, unpacked), 1);
            findings.zero(what + "max_rel_grad", worst(isolated, unpacked), 1);
        }
        if (isolated != null && paper != null && golden.has(MODES)) {
            String what = "vlm/report/" + MODES + "/";
            JsonNode facts = golden.path(MODES);
            findings.number(
                    what + "loss_paper", paper.loss(), facts.path("loss_paper").asDouble());
            findings.number(
                    what + "grad_cosine",
                    cosine(paper, isolated),
                    facts.path("grad_cosine").asDouble());
            findings.number(
                    what + "max_abs_logit",
                    TensorComparisons.difference(
                            paper.logits().elements(), isolated.logits().elements()),
                    facts.path("max_abs_logit").asDouble());
        }
        for (String mode : List.of("paper", "isolated")) {
            Outcome one = outcomes.get(mode + " micro-batch");
            Outcome other = outcomes.get(mode + " global-token");
            JsonNode facts = golden.path("accumulate_" + mode);
            if (one != null && other != null && !facts.isMissingNode()) {
                findings.number(
                        "vlm/report/accumulate_" + mode + "/grad_cosine_between_rules",
                        cosine(one, other),
                        facts.path("grad_cosine_between_rules").asDouble());
            }
        }
    }

    private static double cosine(Outcome a, Outcome b) {
        double product = 0;
        double first = 0;
        double second = 0;
        for (Map.Entry<String, Values> gradient : a.gradients().entrySet()) {
            float[] x = gradient.getValue().elements();
            float[] y = b.gradients().get(gradient.getKey()).elements();
            for (int i = 0; i < x.length; i++) {
                product += (double) x[i] * y[i];
                first += (double) x[i] * x[i];
                second += (double) y[i] * y[i];
            }
        }
        return product / Math.sqrt(first * second);
    }

    /** Largest relative difference of one tensor's gradients. */
    private static double worst(Outcome a, Outcome b) {
        double worst = 0;
        for (Map.Entry<String, Values> gradient : a.gradients().entrySet()) {
            float[] y = b.gradients().get(gradient.getKey()).elements();
            double difference = TensorComparisons.difference(gradient.getValue().elements(), y);
            worst = Math.max(worst, difference / TensorComparisons.largest(y));
        }
        return worst;
    }
}
