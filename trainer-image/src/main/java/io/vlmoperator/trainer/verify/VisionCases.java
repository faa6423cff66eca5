package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.checkpoint.TimmNames;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/** Cases of the image encoder alone. */
final class VisionCases {
    private VisionCases() {}

    static void run(Path folder, Case result, Map<String, Values> features) throws IOException {
        Path model = folder.resolve(result.facts().path("model").asText());
        String activationName = result.facts().path("hidden_act").asText();
        VisionConfig.Activation activation = HuggingFace.activation(activationName)
                .orElseThrow(() -> new IOException(result.name() + ".json: hidden_act '" + activationName + "'"));
        Safetensors.Entry pixels = result.input("pixels");
        int images = Math.toIntExact(pixels.shape().getFirst());
        int size = Math.toIntExact(pixels.shape().getLast());
        int[] ids = IntStream.range(0, images).map(i -> Batch.IMAGE).toArray();
        int[] ignored = IntStream.range(0, images).map(i -> Batch.IGNORE).toArray();
        int[] order = IntStream.range(0, images).toArray();
        Batch batch = new Batch(ids, ignored, order, new int[] {0, images}, pixels.floats(), images, size);
        // As the feature layer -2 runs in training; then with the last block, which the feature leaves out.
        for (int featureLayer : new int[] {-2, -1}) {
            VisionConfig config = HuggingFace.visionConfig(model, featureLayer, activation);
            result.scalars().put("patches", (double) config.patches());
            result.scalars().putIfAbsent("feature_block", (double) config.usedLayers() - 1);
            result.scalars()
                    .put(
                            "unseen_pixels_right_and_bottom",
                            (double) config.imageSize() - config.patchesPerSide() * config.patchSize());
            try (Scope scope = Scope.open()) {
                VisionLanguageModel whole = VisionLanguageModel.create(scope, Models.visionOnly(config), Set.of());
                HuggingFace.load(model, whole.weights(), Part.VISION);
                String feature = "block." + (config.usedLayers() - 1);
                whole.observe(batch, (name, value) -> {
                    if (name.equals("embeddings") || name.startsWith("block.")) {
                        Values values = Values.of(value).reshaped(images, config.patches(), config.hiddenSize());
                        result.produced().putIfAbsent(name, values);
                        if (name.equals(feature) && config.featureLayer() == -2) {
                            result.put("feature", values);
                            features.put(result.name(), values);
                        }
                    }
                });
            }
        }
    }

    /**
     * {@code timm_mapping.json}: names of timm for the tensors in use, and how far the two forms of GELU are apart.
     *
     * @param features our feature of every case of this folder
     */
    static void timm(Path folder, Map<String, Values> features, Findings findings) throws IOException {
        JsonNode golden =
                new ObjectMapper().readTree(folder.resolve("timm_mapping.json").toFile());
        try (Findings.Tally tally = findings.tally("vision/timm_mapping/names")) {
            for (JsonNode pair : golden.path("hf_to_timm")) {
                String name = pair.path(0).asText();
                String timm = pair.path(1).asText();
                if (name.contains("{q,k,v}")) {
                    for (int part = 0; part < 3; part++) {
                        String own = name.replace("{q,k,v}", "qkv".substring(part, part + 1))
                                .replaceFirst(" .*", "");
                        tally.equal(own, TimmNames.of(own), Optional.of(new TimmNames.Place(timm, part)));
                    }
                } else if (!name.startsWith("head.") && !name.startsWith("post_layernorm.")) {
                    tally.equal(name, TimmNames.of(name), Optional.of(new TimmNames.Place(timm, -1)));
                }
            }
        }
        for (String fit : List.of("exact", "remainder")) {
            JsonNode expected = golden.path("differences").path("erf_vs_tanh_" + fit);
            Values erf = features.get("features_" + fit + "_erf");
            Values tanh = features.get("features_" + fit + "_tanh");
            if (expected.isMissingNode() || erf == null || tanh == null) {
                continue;
            }
            double difference = TensorComparisons.difference(erf.elements(), tanh.elements());
            double scale = TensorComparisons.largest(tanh.elements());
            // Both features have an error of their own: the tolerance is relative to them, not to what is between them.
            String what = "vision/timm_mapping/erf_vs_tanh_" + fit + "/";
            findings.zero(
                    what + "max_abs",
                    Math.abs(difference - expected.path("max_abs").asDouble()),
                    scale);
            findings.zero(
                    what + "relative_to_largest",
                    Math.abs(difference / scale
                            - expected.path("relative_to_largest").asDouble()),
                    1);
        }
        findings.leftOut(
                "vision/timm_mapping/differences between transformers and timm",
                "they are between two other libraries");
    }
}
