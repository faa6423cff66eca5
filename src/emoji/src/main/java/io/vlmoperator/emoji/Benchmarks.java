package io.vlmoperator.emoji;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;

/**
 * Writes the benchmark: one four-way question per Facebook drawing, as tab-separated tables in VLMEvalKit's layout ({@code index,
 * image} as base64, {@code question, A, B, C, D, answer, category, split}).
 */
final class Benchmarks {
    /** Options per question. */
    static final int OPTIONS = 4;

    private static final String SPLIT = "test";

    private Benchmarks() {}

    /** Wrong options are names of any emoji. @return rows */
    static int writeNames(List<Emoji> emoji, long seed, Path file) throws IOException {
        Random random = new Random(Digests.seed(seed, "benchmark-names"));
        return write(emoji, e -> Questions.choice(e, emoji, random), file);
    }

    /** Wrong options are names of the same category. @return rows */
    static int writeSameCategory(List<Emoji> emoji, long seed, Path file) throws IOException {
        Random random = new Random(Digests.seed(seed, "benchmark-same-category"));
        var byCategory = emoji.stream().collect(Collectors.groupingBy(Emoji::category));
        return write(emoji, e -> Questions.choice(e, byCategory.get(e.category()), random), file);
    }

    private interface Asker {
        Questions.Choice ask(Emoji emoji);
    }

    private static int write(List<Emoji> emoji, Asker asker, Path file) throws IOException {
        int index = 0;
        try (BufferedWriter out = Files.newBufferedWriter(file)) {
            out.write("index\timage\tquestion\tA\tB\tC\tD\tanswer\tcategory\tsplit\n");
            for (Emoji e : emoji) {
                Questions.Choice choice = asker.ask(e);
                List<String> cells = new ArrayList<>();
                cells.add(String.valueOf(index++));
                cells.add(Base64.getEncoder()
                        .encodeToString(e.drawing(DrawingSet.FACEBOOK).png()));
                cells.add(Questions.WHAT);
                cells.addAll(choice.options());
                cells.add(String.valueOf(choice.letter()));
                cells.add(e.category());
                cells.add(SPLIT);
                for (String cell : cells) {
                    if (cell.indexOf('\t') >= 0 || cell.indexOf('\n') >= 0 || cell.indexOf('"') >= 0) {
                        throw new EmojiException("'" + cell + "' cannot stand in a table without quoting.");
                    }
                }
                out.write(String.join("\t", cells));
                out.write('\n');
            }
        }
        return index;
    }
}
