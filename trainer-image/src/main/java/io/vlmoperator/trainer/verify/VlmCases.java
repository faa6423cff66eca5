package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
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
    private final Path folder;
    private final JsonNode report;
    private final VlmReport relations;

    VlmCases(Path folder) throws IOException {
        this.folder = folder;
        report = new ObjectMapper().readTree(folder.resolve("report.json").toFile());
        relations = new VlmReport(report);
    }

    void run(Case result) throws IOException {
        JsonNode config = report.path("config");
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
            result.scalars().put("tokens_per_image", (double) pool * pool);
            boolean images = result.has("pixels") || result.has("micro.0.pixels");
            Set<Part> parts = images ? trained : EnumSet.of(Part.LANGUAGE);
            if (result.has("micro.0.input_ids")) {
                accumulate(model, result);
            } else {
                packed(model, result);
            }
            Models.gradients(model.weights(), parts, Models::wholeModelName, result);
            relations.remember(result);
            if (VlmReport.isPacked(result, true) && !visionTrained) {
                unpacked(model, result);
            }
        }
    }

    /** The relations between cases that {@code report.json} states. */
    void compare(Findings findings) {
        relations.compare(findings);
    }

    private static void packed(VisionLanguageModel model, Case result) throws IOException {
        boolean isolated = result.facts().path("attention").asText().startsWith("block");
        VlmRow row = VlmRow.of(result, "", isolated, model.config());
        row.put(result, isolated);
        Batch batch = row.batch(result, "labels");
        int[] text = IntStream.range(0, batch.tokens())
                .filter(t -> batch.idsT()[t] != Batch.IMAGE)
                .toArray();
        result.put("text_positions", Values.integers(List.of((long) text.length), text));
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
            String prefix = "micro." + k + ".";
            VlmRow row = null;
            for (boolean mode : new boolean[] {!isolated, isolated}) {
                row = VlmRow.of(result, prefix, mode, model.config());
                result.put(prefix + (mode ? "labels_isolated" : "labels_paper"), row.labels());
            }
            batches.add(row.batch(result, prefix + (isolated ? "labels_isolated" : "labels_paper")));
        }
        int all = batches.stream().mapToInt(Batch::targets).sum();
        double loss = 0;
        for (int k = 0; k < batches.size(); k++) {
            Batch batch = batches.get(k);
            double scale = meanOfMeans ? 1.0 / batch.targets() / batches.size() : 1.0 / all;
            try (Scope scope = Scope.open()) {
                double sum = model.accumulate(batch, scale, scope).item();
                loss += scale * sum;
                result.scalars().put("micro_batches." + k + ".0", sum / batch.targets());
                result.scalars().put("micro_batches." + k + ".1", (double) batch.targets());
            }
        }
        result.scalars().put("loss", loss);
    }

    /** The samples of a packed row one by one: loss, logits and gradients must be those of the row. */
    private void unpacked(VisionLanguageModel model, Case result) throws IOException {
        VlmRow row = VlmRow.of(result, "", true, model.config());
        double targets = result.scalars().get("targets");
        try (Scope scope = Scope.open()) {
            scope.ops().zero(model.weights().gradients());
            double loss = 0;
            List<float[]> logits = new ArrayList<>();
            for (Batch sample : row.samples(result)) {
                loss += model.accumulate(sample, 1.0 / targets, scope).item() / targets;
                int[] text = IntStream.range(0, sample.tokens())
                        .filter(t -> sample.idsT()[t] != Batch.IMAGE)
                        .toArray();
                model.observe(sample, (name, value) -> {
                    if (name.equals("logits")) {
                        logits.add(Values.of(value).rows(text).elements());
                    }
                });
            }
            Case alone = new Case(
                    result.kind(),
                    result.name(),
                    result.golden(),
                    result.facts(),
                    new java.util.HashSet<>(),
                    new java.util.LinkedHashMap<>(),
                    new java.util.LinkedHashMap<>());
            Models.gradients(model.weights(), EnumSet.of(Part.PROJECTOR, Part.LANGUAGE), Models::wholeModelName, alone);
            relations.unpacked(loss, logits, alone.produced());
        }
    }
}
