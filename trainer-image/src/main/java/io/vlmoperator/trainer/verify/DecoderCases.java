package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.spec.Schedule;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.Generator;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.train.LearningRate;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/** Cases of the decoder alone: forward with gradients, greedy generation, updates. */
final class DecoderCases {
    /** Of the reference's cases (paper, table 7). */
    private static final double WARMUP_RATIO = 0.03;

    private static final String LOGITS = "logits";

    private DecoderCases() {}

    static void run(Path folder, Case result, Findings findings) throws IOException {
        // The note behind the folder's name says how it is stored.
        Path model = folder.resolve(result.facts().path("model").asText().split(" ")[0]);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel decoder = VisionLanguageModel.create(
                    scope, Models.decoderOnly(HuggingFace.languageConfig(model)), EnumSet.of(Part.LANGUAGE));
            HuggingFace.load(model, decoder.weights(), Part.LANGUAGE);
            if (result.has("output_ids")) {
                generate(decoder, result, findings);
            } else if (result.has("step.0.input_ids")) {
                train(decoder, result, findings);
            } else {
                forward(decoder, result);
                if (!agrees(result) && storedInBf16(model)) {
                    forwardAsCast(decoder, result, findings);
                }
            }
        }
    }

    private static String goldenName(String name) {
        return name.substring(Part.LANGUAGE.prefix().length());
    }

    private static void forward(VisionLanguageModel decoder, Case result) throws IOException {
        List<Long> shape = result.input("input_ids").shape();
        int rows = Math.toIntExact(shape.get(0));
        int length = Math.toIntExact(shape.get(1));
        int[] kept = IntStream.range(0, rows * length).toArray();
        if (result.has("attention_mask")) {
            int[] mask = result.ints("attention_mask");
            kept = IntStream.of(kept).filter(t -> mask[t] == 1).toArray();
        }
        int[] keptTokens = kept;
        int[] positions = result.has("position_ids")
                ? result.ints("position_ids")
                : IntStream.range(0, rows * length).map(t -> t % length).toArray();
        Batch batch = Batch.ofText(
                pick(result.ints("input_ids"), kept),
                pick(result.ints("labels"), kept),
                pick(positions, kept),
                starts(kept, length));
        decoder.observe(batch, (name, value) -> {
            String golden = name.equals("inputs_embeds") ? "hidden.embed" : name;
            result.put(golden, Values.of(value).scattered(keptTokens, rows, length, value.size(-1)));
        });
        try (Scope scope = Scope.open()) {
            float sum = decoder.accumulate(batch, 1.0 / batch.targets(), scope).item();
            result.scalars().put("loss", (double) sum / batch.targets());
        }
        result.scalars().put("targets", (double) batch.targets());
        Models.gradients(decoder.weights(), List.of(Part.LANGUAGE), DecoderCases::goldenName, result);
        // Where large gradients are given as summaries, the small ones carry the prefix twice.
        result.golden()
                .names("grad.grad.")
                .toList()
                .forEach(name -> result.put(name, result.produced().get(name.substring(5))));
    }

    /** How far the logits are from the golden, relative to its largest value. */
    private static double off(Case result) throws IOException {
        Values produced = result.produced().get(LOGITS);
        if (produced == null || !result.has(LOGITS)) {
            return 0;
        }
        float[] expected = result.golden().get(LOGITS).floats();
        return expected.length == produced.elements().length
                ? TensorComparisons.difference(produced.elements(), expected) / TensorComparisons.largest(expected)
                : 0;
    }

    private static boolean agrees(Case result) throws IOException {
        return off(result) <= Comparison.RELATIVE;
    }

    private static boolean storedInBf16(Path model) throws IOException {
        try (Safetensors file = Safetensors.open(model.resolve("model.safetensors"))) {
            return file.entries().values().stream().allMatch(tensor -> tensor.type() == DType.BFLOAT16);
        }
    }

    /**
     * A maker of goldens that casts a whole model to BF16 and back rounds its rotary frequencies too. If that, and only that, is what
     * separates the results, they are compared with the same rounding, and a line says so.
     */
    private static void forwardAsCast(VisionLanguageModel decoder, Case result, Findings findings) throws IOException {
        double exact = off(result);
        decoder.roundRotaryFrequencies();
        try (Scope scope = Scope.open()) {
            scope.ops().zero(decoder.weights().gradients());
        }
        Map<String, Values> before = Map.copyOf(result.produced());
        Map<String, Double> scalarsBefore = Map.copyOf(result.scalars());
        forward(decoder, result);
        if (agrees(result)) {
            findings.leftOut(
                    result.what("rotary frequencies in float32"),
                    "%.1e off in %s: the golden's were rounded to BF16, and what follows is compared with the same rounding"
                            .formatted(exact, LOGITS));
        } else {
            result.produced().putAll(before);
            result.scalars().putAll(scalarsBefore);
        }
    }

    private static void generate(VisionLanguageModel decoder, Case result, Findings findings) throws IOException {
        int[] prompt = result.ints("input_ids");
        int[] labels = new int[prompt.length];
        Arrays.fill(labels, Batch.IGNORE);
        Batch batch =
                Batch.ofText(prompt, labels, IntStream.range(0, prompt.length).toArray(), new int[] {0, prompt.length});
        int[] answer = new Generator(decoder)
                .greedy(batch, result.facts().path("new_tokens").asInt(), Set.of())
                .getFirst();
        int[] ids = Arrays.copyOf(prompt, prompt.length + answer.length);
        System.arraycopy(answer, 0, ids, prompt.length, answer.length);
        result.put("output_ids", Values.integers(List.of(1L, (long) ids.length), ids));
        result.scalars()
                .put("distinct", (double) IntStream.of(answer).distinct().count());
        withoutCache(decoder, ids, prompt.length, result, findings);
    }

    /** The same tokens from one forward over all of them, and the smallest lead of a token over the second best. */
    private static void withoutCache(
            VisionLanguageModel decoder, int[] ids, int prompt, Case result, Findings findings) {
        int[] ignored = new int[ids.length];
        Arrays.fill(ignored, Batch.IGNORE);
        Batch all = Batch.ofText(ids, ignored, IntStream.range(0, ids.length).toArray(), new int[] {0, ids.length});
        try (Findings.Tally tally = findings.tally(result.what("output_ids (without a cache)"))) {
            decoder.observe(all, (name, value) -> {
                if (!name.equals("logits")) {
                    return;
                }
                Values logits = Values.of(value);
                double smallest = Double.POSITIVE_INFINITY;
                for (int t = prompt; t < ids.length; t++) {
                    float[] row = logits.rows(new int[] {t - 1}).elements();
                    int best = 0;
                    for (int v = 1; v < row.length; v++) {
                        best = row[v] > row[best] ? v : best;
                    }
                    float second = Float.NEGATIVE_INFINITY;
                    for (int v = 0; v < row.length; v++) {
                        second = v != best ? Math.max(second, row[v]) : second;
                    }
                    smallest = Math.min(smallest, row[best] - second);
                    tally.equal("token " + t, best, ids[t]);
                }
                // A difference of two logits has their error: it is compared relative to their size.
                double expected = result.facts()
                        .path("smallest_margin_of_best_over_second_logit")
                        .asDouble(smallest);
                double off = Math.abs(smallest - expected);
                findings.zero(
                        result.what("smallest_margin_of_best_over_second_logit"),
                        off,
                        TensorComparisons.largest(logits.elements()));
            });
        }
    }

    private static void train(VisionLanguageModel decoder, Case result, Findings findings) throws IOException {
        JsonNode facts = result.facts();
        LearningRate schedule = new LearningRate(
                WARMUP_RATIO, Schedule.Decay.Cosine, facts.path("total_steps").asLong());
        result.scalars().put("warmup_steps", (double) schedule.warmup());
        decayed(decoder, result, findings);
        FusedAdamW.Settings settings = new FusedAdamW.Settings(
                facts.at("/betas/0").asDouble(),
                facts.at("/betas/1").asDouble(),
                facts.path("eps").asDouble(),
                facts.path("weight_decay").asDouble());
        try (Scope scope = Scope.open()) {
            Tensor values = decoder.weights().values();
            Tensor gradients = decoder.weights().gradients();
            FusedAdamW optimizer = new FusedAdamW(
                    scope, settings, values, gradients, decoder.weights().decaySpans(), 0, values.count());
            for (int step = 0; result.has("step." + step + ".input_ids"); step++) {
                String prefix = "step." + step + ".";
                List<Long> shape = result.input(prefix + "input_ids").shape();
                int length = Math.toIntExact(shape.get(1));
                int[] all = IntStream.range(0, Math.toIntExact(shape.get(0) * length))
                        .toArray();
                Batch batch = Batch.ofText(
                        result.ints(prefix + "input_ids"),
                        result.ints(prefix + "labels"),
                        IntStream.of(all).map(t -> t % length).toArray(),
                        starts(all, length));
                try (Scope local = scope.child()) {
                    Ops ops = local.ops();
                    ops.zero(gradients);
                    float sum = decoder.accumulate(batch, 1.0 / batch.targets(), local)
                            .item();
                    Tensor norm = ops.norm(gradients);
                    result.scalars().put("steps." + step + ".loss", (double) sum / batch.targets());
                    result.scalars().put("steps." + step + ".grad_norm_before_clip", (double) norm.item());
                    double rate = facts.path("peak_lr").asDouble() * schedule.factor(step);
                    result.scalars().put("steps." + step + ".lr", rate);
                    optimizer.update(rate, step + 1, norm, facts.path("clip").asDouble());
                    for (Parameter parameter : decoder.weights().trained()) {
                        result.put(
                                prefix + "param." + goldenName(parameter.name()),
                                Values.of(decoder.weights().view(parameter.name(), local)));
                    }
                }
            }
            for (Parameter parameter : decoder.weights().trained()) {
                try (Scope local = scope.child()) {
                    long from = decoder.weights().offset(parameter);
                    long to = from + parameter.count();
                    String name = goldenName(parameter.name());
                    result.put(
                            "exp_avg." + name,
                            Values.of(local.ops().slice(optimizer.firstMoment(), 0, from, to))
                                    .reshaped(parameter.sizes()));
                    result.put(
                            "exp_avg_sq." + name,
                            Values.of(local.ops().slice(optimizer.secondMoment(), 0, from, to))
                                    .reshaped(parameter.sizes()));
                }
            }
        }
    }

    private static void decayed(VisionLanguageModel decoder, Case result, Findings findings) {
        JsonNode expected = result.facts().path("decayed");
        List<String> names = new ArrayList<>();
        expected.forEach(name -> names.add(name.asText()));
        try (Findings.Tally tally = findings.tally(result.what("decayed"))) {
            for (Parameter parameter : decoder.weights().trained()) {
                String name = goldenName(parameter.name());
                tally.equal(name, parameter.decay(), names.contains(name));
            }
        }
    }

    /** The table of learning rates. */
    static void schedule(Path file, Findings findings) throws IOException {
        for (JsonNode row : new ObjectMapper().readTree(file.toFile()).path("rows")) {
            long total = row.path("total").asLong();
            LearningRate schedule = new LearningRate(WARMUP_RATIO, Schedule.Decay.Cosine, total);
            String what = "decoder/schedule/" + total + " updates/";
            try (Findings.Tally tally = findings.tally(what + "warmup")) {
                tally.equal("warm-up", schedule.warmup(), row.path("warmup").asLong());
            }
            double largest = 0;
            for (JsonNode probe : row.path("factor")) {
                double off = Math.abs(
                        schedule.factor(probe.get(0).asLong()) - probe.get(1).asDouble());
                largest = Math.max(largest, off);
            }
            findings.zero(what + "factor", largest, 1);
        }
    }

    private static int[] pick(int[] values, int[] numbers) {
        return IntStream.of(numbers).map(number -> values[number]).toArray();
    }

    /** Segment starts of the kept tokens of rows of one length. */
    private static int[] starts(int[] kept, int length) {
        List<Integer> starts = new ArrayList<>();
        for (int i = 0; i < kept.length; i++) {
            if (i == 0 || kept[i] / length != kept[i - 1] / length) {
                starts.add(i);
            }
        }
        starts.add(kept.length);
        return starts.stream().mapToInt(Integer::intValue).toArray();
    }
}
