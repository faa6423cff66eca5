package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsTest {
    @TempDir
    private Path folder;

    @Test
    void whatIsWrittenIsRead() throws IOException {
        Path file = folder.resolve("model.safetensors");
        write(file, Map.of("step", "7"));
        try (Safetensors read = Safetensors.open(folder)) {
            assertThat(read.metadata()).containsEntry("step", "7");
            assertThat(read.entries().keySet()).containsExactly("weights", "ids", "flags", "nothing");
            assertThat(read.get("weights").shape()).containsExactly(2L, 3L);
            assertThat(read.get("weights").floats()).containsExactly(1, -2, 3.5f, 0, 5, 6);
            assertThat(read.get("ids").longs()).containsExactly(-200, 1L << 40);
            assertThat(read.get("flags").ints()).containsExactly(255);
            assertThat(read.get("nothing").floats()).isEmpty();
            assertThat(read.find("other")).isEmpty();
            assertThatThrownBy(() -> read.get("other"))
                    .isInstanceOf(SafetensorsException.class)
                    .hasMessageContaining("no tensor other");
        }
        assertThatThrownBy(() -> write(file, Map.of())).isInstanceOf(FileAlreadyExistsException.class);
    }

    private static void write(Path file, Map<String, String> metadata) throws IOException {
        List<SafetensorsWriter.Item> items = List.of(
                SafetensorsWriter.Item.of("weights", DType.FLOAT32, 2, 3),
                SafetensorsWriter.Item.of("ids", DType.INT64, 2),
                SafetensorsWriter.Item.of("flags", DType.UINT8, 1),
                SafetensorsWriter.Item.of("nothing", DType.FLOAT32, 0, 4));
        try (SafetensorsWriter writer = new SafetensorsWriter(file, metadata, items)) {
            writer.write("weights", MemorySegment.ofArray(new float[] {1, -2, 3.5f, 0, 5, 6}));
            assertThatThrownBy(() -> writer.write("flags", MemorySegment.ofArray(new byte[1])))
                    .isInstanceOf(IllegalStateException.class);
        }
        Files.delete(file);
        try (SafetensorsWriter writer = new SafetensorsWriter(file, metadata, items)) {
            writer.write("weights", MemorySegment.ofArray(new float[] {1, -2, 3.5f, 0, 5, 6}));
            writer.write("ids", MemorySegment.ofArray(new long[] {-200, 1L << 40}));
            assertThatThrownBy(writer::finish).hasMessageContaining("2 tensors");
            writer.write("flags", MemorySegment.ofArray(new byte[] {-1}));
            writer.write("nothing", MemorySegment.ofArray(new float[0]));
            writer.finish();
        }
    }

    @Test
    void shardsAreReadThroughTheirIndex() throws IOException {
        raw("a.safetensors", "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
        raw("b.safetensors", "{\"y\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]}}", 2);
        Path index = folder.resolve("model.safetensors.index.json");
        Files.writeString(index, "{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}");
        try (Safetensors read = Safetensors.open(folder)) {
            assertThat(read.entries().keySet()).containsExactly("x", "y");
            assertThat(read.get("y").floats()).hasSize(1);
        }
        Files.writeString(index, "{\"weight_map\":{\"x\":\"a.safetensors\",\"z\":\"b.safetensors\"}}");
        refused(folder, "says that z is in b.safetensors");
        Files.writeString(index, "{\"weight_map\":{\"x\":\"../a.safetensors\"}}");
        refused(folder, "leaves the folder");
        Files.writeString(index, "{\"weight_map\":{\"x\":\"c.safetensors\"}}");
        refused(folder, "lists the shard c.safetensors, which is missing");
        Files.writeString(index, "{");
        refused(folder, "not JSON");
    }

    @Test
    void malformedFilesAreRefusedByName() throws IOException {
        String good = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
        refused(raw("cut", good, 7), "cut", "tensor x", "cut off");
        refused(raw("long", good, 9), "1 bytes behind the last tensor");
        refused(raw("type", good.replace("F32", "F16"), 8), "tensor x", "'F16'");
        refused(raw("size", good.replace("[2]", "[3]"), 8), "tensor x", "needs 12 bytes");
        refused(raw("negative", good.replace("[2]", "[-2]"), 8), "tensor x", "-2");
        refused(raw("huge", good.replace("[2]", "[4611686018427387904,4]"), 8), "impossible shape");
        refused(raw("fraction", good.replace("[2]", "[2.5]"), 8), "2.5");
        refused(raw("offsets", good.replace("[0,8]", "[4,12]"), 12), "gap");
        refused(raw("backwards", good.replace("[0,8]", "[8,0]"), 8), "tensor x");
        refused(
                raw(
                        "overlap",
                        good.replace("}}", "},\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}"),
                        8),
                "overlap");
        refused(
                raw(
                        "twice",
                        good.replace("}}", "},\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}"),
                        12),
                "not JSON");
        refused(raw("list", "[]", 0), "no JSON object");
        refused(raw("text", "hello", 0), "not JSON");
        refused(raw("noshape", "{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4), "no usable shape");
        Path tiny = folder.resolve("tiny");
        Files.write(tiny, new byte[5]);
        refused(tiny, "cut off");
        Path header = folder.resolve("header");
        Files.write(
                header,
                ByteBuffer.allocate(16)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(Long.MAX_VALUE)
                        .array());
        refused(header, "header length");
        Files.write(
                header,
                ByteBuffer.allocate(16)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(100)
                        .array());
        refused(header, "cut off inside its header");
        refused(folder.resolve("absent"), "no such file");
        refused(folder, "neither model.safetensors");
    }

    private Path raw(String name, String header, int dataBytes) throws IOException {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(8 + text.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(text.length).put(text);
        Path file = folder.resolve(name);
        Files.write(file, bytes.array());
        return file;
    }

    private static void refused(Path file, String... messages) {
        assertThatThrownBy(() -> Safetensors.open(file).close())
                .isInstanceOf(SafetensorsException.class)
                .hasMessageContainingAll(messages)
                .hasMessageContaining(file.getFileName().toString());
    }
}
