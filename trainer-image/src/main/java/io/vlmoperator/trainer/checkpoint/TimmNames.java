package io.vlmoperator.trainer.checkpoint;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names of a SigLIP encoder's tensors in timm's {@code VisionTransformer}, for those that the feature uses. timm joins query, key and value
 * in one tensor along its first dimension, and its table of positions has a leading dimension of 1; everything else has the same shape.
 */
public final class TimmNames {
    private static final Pattern LAYER = Pattern.compile("encoder\\.layers\\.(\\d+)\\.(.+)\\.(weight|bias)");
    private static final Map<String, String> WHOLE = Map.of(
            "embeddings.patch_embedding.weight", "patch_embed.proj.weight",
            "embeddings.patch_embedding.bias", "patch_embed.proj.bias",
            "embeddings.position_embedding.weight", "pos_embed");
    private static final Map<String, String> IN_LAYER = Map.of(
            "layer_norm1", "norm1",
            "layer_norm2", "norm2",
            "self_attn.out_proj", "attn.proj",
            "mlp.fc1", "mlp.fc1",
            "mlp.fc2", "mlp.fc2");
    private static final Map<String, Integer> JOINED =
            Map.of("self_attn.q_proj", 0, "self_attn.k_proj", 1, "self_attn.v_proj", 2);

    private TimmNames() {}

    /**
     * Where a tensor lies.
     *
     * @param name timm's name
     * @param part which third of the tensor it is, 0 to 2; -1 for the whole
     */
    public record Place(String name, int part) {}

    /** Names of the layers of one block, in {@code SiglipVisionModel}. */
    static List<String> inLayer() {
        List<String> names = new ArrayList<>(IN_LAYER.keySet());
        names.addAll(JOINED.keySet());
        return names;
    }

    /**
     * The place of a tensor of {@code SiglipVisionModel}.
     *
     * @param name without {@code vision_model.}; empty when the feature does not use it
     */
    public static Optional<Place> of(String name) {
        if (WHOLE.containsKey(name)) {
            return Optional.of(new Place(WHOLE.get(name), -1));
        }
        Matcher layer = LAYER.matcher(name);
        if (!layer.matches()) {
            return Optional.empty();
        }
        String prefix = "blocks." + layer.group(1) + ".";
        String kind = "." + layer.group(3);
        if (JOINED.containsKey(layer.group(2))) {
            return Optional.of(new Place(prefix + "attn.qkv" + kind, JOINED.get(layer.group(2))));
        }
        return Optional.ofNullable(IN_LAYER.get(layer.group(2))).map(own -> new Place(prefix + own + kind, -1));
    }
}
