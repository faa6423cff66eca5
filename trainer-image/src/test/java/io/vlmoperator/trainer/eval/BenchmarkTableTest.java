package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchmarkTableTest {
    private static final String IMAGE = Tables.image(new Random(1));

    @TempDir
    Path folder;

    private Path file(String... lines) throws IOException {
        return Files.writeString(folder.resolve("b.tsv"), String.join("\n", lines));
    }

    @Test
    void readsWhatPandasWrites() throws IOException {
        Path file = Files.writeString(
                folder.resolve("b.tsv"),
                "\ufeffindex\timage\tquestion\thint\tA\tB\tC\tanswer\tl2-category\tnote\r\n"
                        + "7\t" + IMAGE
                        + "\t\"Two\nlines, a \"\"quote\"\"\tand a tab\"\tnan\tyes \t№2\t\tB\tlogic\tx\r\n"
                        + "\r\n"
                        + "8\t7\tAgain?\tlook\tyes\tno\tmaybe\tC\tmath\t\"q\"\r\n"
                        + "9\t\"" + IMAGE + "\"\tWhat?\t\ta\tb\tNaN\tA\t\t");

        BenchmarkTable table = Tables.table(file);

        Question first = table.questions().getFirst();
        assertThat(first.question()).isEqualTo("Two\nlines, a \"quote\"\tand a tab");
        assertThat(first.hint()).isEmpty();
        assertThat(first.options()).hasToString("{A=yes, B=№2}");
        assertThat(first.category()).isEqualTo("logic");
        assertThat(table.columns()).startsWith("index", "question").doesNotContain("image");
        assertThat(table.cells(first)).hasSize(9).endsWith("logic", "x");
        assertThat(table.questions().get(1).hint()).isEqualTo("look");
        for (Question question : table.questions()) {
            assertThat(table.pixels(question, Tables.SIDE))
                    .as("image of index %s", question.index())
                    .isInstanceOf(BenchmarkTable.Pixels.Decoded.class);
        }
        assertThat(table.digest()).startsWith("sha256:").hasSize(71);
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', textBlock = """
            'x'                    ; index 1: the answer 'x' is not among its options A, B, C, D
            'E'                    ; index 1: the answer 'E'
            ''                     ; index 1: no answer
            """)
    void answersMustBeOptions(String answer, String message) throws IOException {
        Path file = file(Tables.HEADER, "1\t" + IMAGE + "\tq\ta\tb\tc\td\t" + answer + "\t\t");

        refuses(file, message);
    }

    @Test
    void missingColumnsAreNamed() throws IOException {
        refuses(file("index\timage\tquestion\tA\tB", "1\tx\tq\ta\tb"), "has no column answer (it has index, image");
        refuses(file("a,b,c"), "has no column index");
    }

    @Test
    void nothingInIt() throws IOException {
        refuses(file(""), "is empty");
        refuses(file(Tables.HEADER), "no rows");
        refuses(folder.resolve("missing.tsv"), "does not exist");
        refuses(folder, "is a folder");
    }

    @Test
    void damagedTables() throws IOException {
        String row = "1\t" + IMAGE + "\tq\ta\tb\tc\td\tA\t\t";
        refuses(file(Tables.HEADER, row, row), "index 1 is there twice");
        refuses(file(Tables.HEADER, row, "2\t" + IMAGE.substring(0, 80)), "line 3: 2 cells, but the header has 10");
        refuses(file(Tables.HEADER, row, "2\t" + IMAGE + "\t\"q"), "inside a quoted cell");
        refuses(file(Tables.HEADER, row.replaceFirst("1", "one")), "'one' is no whole number");
        refuses(file(Tables.HEADER, "1\t" + IMAGE + "\tq\ta\t\tnan\t\tA\t\t"), "at least two options");
        refuses(file(Tables.HEADER + "\tA", row + "\tx"), "two of one name");
    }

    @Test
    void brokenImagesSayWhatIsWrong() throws IOException {
        BenchmarkTable table = Tables.table(file(
                Tables.HEADER,
                "1\t\tq\ta\tb\tc\td\tA\t\t",
                "2\t99\tq\ta\tb\tc\td\tA\t\t",
                "3\t2\tq\ta\tb\tc\td\tA\t\t",
                "4\t" + "!".repeat(90) + "\tq\ta\tb\tc\td\tA\t\t",
                "5\t" + IMAGE.substring(100) + "\tq\ta\tb\tc\td\tA\t\t"));
        List<String> reasons = table.questions().stream()
                .map(question -> table.pixels(question, Tables.SIDE))
                .map(pixels -> ((BenchmarkTable.Pixels.Broken) pixels).reason())
                .toList();

        assertThat(reasons.get(0)).isEqualTo("no image");
        assertThat(reasons.get(1)).contains("'99' names no row");
        assertThat(reasons.get(2)).contains("'2' names no row");
        assertThat(reasons.subList(3, 5)).allMatch(reason -> reason.contains("can't be decoded"));
    }

    private static void refuses(Path file, String message) {
        assertThatThrownBy(() -> Tables.table(file))
                .hasMessageContaining(message)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData));
    }
}
