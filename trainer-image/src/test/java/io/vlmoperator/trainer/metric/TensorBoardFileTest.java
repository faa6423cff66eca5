package io.vlmoperator.trainer.metric;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardFileTest {
    @TempDir
    Path folder;

    @Test
    void recordsAreFramedAndChecked() throws IOException {
        try (TensorBoardFile board = TensorBoardFile.create(folder, 3, 41, 1.7e9)) {
            board.write(1.7e9 + 1, 300, Map.of("train/loss", 2.5));
        }
        Path file;
        try (var files = Files.list(folder)) {
            file = files.findFirst().orElseThrow();
        }
        assertThat(file.getFileName().toString()).isEqualTo("events.out.tfevents.1700000000.attempt-00003");
        List<byte[]> records = new ArrayList<>();
        ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        while (in.hasRemaining()) {
            byte[] length = new byte[8];
            in.get(in.position(), length);
            int size = (int) in.getLong();
            assertThat(in.getInt()).as("crc of the length").isEqualTo(masked(length));
            byte[] data = new byte[size];
            in.get(data);
            assertThat(in.getInt()).as("crc of the data").isEqualTo(masked(data));
            records.add(data);
        }
        assertThat(records).hasSize(3);
        assertThat(new String(records.get(0), StandardCharsets.UTF_8)).endsWith("brain.Event:2");
        // Session log (field 7) with status (field 1) START (1); step (field 2) 41.
        assertThat(records.get(1)).containsSequence(0x10, 41, 0x3a, 2, 0x08, 1);
        // Step 300 as a varint; a summary (field 5) of one value: the tag, then 2.5 as four bytes.
        assertThat(records.get(2)).containsSequence(0x10, 0xac, 0x02, 0x2a);
        assertThat(records.get(2)).endsWith(0x15, 0, 0, 0x20, 0x40);
    }

    /**
     * Scalars over several attempts and steps. {@code make verify-tensorboard} names a folder ({@code VLM_EVENTS}) for the files, which
     * TensorBoard's own reader then reads and compares with {@code expected.json}.
     */
    @Test
    void aFileForTensorBoardsOwnReader() throws IOException {
        String named = System.getenv("VLM_EVENTS");
        Path place = named == null ? folder : Path.of(named);
        List<List<Object>> expected = new ArrayList<>();
        try (TensorBoardFile board = TensorBoardFile.create(place, 1, 0, 1.7e9)) {
            for (int step = 1; step <= 200; step++) {
                Map<String, Double> scalars = Map.of(
                        "train/loss", 11.0 / step,
                        "train/learning_rate", 5e-5 * step,
                        "größe/漢字", -1e-30 * step);
                board.write(1.7e9 + step, step * 1000L, scalars);
                for (Map.Entry<String, Double> scalar : scalars.entrySet()) {
                    expected.add(List.of(scalar.getKey(), step * 1000L, scalar.getValue()));
                }
            }
        }
        new com.fasterxml.jackson.databind.ObjectMapper()
                .writeValue(place.resolve("expected.json").toFile(), expected);
        try (var files = Files.list(place)) {
            Path file = files.filter(f -> f.getFileName().toString().startsWith("events."))
                    .findFirst()
                    .orElseThrow();
            // Each scalar has its tag, its step and four bytes of value.
            assertThat(Files.size(file)).isGreaterThan(200L * 3 * 20);
        }
    }

    /** As TensorFlow's record format has it, worked out again. */
    private static int masked(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        long value = crc.getValue();
        return (int) (((value >>> 15) | (value << 17 & 0xffffffffL)) + 0xa282ead8L);
    }
}
