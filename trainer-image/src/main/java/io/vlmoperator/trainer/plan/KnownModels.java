package io.vlmoperator.trainer.plan;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import java.util.Locale;
import java.util.Optional;

/** Sizes of published models by the name of their folder, for plans without the files. */
public final class KnownModels {
    private static final double ROPE = 1e6;
    private static final double RMS_EPS = 1e-6;
    private static final int QWEN_POSITIONS = 32_768;

    private KnownModels() {}

    /** A Qwen2.5 text model, by a location that ends with its name, such as {@code Qwen2.5-1.5B-Instruct}. */
    public static Optional<LanguageConfig> language(String location) {
        String name = name(location);
        if (!name.startsWith("qwen2.5-")) {
            return Optional.empty();
        }
        return Optional.ofNullable(
                switch (name.substring("qwen2.5-".length()).replace("-instruct", "")) {
                    case "0.5b" -> qwen(896, 4864, 24, 14, 2, 151_936, true);
                    case "1.5b" -> qwen(1536, 8960, 28, 12, 2, 151_936, true);
                    case "3b" -> qwen(2048, 11_008, 36, 16, 2, 151_936, true);
                    case "7b" -> qwen(3584, 18_944, 28, 28, 4, 152_064, false);
                    default -> null;
                });
    }

    private static LanguageConfig qwen(
            int hidden, int inner, int layers, int heads, int keyValueHeads, int vocabulary, boolean tied) {
        return new LanguageConfig(
                hidden, inner, layers, heads, keyValueHeads, vocabulary, ROPE, RMS_EPS, tied, QWEN_POSITIONS);
    }

    /** A SigLIP encoder, by a location that ends with its name, such as {@code siglip-so400m-patch14-384}. */
    public static Optional<VisionConfig> vision(String location, int featureLayer, VisionConfig.Activation activation) {
        return Optional.ofNullable(
                switch (name(location)) {
                    case "siglip-so400m-patch14-384" ->
                        new VisionConfig(384, 14, 1152, 4304, 27, 16, RMS_EPS, featureLayer, activation);
                    case "siglip-base-patch16-224" ->
                        new VisionConfig(224, 16, 768, 3072, 12, 12, RMS_EPS, featureLayer, activation);
                    case "siglip-base-patch16-384" ->
                        new VisionConfig(384, 16, 768, 3072, 12, 12, RMS_EPS, featureLayer, activation);
                    default -> null;
                });
    }

    private static String name(String location) {
        String path = location.endsWith("/") ? location.substring(0, location.length() - 1) : location;
        return path.substring(path.lastIndexOf('/') + 1).toLowerCase(Locale.ROOT);
    }
}
