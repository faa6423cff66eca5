package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The benchmarks of data at a small size: they check their own results. */
class DataBenchCommandTest {
    @TempDir
    Path folder;

    @Test
    void selectionIsMeasuredInPartsAndExtrapolatedOpenly() throws IOException {
        String said = run("bench.json", "select", "32000", "--within", "86400");
        assertThat(said).contains("640 took").contains("so 32000 would take up to");
        JsonNode rows = rows("bench.json");
        assertThat(rows.findValuesAsText("figure"))
                .allSatisfy(figure -> assertThat(figure).contains("128 M uids, extrapolated from 32000"))
                .anySatisfy(figure -> assertThat(figure).startsWith("making the lists"))
                .anySatisfy(figure -> assertThat(figure).startsWith("reading and sorting the lists"))
                .anySatisfy(figure -> assertThat(figure).startsWith("looking up"))
                .anySatisfy(figure -> assertThat(figure).startsWith("peak memory, mapped files included"));
        assertThat(rows.findValuesAsText("unit")).contains("s", "processor s", "GiB");
        assertThat(leftovers()).isEmpty();
    }

    @Test
    void conversationsAreAllIndexed() throws IOException {
        run("bench.json", "conversations", "700", "--tokenizer", "src/test/resources/tokenizer/small");
        assertThat(rows("bench.json").findValuesAsText("figure"))
                .anySatisfy(figure -> assertThat(figure).contains("10 M conversations, extrapolated from 700"))
                .anySatisfy(figure -> assertThat(figure).isEqualTo("peak memory, 700 conversations"));
        assertThat(leftovers()).isEmpty();
    }

    @Test
    void wrongWordsAreNamed() {
        assertThatThrownBy(() -> run("none.json", "order", "5")).hasMessageContaining("bench-data pack|select");
        assertThatThrownBy(() -> run("none.json", "select", "many")).hasMessageContaining("bench-data pack|select");
        assertThatThrownBy(() -> run("none.json", "conversations", "5")).hasMessageContaining("--tokenizer");
    }

    private String run(String json, String... words) {
        List<String> all = new ArrayList<>(List.of(words));
        all.addAll(List.of(
                "--folder", folder.toString(), "--json", folder.resolve(json).toString()));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertThat(DataBenchCommand.run(all, new PrintStream(out, true, StandardCharsets.UTF_8)))
                .isZero();
        return out.toString(StandardCharsets.UTF_8);
    }

    private JsonNode rows(String json) throws IOException {
        return new ObjectMapper().readTree(folder.resolve(json).toFile());
    }

    private List<Path> leftovers() throws IOException {
        try (var files = Files.list(folder)) {
            return files.filter(Files::isDirectory).toList();
        }
    }
}
