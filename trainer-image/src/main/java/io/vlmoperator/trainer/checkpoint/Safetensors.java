package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Reads safetensors: one file, or a folder with {@code model.safetensors}, or with shards that {@code model.safetensors.index.json} lists.
 * The files are mapped, not read; a tensor's memory is valid until this is closed. Layout: 8 bytes header length (little endian), a JSON
 * header, then the data without gaps.
 */
public final class Safetensors implements AutoCloseable {
    /** Longest header accepted; the format's own limit. */
    static final long MAX_HEADER_BYTES = 100_000_000;

    private static final String INDEX = "model.safetensors.index.json";
    private static final String SINGLE = "model.safetensors";
    private static final String METADATA = "__metadata__";
    private static final int MAX_DIMENSIONS = 8;
    private static final int MAX_SHARDS = 10_000;
    private static final ValueLayout.OfLong LITTLE_LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ObjectMapper JSON = new ObjectMapper().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);

    /**
     * One tensor.
     *
     * @param name its name
     * @param type element type
     * @param shape sizes, outermost first; empty for a scalar
     * @param file the file it lies in
     * @param data its bytes, row-major, little endian
     */
    public record Entry(String name, DType type, List<Long> shape, Path file, MemorySegment data) {
        /** The shape as an array. */
        public long[] sizes() {
            return shape.stream().mapToLong(Long::longValue).toArray();
        }

        /** The elements as float32; exact for F32, BF16 and integers up to 2^24. */
        public float[] floats() {
            float[] values = new float[Math.toIntExact(data.byteSize() / type.bytes())];
            for (int i = 0; i < values.length; i++) {
                values[i] = switch (type) {
                    case FLOAT32 -> data.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
                    case FLOAT64 -> (float) data.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8L * i);
                    case BFLOAT16 -> Float.intBitsToFloat(data.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i) << 16);
                    case INT32, INT64, UINT8, BOOL -> integer(i);
                };
            }
            return values;
        }

        /** The elements of an integer tensor. */
        public long[] longs() {
            long[] values = new long[Math.toIntExact(data.byteSize() / type.bytes())];
            for (int i = 0; i < values.length; i++) {
                values[i] = integer(i);
            }
            return values;
        }

        /** The elements of an integer tensor that fit 32 bits. */
        public int[] ints() {
            return Arrays.stream(longs()).mapToInt(Math::toIntExact).toArray();
        }

        private long integer(int i) {
            return switch (type) {
                case INT32 -> data.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * i);
                case INT64 -> data.get(ValueLayout.JAVA_LONG_UNALIGNED, 8L * i);
                case UINT8, BOOL -> Byte.toUnsignedLong(data.get(ValueLayout.JAVA_BYTE, i));
                case FLOAT32, FLOAT64, BFLOAT16 ->
                    throw new IllegalArgumentException("tensor " + name + " holds " + type + ", not integers");
            };
        }
    }

    private final Path location;
    private final Arena arena;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    @SuppressWarnings("MustBeClosedChecker") // closed in close()
    private Safetensors(Path location) {
        this.location = location;
        arena = Arena.ofShared();
    }

    /**
     * Opens a file or a folder.
     *
     * @throws SafetensorsException if it is malformed, names what it does not contain, or holds an element type the trainer does not use
     */
    public static Safetensors open(Path location) throws IOException {
        Safetensors result = new Safetensors(location);
        try {
            for (Path file : files(location)) {
                result.read(file);
            }
            if (Files.isDirectory(location) && Files.exists(location.resolve(INDEX))) {
                result.checkIndex(location.resolve(INDEX));
            }
            return result;
        } catch (IOException | RuntimeException e) {
            result.close();
            throw e;
        }
    }

    private static List<Path> files(Path location) throws IOException {
        if (!Files.isDirectory(location)) {
            if (!Files.isRegularFile(location)) {
                throw new SafetensorsException(location, "no such file or folder");
            }
            return List.of(location);
        }
        Path index = location.resolve(INDEX);
        if (!Files.exists(index)) {
            if (!Files.exists(location.resolve(SINGLE))) {
                throw new SafetensorsException(location, "the folder has neither " + SINGLE + " nor " + INDEX);
            }
            return List.of(location.resolve(SINGLE));
        }
        TreeSet<String> names = new TreeSet<>();
        for (Map.Entry<String, JsonNode> entry : weightMap(index).properties()) {
            String name = entry.getValue().asText();
            if (name.contains("/") || name.contains("\\") || name.startsWith(".")) {
                throw new SafetensorsException(index, "shard name '" + name + "' leaves the folder");
            }
            names.add(name);
        }
        if (names.size() > MAX_SHARDS) {
            throw new SafetensorsException(index, names.size() + " shards, at most " + MAX_SHARDS + " are read");
        }
        for (String name : names) {
            if (!Files.isRegularFile(location.resolve(name))) {
                throw new SafetensorsException(index, "lists the shard " + name + ", which is missing");
            }
        }
        return names.stream().map(location::resolve).toList();
    }

    private static JsonNode weightMap(Path index) throws IOException {
        if (Files.size(index) > MAX_HEADER_BYTES) {
            throw new SafetensorsException(index, "longer than " + MAX_HEADER_BYTES + " bytes");
        }
        JsonNode map;
        try {
            map = JSON.readTree(Files.readAllBytes(index)).path("weight_map");
        } catch (JsonProcessingException e) {
            throw new SafetensorsException(index, "not JSON: " + e.getOriginalMessage(), e);
        }
        if (!map.isObject() || map.isEmpty()) {
            throw new SafetensorsException(index, "has no weight_map");
        }
        return map;
    }

    private void checkIndex(Path index) throws IOException {
        for (Map.Entry<String, JsonNode> entry : weightMap(index).properties()) {
            Entry found = entries.get(entry.getKey());
            if (found == null
                    || !found.file()
                            .getFileName()
                            .toString()
                            .equals(entry.getValue().asText())) {
                throw new SafetensorsException(
                        index,
                        "says that " + entry.getKey() + " is in "
                                + entry.getValue().asText() + ", but it is not");
            }
        }
    }

    private void read(Path file) throws IOException {
        MemorySegment mapped;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (channel.size() < 8) {
                throw new SafetensorsException(file, "is cut off: " + channel.size() + " bytes");
            }
            mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
        long headerBytes = mapped.get(LITTLE_LONG, 0);
        if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES) {
            throw new SafetensorsException(file, "is no safetensors file: header length " + headerBytes);
        }
        if (headerBytes > mapped.byteSize() - 8) {
            throw new SafetensorsException(file, "is cut off inside its header");
        }
        JsonNode header;
        try {
            header = JSON.readTree(mapped.asSlice(8, headerBytes).toArray(ValueLayout.JAVA_BYTE));
        } catch (IOException e) {
            throw new SafetensorsException(
                    file,
                    "its header is not JSON: "
                            + e.getMessage().lines().findFirst().orElse(""),
                    e);
        }
        if (header == null || !header.isObject()) {
            throw new SafetensorsException(file, "its header is no JSON object");
        }
        MemorySegment data = mapped.asSlice(8 + headerBytes);
        List<long[]> ranges = new ArrayList<>();
        for (Map.Entry<String, JsonNode> field : header.properties()) {
            if (field.getKey().equals(METADATA)) {
                field.getValue()
                        .properties()
                        .forEach(item ->
                                metadata.put(item.getKey(), item.getValue().asText()));
                continue;
            }
            Entry entry = entry(file, field.getKey(), field.getValue(), data, ranges);
            Entry earlier = entries.put(entry.name(), entry);
            if (earlier != null) {
                throw new SafetensorsException(file, "tensor " + entry.name() + " is also in " + earlier.file());
            }
        }
        requireWithoutGaps(file, ranges, data.byteSize());
    }

    private static Entry entry(Path file, String name, JsonNode node, MemorySegment data, List<long[]> ranges)
            throws SafetensorsException {
        String typeName = node.path("dtype").asText();
        DType type = Arrays.stream(DType.values())
                .filter(candidate -> candidate.safetensorsName().equals(typeName))
                .findFirst()
                .orElseThrow(() -> new SafetensorsException(
                        file,
                        "tensor " + name + " has element type '" + typeName + "'; F32, BF16, I32, I64, U8 are read"));
        JsonNode shapeNode = node.path("shape");
        JsonNode offsets = node.path("data_offsets");
        if (!shapeNode.isArray() || shapeNode.size() > MAX_DIMENSIONS || offsets.size() != 2) {
            throw new SafetensorsException(file, "tensor " + name + " has no usable shape and data_offsets");
        }
        List<Long> shape = new ArrayList<>();
        long bytes = type.bytes();
        for (JsonNode size : shapeNode) {
            if (!size.canConvertToLong() || !size.isIntegralNumber() || size.asLong() < 0) {
                throw new SafetensorsException(file, "tensor " + name + " has the size " + size + " in its shape");
            }
            shape.add(size.asLong());
            try {
                bytes = Math.multiplyExact(bytes, size.asLong());
            } catch (ArithmeticException e) {
                throw new SafetensorsException(file, "tensor " + name + " has the impossible shape " + shapeNode, e);
            }
        }
        if (!offsets.get(0).isIntegralNumber() || !offsets.get(1).isIntegralNumber()) {
            throw new SafetensorsException(file, "tensor " + name + " has data_offsets that are no whole numbers");
        }
        long from = offsets.get(0).asLong(-1);
        long to = offsets.get(1).asLong(-1);
        if (from < 0 || to < from || to > data.byteSize()) {
            throw new SafetensorsException(
                    file,
                    "tensor " + name + " lies at bytes " + from + " to " + to + ", but the file has " + data.byteSize()
                            + "; it may be cut off");
        }
        if (to - from != bytes) {
            throw new SafetensorsException(
                    file,
                    "tensor " + name + " of shape " + shape + " and type " + typeName + " needs " + bytes
                            + " bytes, the header gives it " + (to - from));
        }
        ranges.add(new long[] {from, to});
        return new Entry(name, type, List.copyOf(shape), file, data.asSlice(from, bytes));
    }

    private static void requireWithoutGaps(Path file, List<long[]> ranges, long bytes) throws SafetensorsException {
        ranges.sort(Comparator.<long[]>comparingLong(range -> range[0]).thenComparingLong(range -> range[1]));
        long end = 0;
        for (long[] range : ranges) {
            if (range[0] != end) {
                throw new SafetensorsException(
                        file, "its tensors overlap or leave a gap at byte " + end + " of the data");
            }
            end = range[1];
        }
        if (end != bytes) {
            throw new SafetensorsException(file, (bytes - end) + " bytes behind the last tensor");
        }
    }

    /** All tensors by name, in the order of the header. */
    public Map<String, Entry> entries() {
        return Collections.unmodifiableMap(entries);
    }

    /** One tensor, if it is there. */
    public Optional<Entry> find(String name) {
        return Optional.ofNullable(entries.get(name));
    }

    /**
     * One tensor.
     *
     * @throws SafetensorsException if it is missing
     */
    public Entry get(String name) throws SafetensorsException {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new SafetensorsException(location, "has no tensor " + name);
        }
        return entry;
    }

    /** Names that start with this. */
    public Stream<String> names(String prefix) {
        return entries.keySet().stream().filter(name -> name.startsWith(prefix));
    }

    /** The free text of the header. */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    @Override
    public void close() {
        arena.close();
    }
}
