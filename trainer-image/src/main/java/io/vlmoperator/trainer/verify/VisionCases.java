package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.IntStream;

/** Cases of the image encoder alone. */
final class VisionCases {
    private VisionCases() {}

    static void run(Path folder, Case result) throws IOException {
        Path model = folder.resolve(result.facts().path("model").asText());
        String activationName = result.facts().path("hidden_act").asText();
        VisionConfig.Activation activation = HuggingFace.activation(activationName)
                .orElseThrow(() -> new IOException(result.name() + ".json: hidden_act '" + activationName + "'"));
        Safetensors.Entry pixels = result.golden().get("pixels");
        int images = Math.toIntExact(pixels.shape().getFirst());
        int size = Math.toIntExact(pixels.shape().getLast());
        int[] ids = IntStream.range(0, images).map(i -> Batch.IMAGE).toArray();
        int[] ignored = IntStream.range(0, images).map(i -> Batch.IGNORE).toArray();
        int[] order = IntStream.range(0, images).toArray();
        Batch batch = new Batch(ids, ignored, order, new int[] {0, images}, pixels.floats(), images, size);
        // As the feature layer -2 runs in training; then with the last block, which the feature leaves out.
        for (int featureLayer : new int[] {-2, -1}) {
            VisionConfig config = HuggingFace.visionConfig(model, featureLayer, activation);
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
                        }
                    }
                });
            }
        }
    }
}
