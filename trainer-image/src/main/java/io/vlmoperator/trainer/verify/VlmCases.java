package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** Cases of the whole model: splicing, packed rows in both attention modes, frozen and trained encoder, accumulation in both rules. */
final class VlmCases {
    private VlmCases() {}

    static void run(Path folder, Case result) throws IOException {
        JsonNode config = new ObjectMapper()
                .readTree(folder.resolve("report.json").toFile())
                .path("config");
        int pool = config.path("pool_target").asInt();
        VisionConfig.Activation activation = HuggingFace.activation(
                        config.path("vision_act").asText())
                .orElseThrow(() -> new IOException("report.json: vision_act " + config.path("vision_act")));
        Path decoder = folder.resolve("model/decoder");
        Path vision = folder.resolve("model/vision");
        ModelConfig sizes = new ModelConfig(
                HuggingFace.languageConfig(decoder),
                HuggingFace.visionConfig(vision, -2, activation),
                new ProjectorConfig(pool * pool));
        boolean visionTrained = result.facts().path("vision").asText().equals("trained");
        Set<Part> trained = visionTrained ? EnumSet.allOf(Part.class) : EnumSet.of(Part.PROJECTOR, Part.LANGUAGE);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, sizes, trained);
            HuggingFace.load(decoder, model.weights(), Part.LANGUAGE);
            HuggingFace.load(vision, model.weights(), Part.VISION);
            HuggingFace.load(folder.resolve("model/projector.safetensors"), model.weights(), Part.PROJECTOR);
            if (result.has("micro.0.input_ids")) {
                accumulate(model, result);
            } else {
                packed(model, result);
            }
            boolean images = result.has("pixels") || result.has("micro.0.pixels");
            Models.gradients(
                    model.weights(), images ? trained : EnumSet.of(Part.LANGUAGE), Models::wholeModelName, result);
        }
    }

    private static void packed(VisionLanguageModel model, Case result) throws IOException {
        boolean isolated = result.facts().path("attention").asText().startsWith("block");
        Batch batch = batch(model, result, "", "labels", isolated);
        int[] text = result.has("text_positions")
                ? result.ints("text_positions")
                : IntStream.range(0, batch.tokens()).toArray();
        model.observe(batch, (name, value) -> {
            if (name.equals("inputs_embeds")) {
                result.put(name, Values.of(value));
            } else if (name.equals("logits")) {
                result.put(
                        result.has("text_positions") ? "logits_at_text" : "logits",
                        Values.of(value).rows(text));
            }
        });
        try (Scope scope = Scope.open()) {
            float sum = model.accumulate(batch, 1.0 / batch.targets(), scope).item();
            result.scalars().put("loss", (double) sum / batch.targets());
            result.scalars().put("targets", (double) batch.targets());
        }
    }

    private static void accumulate(VisionLanguageModel model, Case result) throws IOException {
        boolean isolated = result.facts().path("attention").asText().equals("isolated");
        boolean meanOfMeans = result.facts().path("normalization").asText().equals("micro-batch");
        List<Batch> batches = new ArrayList<>();
        for (int k = 0; result.has("micro." + k + ".input_ids"); k++) {
            batches.add(
                    batch(model, result, "micro." + k + ".", isolated ? "labels_isolated" : "labels_paper", isolated));
        }
        int all = batches.stream().mapToInt(Batch::targets).sum();
        double loss = 0;
        for (Batch batch : batches) {
            double scale = meanOfMeans ? 1.0 / batch.targets() / batches.size() : 1.0 / all;
            try (Scope scope = Scope.open()) {
                loss += scale * model.accumulate(batch, scale, scope).item();
            }
        }
        result.scalars().put("loss", loss);
    }

    /** A packed row without its padding. */
    private static Batch batch(
            VisionLanguageModel model, Case result, String prefix, String labelsName, boolean isolated)
            throws IOException {
        int tokens = model.config().projector().tokensPerImage();
        int[] segments = result.has(prefix + "segments") ? result.ints(prefix + "segments") : new int[0];
        int[] ids = IntStream.of(result.ints(prefix + "input_ids"))
                .flatMap(id -> id == Batch.IMAGE
                        ? IntStream.generate(() -> Batch.IMAGE).limit(tokens)
                        : IntStream.of(id))
                .toArray();
        int real = segments.length == 0
                ? ids.length
                : (int) IntStream.of(segments).filter(segment -> segment >= 0).count();
        List<Integer> starts = new ArrayList<>(List.of(0));
        int[] positions = new int[real];
        for (int t = 1; t < real; t++) {
            if (isolated && segments[t] != segments[t - 1]) {
                starts.add(t);
            }
            positions[t] = t - starts.getLast();
        }
        starts.add(real);
        int[] starting = starts.stream().mapToInt(Integer::intValue).toArray();
        int[] labels = java.util.Arrays.copyOf(result.ints(prefix + labelsName), real);
        ids = java.util.Arrays.copyOf(ids, real);
        if (!result.has(prefix + "pixels")) {
            return Batch.ofText(ids, labels, positions, starting);
        }
        Safetensors.Entry pixels = result.golden().get(prefix + "pixels");
        return new Batch(
                ids,
                labels,
                positions,
                starting,
                pixels.floats(),
                Math.toIntExact(pixels.shape().getFirst()),
                Math.toIntExact(pixels.shape().getLast()));
    }
}
