package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.CheckpointTools;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Verifier;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Any damage of the newest checkpoint is named and the one before it is used; nothing is read outside of its folder. */
@Timeout(300)
class DamagedCheckpointTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    Path folder;

    private TinyRun run;
    private String weights;

    private interface Damage {
        void to(Path step) throws IOException;
    }

    private TinyRun tiny(int attempt) throws IOException {
        TinyRun tiny = new TinyRun(folder);
        tiny.steps = 4;
        tiny.everySteps = 2;
        tiny.attempt = attempt;
        return tiny;
    }

    @BeforeEach
    void train() throws IOException {
        run = tiny(1);
        run.train();
        weights = run.weights();
    }

    private static Path part(Path step) throws IOException {
        try (Stream<Path> files = Files.list(step)) {
            return files.filter(f -> f.getFileName().toString().startsWith("rank-"))
                    .findFirst()
                    .orElseThrow();
        }
    }

    private static Damage manifest(Consumer<ObjectNode> change) {
        return step -> {
            Path file = step.resolve("manifest-00001.json");
            ObjectNode tree = (ObjectNode) JSON.readTree(file.toFile());
            change.accept(tree);
            JSON.writeValue(file.toFile(), tree);
        };
    }

    private static Damage file(Consumer<ObjectNode> change) {
        return manifest(m -> change.accept((ObjectNode) m.withArray("files").get(0)));
    }

    private static Map<String, Damage> damages() {
        Map<String, Damage> all = new LinkedHashMap<>();
        all.put("its SHA-256 is not that", step -> {
            byte[] bytes = Files.readAllBytes(part(step));
            bytes[bytes.length / 2] ^= 4;
            Files.write(part(step), bytes);
        });
        all.put("is missing", step -> Files.delete(part(step)));
        all.put("bytes instead of", step -> {
            byte[] bytes = Files.readAllBytes(part(step));
            Files.write(part(step), java.util.Arrays.copyOf(bytes, bytes.length - 1));
        });
        all.put("tokenizer.json is missing", step -> Files.delete(step.resolve("tokenizer.json")));
        all.put("Unexpected end-of-input", step -> {
            Path manifest = step.resolve("manifest-00001.json");
            byte[] bytes = Files.readAllBytes(manifest);
            Files.write(manifest, java.util.Arrays.copyOf(bytes, bytes.length / 2));
        });
        all.put("No content to map", step -> Files.write(step.resolve("manifest-00001.json"), new byte[0]));
        all.put("the file '../../../outside'", file(f -> f.put("name", "../../../outside")));
        all.put("the file '/etc/passwd'", file(f -> f.put("name", "/etc/passwd")));
        all.put("the file '..'", file(f -> f.put("name", "..")));
        all.put("the file ''", file(f -> f.put("name", "")));
        all.put("the file 'null'", file(f -> f.remove("name")));
        all.put("size or digest", file(f -> f.put("bytes", -1)));
        all.put("size or digest of", file(f -> f.put("digest", "md5:00")));
        all.put("bytes: Cannot", file(f -> f.put("bytes", "many")));
        all.put(
                "twice",
                manifest(m ->
                        m.withArray("files").add(m.withArray("files").get(0).deepCopy())));
        all.put(
                "it lists no tokenizer.json",
                manifest(m -> ((ArrayNode) m.get("files")).remove(m.get("files").size() - 1)));
        all.put("files: Cannot", manifest(m -> m.put("files", 3)));
        all.put("step: Cannot", manifest(m -> m.putObject("step")));
        all.put("is the manifest of step 3", manifest(m -> m.put("step", 3)));
        all.put("attempt 2, not of", manifest(m -> m.put("attempt", 2)));
        all.put("format version 9", manifest(m -> m.put("formatVersion", 9)));
        all.put("world, attempt", manifest(m -> m.put("world", 0)));
        all.put("model's sizes", manifest(m -> m.remove("model")));
        all.put(
                "no usable shape",
                manifest(m -> ((ObjectNode) m.get("parameters").get(0))
                        .putArray("shape")
                        .add(-4)));
        all.put(
                "larger than any memory",
                manifest(m -> ((ObjectNode) m.get("parameters").get(0))
                        .putArray("shape")
                        .add(Long.MAX_VALUE)
                        .add(Long.MAX_VALUE)));
        all.put("the parts hold", manifest(m -> m.withArray("parameters").remove(0)));
        all.put("unknown", manifest(m -> m.put("unknown", 1)));
        return all;
    }

    private static Map<Path, byte[]> content(Path step) throws IOException {
        Map<Path, byte[]> content = new LinkedHashMap<>();
        try (Stream<Path> files = Files.list(step)) {
            for (Path file : files.toList()) {
                content.put(file, Files.readAllBytes(file));
            }
        }
        return content;
    }

    @Test
    void anyDamageIsNamedAndTheOneBeforeIsTaken() throws IOException {
        RunFolder checkpoints = RunFolder.at(run.run());
        Path newest = checkpoints.stepFolder(4);
        Map<Path, byte[]> whole = content(newest);
        for (Map.Entry<String, Damage> damage : damages().entrySet()) {
            damage.getValue().to(newest);
            Verifier.Newest found = Verifier.newestWhole(checkpoints);
            assertThat(found.damaged())
                    .as("%s", damage.getKey())
                    .singleElement()
                    .asString()
                    .startsWith("checkpoint of step 4 is skipped: ")
                    .contains(damage.getKey());
            assertThat(found.checkpoint().orElseThrow().step()).isEqualTo(2);
            assertThat(CheckpointTools.verify(run.run()).damaged()).anyMatch(line -> line.startsWith("step 4: "));
            assertThatThrownBy(() -> ModelLoader.find(run.run(), Optional.of(4L)))
                    .isInstanceOf(TrainerException.class)
                    .hasMessageContaining(damage.getKey());
            for (Map.Entry<Path, byte[]> file : whole.entrySet()) {
                Files.write(file.getKey(), file.getValue());
            }
        }
        assertThat(Verifier.newestWhole(checkpoints).damaged()).isEmpty();
    }

    @Test
    void trainingGoesOnFromTheOneBeforeAndSaysSo() throws IOException {
        RunFolder checkpoints = RunFolder.at(run.run());
        manifest(m -> m.withArray("files").addObject().put("name", "../x")).to(checkpoints.stepFolder(4));
        TinyRun again = tiny(2);
        again.train();
        assertThat(again.facts.resumedFrom()).contains(2L);
        assertThat(again.facts.warnings())
                .anyMatch(w -> w.contains("checkpoint of step 4 is skipped") && w.contains("'../x'"));
        assertThat(again.weights()).isEqualTo(weights);
        assertThat(CheckpointTools.verify(run.run()).damaged()).isEmpty();
    }

    @Test
    void pruningKeepsTheNewestWholeOneAndWhatIsPinned() throws IOException {
        RunFolder checkpoints = RunFolder.at(run.run());
        Files.delete(part(checkpoints.stepFolder(4)));
        CheckpointTools.Report report = CheckpointTools.prune(run.run(), 1, Set.of());
        assertThat(report.deleted()).isEmpty();
        assertThat(report.damaged()).anyMatch(line -> line.contains("step 4"));
        assertThat(report.checkpoints()).extracting(c -> c.step()).isEqualTo(List.of(4L, 2L));
        TinyRun again = tiny(2);
        again.train();
        assertThat(CheckpointTools.prune(run.run(), 1, Set.of(2L)).deleted()).isEmpty();
        assertThat(CheckpointTools.prune(run.run(), 1, Set.of()).deleted()).containsExactly(2L);
        assertThat(CheckpointTools.list(run.run()).checkpoints())
                .extracting(c -> c.step())
                .containsExactly(4L);
        assertThat(CheckpointTools.delete(run.run(), 4).checkpoints()).isEmpty();
    }
}
