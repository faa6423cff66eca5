package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;

/**
 * Writes the LLaVA-style conversation file, one JSON object per line: {@code id}, {@code image} (relative to the folder of
 * images) and {@code conversations}, questions of the human and answers.
 *
 * <p>Every training drawing is asked about {@link #KINDS} times. The multiple choice questions are drawn anew every time, by turns
 * with random names and with names of the same category, from another random stream than the benchmark's. They are
 * answered with the option's text, as examples/emoji/RECIPE.md explains.
 */
final class Conversations {
    static final Kinds KINDS = new Kinds(1, 1, 1, 10);

    private Conversations() {}

    /**
     * How often a drawing is asked.
     *
     * @param what what it is
     * @param group which group it belongs to
     * @param whatThenChoice what it is and then, in the same conversation, a choice: the answer stands in the text already, which
     *     teaches to find a name among options
     * @param choice a choice alone
     */
    record Kinds(int what, int group, int whatThenChoice, int choice) {
        int total() {
            return what + group + whatThenChoice + choice;
        }
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
                    Exchange what = new Exchange(Questions.WHAT, e.name());
                    for (int i = 0; i < KINDS.what(); i++) {
                        lines.add("what", what);
                    }
                    for (int i = 0; i < KINDS.group(); i++) {
                        lines.add("group", new Exchange(Questions.GROUP, e.category()));
                    }
                    for (int i = 0; i < KINDS.whatThenChoice() + KINDS.choice(); i++) {
                        List<Emoji> pool = i % 2 == 0 ? emoji : byCategory.get(e.category());
                        Exchange choice =
                                new Exchange(Questions.choice(e, pool, random).prompt(Questions.WHAT), e.name());
                        if (i < KINDS.whatThenChoice()) {
                            lines.add("what-then-choice", what, choice);
                        } else {
                            lines.add("choice", choice);
                        }
                    }
                }
            }
        }
        return counts;
    }

    private record Exchange(String question, String answer) {}

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

        void add(String kind, Exchange... exchanges) throws IOException {
            List<Map<String, String>> turns = new ArrayList<>();
            for (Exchange exchange : exchanges) {
                String question = turns.isEmpty() ? "<image>\n" + exchange.question() : exchange.question();
                turns.add(turn("human", question));
                turns.add(turn("gpt", exchange.answer()));
            }
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("id", set.id() + "-" + emoji.id() + "-" + number++);
            line.put("image", imagePath(emoji, set));
            line.put("conversations", turns);
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
