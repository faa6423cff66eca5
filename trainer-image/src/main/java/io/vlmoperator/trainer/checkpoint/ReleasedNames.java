package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.model.Part;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names of the released Open-Qwen2VL archive: {@code model.projector} (two linear layers, numbers 0 and 2 of a sequence),
 * {@code model.llm_backbone.llm} (a Qwen2 decoder with its tied head a second time) and, where the encoder was trained,
 * {@code model.vision_backbone} (timm's names).
 */
final class ReleasedNames {
    private static final Pattern PROJECTOR =
            Pattern.compile("(?:model\\.)?projector\\.(?:\\w+\\.)?([02])\\.(weight|bias)");
    private static final Pattern LANGUAGE =
            Pattern.compile("(?:model\\.)?llm_backbone\\.(?:llm\\.)?((?:model|lm_head)\\..+)");
    private static final Pattern VISION =
            Pattern.compile("(?:model\\.)?vision_backbone\\.(?:featurizer\\.)?((?:blocks|patch_embed)\\..+|pos_embed)");
    private static final Pattern BLOCK = Pattern.compile("blocks\\.(\\d+)\\.(.+)\\.(weight|bias)");

    private ReleasedNames() {}

    /**
     * A tensor of ours.
     *
     * @param name full name
     * @param part which third of the archive's tensor it is; -1 for the whole
     */
    record Place(String name, int part) {}

    static boolean hasVision(Collection<String> names) {
        return names.stream().anyMatch(name -> VISION.matcher(name).matches());
    }

    /** Our tensors that lie in one of the archive; its own name if it is not known, so that it is refused by name. */
    static List<Place> of(String name) {
        Matcher projector = PROJECTOR.matcher(name);
        if (projector.matches()) {
            String layer = projector.group(1).equals("0") ? "linear_1." : "linear_2.";
            return List.of(new Place(Part.PROJECTOR.prefix() + layer + projector.group(2), -1));
        }
        Matcher language = LANGUAGE.matcher(name);
        if (language.matches()) {
            return List.of(new Place(Part.LANGUAGE.prefix() + language.group(1), -1));
        }
        Matcher vision = VISION.matcher(name);
        if (vision.matches()) {
            return vision(vision.group(1));
        }
        if (name.contains("vision_backbone.") || name.startsWith("optimizer.")) {
            return List.of(); // the final norm and the pooling head, which the feature does not use; what only resuming
            // needs
        }
        return List.of(new Place(name, -1));
    }

    private static List<Place> vision(String timm) {
        String prefix = Part.VISION.prefix() + "vision_model.";
        List<String> candidates = new ArrayList<>(List.of(
                "embeddings.patch_embedding.weight",
                "embeddings.patch_embedding.bias",
                "embeddings.position_embedding.weight"));
        Matcher block = BLOCK.matcher(timm);
        if (block.matches()) {
            for (String own : TimmNames.inLayer()) {
                candidates.add("encoder.layers." + block.group(1) + "." + own + "." + block.group(3));
            }
        }
        List<Place> places = new ArrayList<>();
        for (String own : candidates) {
            TimmNames.of(own)
                    .filter(p -> p.name().equals(timm))
                    .ifPresent(p -> places.add(new Place(prefix + own, p.part())));
        }
        return places;
    }
}
