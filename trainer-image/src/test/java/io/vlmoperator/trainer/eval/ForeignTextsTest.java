package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.Mutations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Tables and lists of answers that are nearly good: their readers name what is wrong, soon and in little memory. */
class ForeignTextsTest {
    private static final long MIB = 1 << 20;
    private static final Set<Class<? extends Exception>> OWN = Set.of(TrainerException.class);

    private static Path folder;

    @BeforeContainer
    static void make() throws IOException {
        folder = Files.createTempDirectory("tables");
    }

    @AfterContainer
    static void delete() throws IOException {
        Files.deleteIfExists(folder.resolve("t.tsv"));
        Files.delete(folder);
    }

    @Provide
    Arbitrary<byte[]> tables() {
        String image = Tables.image(new Random(1));
        return Mutations.of(List.of((Tables.HEADER + "\n1\t" + image
                        + "\t\"q \"\"x\"\"\nline\"\ta\tb\tc\td\tA\tcat\tdev\r\n2\t1\tq\ta\tb\t\t\tB\t\t\n")
                .getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", tries = 100, edgeCases = EdgeCasesMode.NONE)
    void table(@ForAll("tables") byte[] bytes) throws IOException {
        Path file = Files.write(folder.resolve("t.tsv"), bytes);
        Mutations.read(64 * MIB, OWN, () -> {
            BenchmarkTable table = Tables.table(file);
            table.questions().forEach(question -> table.pixels(question, Tables.SIDE));
        });
    }

    @Provide
    Arbitrary<byte[]> lists() {
        return Mutations.of(List.of("['a', \"b'c\", 'd\\'e', 'f\\\\', '\\u00e9']".getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void pythonList(@ForAll("lists") byte[] bytes) {
        Mutations.read(16 * MIB, Set.of(), () -> PythonList.parse(new String(bytes, StandardCharsets.UTF_8)));
    }
}
