package io.vlmoperator.trainer.metric;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A TensorBoard event file. Each record is {@code length (8), masked crc of length (4), data, masked crc of data (4)}, little endian; the
 * data is an {@code Event} message: wall time (1), step (2), file version (3), summary (5) of values {tag (1), simple value (2)}, session
 * log (7). A session log with status START tells TensorBoard to forget what earlier files say from that step on.
 */
public final class TensorBoardFile implements AutoCloseable {
    private static final int MASK_DELTA = 0xa282ead8;

    private final FileChannel channel;

    private TensorBoardFile(FileChannel channel) {
        this.channel = channel;
    }

    /**
     * Begins a file of this attempt. The files of earlier ones stay as they are, whatever those attempts still write.
     *
     * @param folder of the event files
     * @param attempt part of the name
     * @param step first step that this file will tell of
     */
    public static TensorBoardFile create(Path folder, int attempt, long step, double wallSeconds) throws IOException {
        Files.createDirectories(folder);
        OwnFile.takeOver(folder, "events.out.tfevents.");
        Path file = folder.resolve("events.out.tfevents.%010d.attempt-%05d".formatted((long) wallSeconds, attempt));
        Files.deleteIfExists(file);
        TensorBoardFile board =
                new TensorBoardFile(FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
        Message version = event(wallSeconds, 0);
        version.bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
        board.record(version.toByteArray());
        Message start = event(wallSeconds, step);
        Message log = new Message();
        log.varint(1, 1);
        start.bytes(7, log.toByteArray());
        board.record(start.toByteArray());
        return board;
    }

    /** Appends scalars of one step. */
    public void write(double wallSeconds, long step, Map<String, Double> scalars) throws IOException {
        Message summary = new Message();
        scalars.forEach((tag, value) -> {
            Message entry = new Message();
            entry.bytes(1, tag.getBytes(StandardCharsets.UTF_8));
            entry.float32(2, value.floatValue());
            summary.bytes(1, entry.toByteArray());
        });
        Message event = event(wallSeconds, step);
        event.bytes(5, summary.toByteArray());
        record(event.toByteArray());
    }

    private static Message event(double wallSeconds, long step) {
        Message event = new Message();
        event.float64(1, wallSeconds);
        event.varint(2, step);
        return event;
    }

    private void record(byte[] data) throws IOException {
        ByteBuffer record = ByteBuffer.allocate(data.length + 16).order(ByteOrder.LITTLE_ENDIAN);
        record.putLong(data.length);
        record.putInt(maskedCrc(record.array(), 0, 8));
        record.put(data);
        record.putInt(maskedCrc(data, 0, data.length));
        record.flip();
        while (record.hasRemaining()) {
            channel.write(record);
        }
    }

    private static int maskedCrc(byte[] bytes, int from, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, from, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    /** A protocol buffer in the making. */
    private static final class Message extends ByteArrayOutputStream {
        private static final int VARINT = 0;
        private static final int FIXED64 = 1;
        private static final int LENGTH = 2;
        private static final int FIXED32 = 5;

        void varint(int field, long value) {
            raw((long) field << 3 | VARINT);
            raw(value);
        }

        void float64(int field, double value) {
            raw((long) field << 3 | FIXED64);
            byte[] bytes = ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putDouble(value)
                    .array();
            write(bytes, 0, 8);
        }

        void float32(int field, float value) {
            raw((long) field << 3 | FIXED32);
            byte[] bytes = ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putFloat(value)
                    .array();
            write(bytes, 0, 4);
        }

        void bytes(int field, byte[] value) {
            raw((long) field << 3 | LENGTH);
            raw(value.length);
            write(value, 0, value.length);
        }

        private void raw(long value) {
            long rest = value;
            while ((rest & ~0x7fL) != 0) {
                write((int) (rest & 0x7f | 0x80));
                rest >>>= 7;
            }
            write((int) rest);
        }
    }
}
