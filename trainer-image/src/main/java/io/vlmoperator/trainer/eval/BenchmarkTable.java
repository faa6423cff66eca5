package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.eval.Question.Gold;
import io.vlmoperator.trainer.eval.scoring.MathVista;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;

/**
 * A benchmark in VLMEvalKit's layout: {@code index}, {@code image} (base64, or the index of the row whose image it is), {@code question},
 * options in columns A, B, ... for multiple choice, {@code answer}; {@code hint}, {@code category} (or {@code l2-category}) and
 * {@code split} where there are any. A row without options is an open question: its answer is one text, or a list of what annotators wrote.
 * Further columns are copied to the predictions.
 */
final class BenchmarkTable {
    private static final String IMAGE = "image";
    /** A shorter image cell is the index of another row. */
    private static final int LONGEST_REFERENCE = 64;

    private static final int MAX_OPTIONS = 26;
    private static final int MAX_PRECISION = 15;

    private final Path file;
    private final String digest;
    private final ImageReader images;
    private final TsvFile tsv;
    private final List<String> header;
    private final List<Question> questions = new ArrayList<>();
    private final Map<String, Integer> rowOfIndex = new HashMap<>();

    /** Decodes and resizes an image. */
    @FunctionalInterface
    interface ImageReader {
        /**
         * Normalised pixels, {@code 3 * side * side}.
         *
         * @throws TrainerException InvalidData if the bytes are no image that can be read
         */
        float[] read(byte[] file, int side);
    }

    /** What became of an image. */
    sealed interface Pixels {
        @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
        record Decoded(float[] values) implements Pixels {}

        record Broken(String reason) implements Pixels {}
    }

    /**
     * Reads and checks everything but the images.
     *
     * @throws TrainerException InvalidData with the row's index if something is missing, twice there or contradictory
     */
    BenchmarkTable(Path file, ImageReader images) {
        this.file = file;
        this.images = images;
        if (!Files.isRegularFile(file)) {
            throw TrainerException.data(file + (Files.isDirectory(file) ? " is a folder" : " does not exist")
                    + "; a benchmark is a TSV file");
        }
        digest = Digests.sha256(file);
        tsv = new TsvFile(file, IMAGE);
        header = tsv.columns();
        for (String column : List.of("index", IMAGE, "question", "answer")) {
            if (!header.contains(column)) {
                throw TrainerException.data(file + " has no column " + column + " (it has "
                        + String.join(", ", header.subList(0, Math.min(12, header.size())))
                        + "); a benchmark needs index, image, question, answer, and for multiple choice A, B, ...");
            }
        }
        if (tsv.rows() == 0) {
            throw TrainerException.data(file + " has a header, but no rows");
        }
        Set<Long> seen = new HashSet<>();
        for (int row = 0; row < tsv.rows(); row++) {
            Question question = question(row);
            if (!seen.add(question.index())) {
                throw TrainerException.data(file + ": index " + question.index() + " is there twice");
            }
            questions.add(question);
            rowOfIndex.put(cell(row, "index"), row);
        }
    }

    private Question question(int row) {
        String number = cell(row, "index");
        long index;
        try {
            index = Long.parseLong(number);
        } catch (NumberFormatException e) {
            throw TrainerException.data(
                    file + ", row " + (row + 1) + ": the index '" + abbreviated(number) + "' is no whole number");
        }
        SequencedMap<String, String> options = new LinkedHashMap<>();
        for (int i = 0; i < MAX_OPTIONS; i++) {
            String letter = Character.toString('A' + i);
            String text = cell(row, letter);
            if (!text.isEmpty()) {
                options.put(letter, text);
            }
        }
        if (options.size() == 1) {
            throw TrainerException.data(
                    file + ", index " + index + ": a question needs at least two options, or none if it is open");
        }
        String answer = cell(row, "answer");
        if (answer.isEmpty()) {
            throw TrainerException.data(
                    file + ", index " + index + ": no answer; a split whose answers are secret can't be scored here");
        }
        if (!options.isEmpty() && !options.containsKey(answer)) {
            throw TrainerException.data(file + ", index " + index + ": the answer '" + abbreviated(answer)
                    + "' is not among its options " + String.join(", ", options.keySet()));
        }
        String category = cell(row, "category");
        return new Question(
                row,
                index,
                cell(row, "question"),
                cell(row, "hint"),
                options,
                options.isEmpty() ? openGold(row, index, answer) : new Gold.Letter(answer),
                category.isEmpty() ? cell(row, "l2-category") : category,
                cell(row, "split"));
    }

    private Gold openGold(int row, long index, String answer) {
        if (header.contains("question_type") && header.contains("answer_type")) {
            return new Gold.Math(mathVista(row, index, answer), answer);
        }
        List<String> texts = PythonList.parse(answer).orElse(List.of(answer));
        if (texts.isEmpty()) {
            throw TrainerException.data(file + ", index " + index + ": the list of answers is empty");
        }
        return new Gold.Texts(texts);
    }

    private MathVista.Gold mathVista(int row, long index, String answer) {
        String type = cell(row, "answer_type");
        if (cell(row, "question_type").equals("multi_choice")) {
            List<String> choices = PythonList.parse(cell(row, "choices")).orElse(List.of());
            if (!choices.contains(answer) || choices.size() > MAX_OPTIONS) {
                throw TrainerException.data(file + ", index " + index + ": the answer '" + abbreviated(answer)
                        + "' is not among its choices, which are a list such as ['1', '2'] of at most " + MAX_OPTIONS);
            }
            return new MathVista.Gold.Choice(answer, choices);
        }
        return switch (type) {
            case "integer" -> new MathVista.Gold.Whole(number(index, "answer", answer));
            case "float" -> {
                String precision = cell(row, "precision");
                double digits = precision.isEmpty() ? 0 : number(index, "precision", precision);
                if (digits != Math.rint(digits) || digits < 0 || digits > MAX_PRECISION) {
                    throw TrainerException.data(file + ", index " + index + ": the precision '" + abbreviated(precision)
                            + "' is no number of digits");
                }
                yield new MathVista.Gold.Decimal(number(index, "answer", answer), (int) digits);
            }
            default -> new MathVista.Gold.Text(answer);
        };
    }

    private double number(long index, String column, String text) {
        try {
            double value = Double.parseDouble(text.replace(",", ""));
            if (Double.isFinite(value)) {
                return value;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw TrainerException.data(
                file + ", index " + index + ": the " + column + " '" + abbreviated(text) + "' is no number");
    }

    /** A cell without outer white space; empty if the column or a value is missing ("nan" as pandas prints it). */
    private String cell(int row, String column) {
        int at = header.indexOf(column);
        String text = at < 0 ? "" : tsv.row(row).get(at).strip();
        return text.equalsIgnoreCase("nan") ? "" : text;
    }

    private static String abbreviated(String text) {
        return text.length() <= 40 ? text : text.substring(0, 40) + "...";
    }

    List<Question> questions() {
        return List.copyOf(questions);
    }

    /** SHA-256 of the file. */
    String digest() {
        return digest;
    }

    /** The file, for messages. */
    String name() {
        return file.toString();
    }

    /** The file's columns without the image. */
    List<String> columns() {
        return header.stream().filter(column -> !column.equals(IMAGE)).toList();
    }

    /** A row's cells of {@link #columns}, as they stand in the file. */
    List<String> cells(Question question) {
        List<String> cells = new ArrayList<>(tsv.row(question.row()));
        cells.remove(header.indexOf(IMAGE));
        return cells;
    }

    /** The image of a question; one that can't be read is no reason to end the evaluation. */
    Pixels pixels(Question question, int side) {
        int row = question.row();
        if (tsv.largeLength(row) <= LONGEST_REFERENCE) {
            String reference = tsv.large(row).strip();
            Integer other = rowOfIndex.get(reference);
            if (other == null || tsv.largeLength(other) <= LONGEST_REFERENCE) {
                return new Pixels.Broken(
                        reference.isEmpty()
                                ? "no image"
                                : "the image cell '" + abbreviated(reference) + "' names no row with an image");
            }
            row = other;
        }
        try {
            byte[] bytes = Base64.getMimeDecoder().decode(tsv.large(row));
            return new Pixels.Decoded(images.read(bytes, side));
        } catch (IllegalArgumentException e) {
            return new Pixels.Broken("the image is no base64: " + abbreviated(String.valueOf(e.getMessage())));
        } catch (TrainerException e) {
            if (e.code() != ExitCode.InvalidData) {
                throw e;
            }
            return new Pixels.Broken("the image can't be decoded: " + e.getMessage());
        }
    }
}
