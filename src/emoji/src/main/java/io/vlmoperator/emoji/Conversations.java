package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;

/**
 * Writes the LLaVA-style conversation file, one JSON object per line: {@code id}, {@code image} (relative to the folder of
 * images) and {@code conversations}, one question of the human and one answer.
 *
 * <p>Every training drawing is asked about {@link #kinds()} times. The multiple choice questions are drawn anew for every
 * drawing, half with random names and half with names of the same category; the benchmark's questions come from another random
 * stream.
 */
final class Conversations {
    /** How often a drawing is asked: what it is, which group, choices among random names, choices within the category. */
    record Kinds(int what, int group, int randomChoices, int categoryChoices) {
        int total() {
            return what + group + randomChoices + categoryChoices;
        }
    }

    private Conversations() {}

    static Kinds kinds() {
        return new Kinds(1, 1, 2, 2);
    }

    /** @return the number of lines of each kind */
    static Map<String, Integer> write(List<Emoji> emoji, long seed, Path file) throws IOException {
        Map<String, List<Emoji>> byCategory = emoji.stream().collect(Collectors.groupingBy(Emoji::category));
        Random random = new Random(Digests.seed(seed, "conversations"));
        Map<String, Integer> counts = new LinkedHashMap<>();
        try (BufferedWriter out = Files.newBufferedWriter(file)) {
            for (Emoji e : emoji) {
                for (DrawingSet set : CaptionShards.trainedSets()) {
                    Lines lines = new Lines(out, e, set, counts);
                    for (int i = 0; i < kinds().what(); i++) {
                        lines.add("what", Questions.WHAT, e.name());
                    }
                    for (int i = 0; i < kinds().group(); i++) {
                        lines.add("group", Questions.GROUP, e.category());
                    }
                    for (int i = 0; i < kinds().randomChoices(); i++) {
                        lines.add("choice-random", Questions.choice(e, emoji, random));
                    }
                    for (int i = 0; i < kinds().categoryChoices(); i++) {
                        lines.add("choice-category", Questions.choice(e, byCategory.get(e.category()), random));
                    }
                }
            }
        }
        return counts;
    }

    /** The path of a drawing under the folder of images. */
    static String imagePath(Emoji emoji, DrawingSet set) {
        return set.id() + "/" + emoji.id() + ".png";
    }

    private static final class Lines {
        private final ObjectMapper json = new ObjectMapper();
        private final BufferedWriter out;
        private final Emoji emoji;
        private final DrawingSet set;
        private final Map<String, Integer> counts;
        private int number;

        Lines(BufferedWriter out, Emoji emoji, DrawingSet set, Map<String, Integer> counts) {
            this.out = out;
            this.emoji = emoji;
            this.set = set;
            this.counts = counts;
        }

        void add(String kind, Questions.Choice choice) throws IOException {
            add(kind, choice.prompt(Questions.WHAT), String.valueOf(choice.letter()));
        }

        void add(String kind, String question, String answer) throws IOException {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("id", set.id() + "-" + emoji.id() + "-" + number++);
            line.put("image", imagePath(emoji, set));
            line.put("conversations", List.of(turn("human", "<image>\n" + question), turn("gpt", answer)));
            out.write(json.writeValueAsString(line));
            out.write('\n');
            counts.merge(kind, 1, Integer::sum);
        }

        private static Map<String, String> turn(String from, String value) {
            Map<String, String> turn = new LinkedHashMap<>();
            turn.put("from", from);
            turn.put("value", value);
            return turn;
        }
    }
}
