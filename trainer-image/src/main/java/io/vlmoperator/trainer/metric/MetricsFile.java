package io.vlmoperator.trainer.metric;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** {@code RUN/metrics.jsonl}: one {@link StepRecord} a line, one line a step, whatever was restarted in between. */
public final class MetricsFile implements AutoCloseable {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int MAX_LINE = 1 << 16;

    private final FileChannel channel;

    private MetricsFile(FileChannel channel) {
        this.channel = channel;
    }

    /**
     * Opens the file for appending without the records after a step, which a resumed run makes again, and without a line that a crash has
     * left unfinished. What stays is copied into a file of its own, renamed into place: a replaced attempt that wakes up writes into the
     * old one, which nobody sees any more.
     *
     * @param step the last completed step; 0 for a fresh start
     */
    public static MetricsFile resume(Path file, long step) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        long keep = Files.exists(file) ? bytesUpTo(file, step) : 0;
        Path own = OwnFile.copy(file, keep);
        FileChannel channel = FileChannel.open(own, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            channel.position(keep);
            OwnFile.publish(own, file);
            if (Buckets.isRemote(file)) {
                channel.close(); // an object does not follow a renamed file: it is opened again, and uploaded as it
                // grows
                channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            }
            return new MetricsFile(channel);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    private static long bytesUpTo(Path file, long step) throws IOException {
        long keep = 0;
        try (BufferedReader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (line.length() > MAX_LINE || stepOf(line) > step) {
                    break;
                }
                keep += line.getBytes(StandardCharsets.UTF_8).length + 1L;
            }
        } catch (java.nio.charset.CharacterCodingException e) {
            return keep;
        }
        return Math.min(keep, Files.size(file));
    }

    private static long stepOf(String line) {
        try {
            JsonNode node = MAPPER.readTree(line);
            return node.path("step").asLong(Long.MAX_VALUE);
        } catch (JsonProcessingException e) {
            return Long.MAX_VALUE;
        }
    }

    /** Appends one record; numbers that JSON can't say are left out. */
    public void write(StepRecord step) throws IOException {
        byte[] json = bytes(step);
        ByteBuffer line =
                ByteBuffer.allocate(json.length + 1).put(json).put((byte) '\n').flip();
        while (line.hasRemaining()) {
            channel.write(line);
        }
    }

    private static byte[] bytes(StepRecord step) {
        if (Double.isFinite(step.loss()) && Double.isFinite(step.gradientNorm())) {
            return Json.bytes(step);
        }
        ObjectNode tree = (ObjectNode) Json.tree(step);
        tree.properties()
                .removeIf(field -> field.getValue().isDouble()
                        && !Double.isFinite(field.getValue().doubleValue()));
        return Json.bytes(tree);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
