package io.vlmoperator.emoji;

import java.util.Map;

/**
 * One emoji with a drawing in every set.
 *
 * @param id the code points in lower-case hexadecimal, joined by hyphens, for example {@code 1f600}
 * @param name lower-case Unicode name, distinct among all emoji
 * @param category lower-case group, for example {@code food & drink}
 * @param drawings one per set
 */
record Emoji(String id, String name, String category, Map<DrawingSet, Drawing> drawings) {
    Emoji {
        drawings = Map.copyOf(drawings);
    }

    Drawing drawing(DrawingSet set) {
        return drawings.get(set);
    }
}
