package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Writes one safetensors file as a stream: the list of tensors first, then their bytes in the same order. The file is complete, and on the
 * disk, once {@link #finish} has returned; renaming it into place is the caller's business.
 */
public final class SafetensorsWriter implements AutoCloseable {
    private static final int PIECE = 1 << 20;

    /** One tensor to come. */
    public record Item(String name, DType type, List<Long> shape) {
        /** An item with its shape as plain numbers. */
        public static Item of(String name, DType type, long... shape) {
            return new Item(name, type, Arrays.stream(shape).boxed().toList());
        }

        long bytes() {
            return shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
        }
    }

    private final Path file;
    private final FileChannel channel;
    private final Deque<Item> expected;
    private final Optional<MessageDigest> sha256;

    /**
     * Creates the file, which must not exist, and writes its header.
     *
     * @param metadata free text for the header
     */
    public SafetensorsWriter(Path file, Map<String, String> metadata, List<Item> items) throws IOException {
        this(file, metadata, items, Optional.empty());
    }

    /** @param sha256 is told every byte that is written */
    SafetensorsWriter(Path file, Map<String, String> metadata, List<Item> items, Optional<MessageDigest> sha256)
            throws IOException {
        this.file = file;
        this.sha256 = sha256;
        byte[] header = header(file, metadata, items);
        channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        expected = new ArrayDeque<>(items);
        try {
            ByteBuffer length =
                    ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(0, header.length);
            write(length);
            write(ByteBuffer.wrap(header));
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    private static byte[] header(Path file, Map<String, String> metadata, List<Item> items) throws IOException {
        ObjectMapper json = new ObjectMapper();
        ObjectNode header = json.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode text = header.putObject("__metadata__");
            metadata.forEach(text::put);
        }
        long offset = 0;
        Set<String> names = new HashSet<>();
        for (Item item : items) {
            if (!names.add(item.name()) || item.name().equals("__metadata__")) {
                throw new SafetensorsException(file, "two tensors would have the name " + item.name());
            }
            ObjectNode node = header.putObject(item.name());
            node.put("dtype", item.type().safetensorsName());
            var shape = node.putArray("shape");
            item.shape().forEach(shape::add);
            node.putArray("data_offsets").add(offset).add(offset + item.bytes());
            offset += item.bytes();
        }
        byte[] text = json.writeValueAsBytes(header);
        if (text.length + 8 > Safetensors.MAX_HEADER_BYTES) {
            throw new SafetensorsException(file, "a header of " + text.length + " bytes is too long to be read again");
        }
        byte[] padded = Arrays.copyOf(text, (text.length + 7) / 8 * 8); // data starts at a multiple of 8
        Arrays.fill(padded, text.length, padded.length, (byte) ' ');
        return padded;
    }

    /** Writes the bytes of the next tensor. */
    public void write(String name, MemorySegment data) throws IOException {
        write(name, List.of(data));
    }

    /** Writes the bytes of the next tensor, which lie in several places. */
    void write(String name, List<MemorySegment> data) throws IOException {
        Item next = expected.poll();
        long bytes = data.stream().mapToLong(MemorySegment::byteSize).sum();
        if (next == null || !next.name().equals(name) || next.bytes() != bytes) {
            throw new IllegalStateException(
                    "tensor " + name + " of " + bytes + " bytes was written where " + next + " was announced");
        }
        ByteBuffer piece = ByteBuffer.allocateDirect((int) Math.min(PIECE, bytes));
        for (MemorySegment part : data) {
            for (long at = 0; at < part.byteSize(); at += PIECE) {
                long size = Math.min(PIECE, part.byteSize() - at);
                MemorySegment.copy(part, at, MemorySegment.ofBuffer(piece.clear()), 0, size);
                write(piece.limit((int) size));
            }
        }
    }

    private void write(ByteBuffer bytes) throws IOException {
        sha256.ifPresent(digest -> digest.update(bytes.duplicate()));
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** Forces everything to the disk. */
    public void finish() throws IOException {
        if (!expected.isEmpty()) {
            throw new IllegalStateException(file + ": " + expected.size() + " tensors were announced but not written");
        }
        channel.force(true);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
