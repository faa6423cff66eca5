package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the tensors of an archive of {@code torch.save} (the format since torch 1.6), in which the released Open-Qwen2VL checkpoint is
 * distributed. Names of nested dictionaries are joined by dots. The file is mapped; a tensor's memory is valid until this is closed. See
 * {@link TensorPickle} for what is accepted.
 */
public final class TorchArchive implements AutoCloseable {
    private static final long MAX_PICKLE_BYTES = 64L << 20;
    private static final int MAX_DEPTH = 16;
    private static final int MAX_DIMENSIONS = 8;
    private static final int MAX_TENSORS = 1_000_000;
    private static final String PICKLE = "/data.pkl";

    private final Path file;
    private final Arena arena;
    private final Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    private int visited;

    @SuppressWarnings("MustBeClosedChecker") // closed in close()
    private TorchArchive(Path file) {
        this.file = file;
        arena = Arena.ofShared();
    }

    /**
     * Opens an archive.
     *
     * @throws SafetensorsException when it is none, is damaged, or holds something else than tensors, texts and numbers, with its name
     */
    public static TorchArchive open(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new SafetensorsException(file, "no such file");
        }
        TorchArchive archive = new TorchArchive(file);
        try {
            archive.read();
            return archive;
        } catch (IOException | RuntimeException e) {
            archive.close();
            throw e;
        }
    }

    private void read() throws IOException {
        MemorySegment mapped;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
        Map<String, MemorySegment> members = ZipDirectory.read(file, mapped);
        List<String> pickles =
                members.keySet().stream().filter(name -> name.endsWith(PICKLE)).toList();
        require(pickles.size() == 1, "has " + pickles.size() + " members data.pkl, an archive of torch.save has one");
        String prefix = pickles.getFirst().substring(0, pickles.getFirst().length() - PICKLE.length());
        MemorySegment order = members.get(prefix + "/byteorder");
        require(
                order == null
                        || new String(order.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII).equals("little"),
                "was written on a big-endian machine");
        MemorySegment pickle = members.get(pickles.getFirst());
        require(
                pickle.byteSize() <= MAX_PICKLE_BYTES,
                "its data.pkl has " + pickle.byteSize() + " bytes, at most " + MAX_PICKLE_BYTES + " are read");
        Object root = TensorPickle.read(file, pickle.toArray(ValueLayout.JAVA_BYTE));
        require(root instanceof Map<?, ?>, "holds no dictionary of tensors");
        collect("", root, prefix + "/data/", members, 0);
        require(!entries.isEmpty(), "holds no tensors");
    }

    private void collect(String name, Object value, String folder, Map<String, MemorySegment> members, int depth)
            throws IOException {
        require(depth <= MAX_DEPTH, "has dictionaries " + MAX_DEPTH + " deep, at " + name);
        // The same value may stand in many places: without a count a small file could unfold without end.
        require(++visited <= MAX_TENSORS, "has more than " + MAX_TENSORS + " values");
        if (value instanceof Map<?, ?> map) {
            for (Map.Entry<?, ?> item : map.entrySet()) {
                String key = String.valueOf(item.getKey());
                collect(name.isEmpty() ? key : name + "." + key, item.getValue(), folder, members, depth + 1);
            }
        } else if (value instanceof TensorPickle.Tensor tensor) {
            Safetensors.Entry earlier = entries.put(name, entry(name, tensor, folder, members));
            require(earlier == null, "two tensors are called " + name);
        }
        // Texts, numbers and lists beside the tensors (steps, versions) are of no use here.
    }

    private Safetensors.Entry entry(
            String name, TensorPickle.Tensor tensor, String folder, Map<String, MemorySegment> members)
            throws IOException {
        DType type = Arrays.stream(DType.values())
                .filter(t -> t.safetensorsName().equals(tensor.storage().type()))
                .findFirst()
                .orElseThrow();
        MemorySegment data = members.get(folder + tensor.storage().key());
        require(data != null, "tensor " + name + " lies in a member that is missing");
        require(
                tensor.sizes().size() <= MAX_DIMENSIONS
                        && tensor.sizes().size() == tensor.strides().size(),
                "tensor " + name + " has no usable shape");
        List<Long> shape = new ArrayList<>();
        long count = 1;
        try {
            for (int d = tensor.sizes().size() - 1; d >= 0; d--) {
                long size = (Long) tensor.sizes().get(d);
                require(size >= 0, "tensor " + name + " has the size " + size + " in its shape");
                require(
                        size == 1 || count == 0 || (Long) tensor.strides().get(d) == count,
                        "tensor " + name + " does not lie in one piece; save it contiguous");
                shape.addFirst(size);
                count = Math.multiplyExact(count, size);
            }
            long from = Math.multiplyExact(tensor.offset(), (long) type.bytes());
            long bytes = Math.multiplyExact(count, (long) type.bytes());
            require(
                    from >= 0 && Math.addExact(from, bytes) <= data.byteSize(),
                    "tensor " + name + " of shape " + shape + " lies at bytes " + from + " to " + (from + bytes)
                            + " of a member of " + data.byteSize());
            return new Safetensors.Entry(name, type, List.copyOf(shape), file, data.asSlice(from, bytes));
        } catch (ArithmeticException e) {
            throw new SafetensorsException(file, "tensor " + name + " has an impossible shape", e);
        } catch (ClassCastException e) {
            throw new SafetensorsException(file, "tensor " + name + " has no usable shape", e);
        }
    }

    /** All tensors by name, in the order of the archive. */
    public Map<String, Safetensors.Entry> entries() {
        return Collections.unmodifiableMap(entries);
    }

    private void require(boolean holds, String problem) throws SafetensorsException {
        if (!holds) {
            throw new SafetensorsException(file, problem);
        }
    }

    @Override
    public void close() {
        arena.close();
    }
}
