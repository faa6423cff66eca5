package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** While a model is loaded, the process grows by hardly more than its weights; measured in a process of its own. */
@EnabledOnOs(OS.LINUX)
class LoadingMemoryTest {
    private static final LanguageConfig LANGUAGE =
            new LanguageConfig(512, 2048, 6, 8, 2, 49_152, 1e6, 1e-6, true, 4096);

    @TempDir
    private Path folder;

    private static ModelConfig config() {
        return new ModelConfig(
                LANGUAGE,
                new VisionConfig(28, 14, 32, 32, 2, 1, 1e-6, -2, VisionConfig.Activation.Erf),
                new ProjectorConfig(4));
    }

    private static List<Parameter> parameters() {
        return VisionLanguageModel.parameters(config()).stream()
                .filter(p -> p.part() == Part.LANGUAGE)
                .toList();
    }

    @ParameterizedTest
    @EnumSource(names = {"FLOAT32", "BFLOAT16"})
    void loadingTakesHardlyMoreThanTheWeights(DType type) throws Exception {
        write(type);
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Process child = new ProcessBuilder(
                        java,
                        "-Xmx64m",
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "--enable-native-access=ALL-UNNAMED",
                        "--sun-misc-unsafe-memory-access=allow",
                        "-cp",
                        System.getProperty("java.class.path"),
                        LoadingMemoryTest.class.getName(),
                        folder.toString())
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("out").toFile())
                .start();
        try {
            assertThat(child.waitFor(10, TimeUnit.MINUTES)).isTrue();
        } finally {
            child.destroyForcibly();
        }
        String out = Files.readString(folder.resolve("out"));
        assertThat(child.exitValue()).as(out).isZero();
        String[] numbers = out.lines()
                .filter(line -> line.startsWith("grown "))
                .findFirst()
                .orElseThrow()
                .split(" ", -1);
        long grown = Long.parseLong(numbers[1]);
        long weights = Long.parseLong(numbers[3]);
        assertThat(weights).isGreaterThan(150_000_000);
        // Less would mean that the weights were not read at all.
        assertThat((double) grown / weights).as("peak growth over the weights").isBetween(0.95, 1.2);
    }

    private void write(DType type) throws IOException {
        Files.writeString(folder.resolve("config.json"), """
                {"model_type": "qwen2", "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6,
                 "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 49152, "rope_theta": 1000000.0,
                 "rms_norm_eps": 1e-6, "tie_word_embeddings": true, "max_position_embeddings": 4096}
                """);
        List<SafetensorsWriter.Item> items = parameters().stream()
                .map(p -> new SafetensorsWriter.Item(p.ownName(), type, p.shape()))
                .toList();
        try (SafetensorsWriter writer = new SafetensorsWriter(folder.resolve("model.safetensors"), Map.of(), items);
                Arena arena = Arena.ofConfined()) {
            MemorySegment noise = arena.allocate(49_152L * 512 * 4, 8);
            for (long i = 0; i < noise.byteSize() / 2; i++) {
                noise.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (0x3c00 | i * 31 & 0xff));
            }
            for (SafetensorsWriter.Item item : items) {
                writer.write(item.name(), noise.asSlice(0, item.bytes()));
            }
            writer.finish();
        }
    }

    /** The process that loads: prints by how many bytes it grew at most, and how many the weights have. */
    public static void main(String[] arguments) throws IOException {
        System.setProperty("ai.djl.offline", "true");
        try (Scope scope = Scope.open()) {
            scope.ops().sum(scope.floats(new float[] {1, 2}, 2)).item(); // libtorch is there
            long before = kibibytes("VmRSS");
            VisionLanguageModel model = VisionLanguageModel.create(scope, config(), Set.of());
            HuggingFace.load(Path.of(arguments[0]), model.weights(), Part.LANGUAGE);
            long most = kibibytes("VmHWM");
            long weights = parameters().stream().mapToLong(Parameter::count).sum() * Float.BYTES;
            System.out.println("grown " + (most - before) * 1024 + " weights " + weights);
        }
    }

    private static long kibibytes(String field) throws IOException {
        return Files.readString(Path.of("/proc/self/status"), StandardCharsets.US_ASCII)
                .lines()
                .filter(line -> line.startsWith(field + ":"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }
}
