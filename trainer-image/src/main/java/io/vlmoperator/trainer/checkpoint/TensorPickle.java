package io.vlmoperator.trainer.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads the {@code data.pkl} of an archive of {@code torch.save}: dictionaries, lists, texts, numbers and tensors, and nothing else. A
 * pickle is a program; this runs only those of its instructions that build such values, and of the functions that it may name only those
 * that put a tensor together. Anything else is refused with its name before it could have any effect.
 */
final class TensorPickle {
    private static final String PARAMETER = "torch._utils _rebuild_parameter";
    private static final String TENSOR = "torch._utils _rebuild_tensor_v2";
    private static final String DICTIONARY = "collections OrderedDict";
    private static final Map<String, String> STORAGES = Map.of(
            "torch FloatStorage", "F32",
            "torch DoubleStorage", "F64",
            "torch BFloat16Storage", "BF16",
            "torch LongStorage", "I64",
            "torch IntStorage", "I32",
            "torch ByteStorage", "U8",
            "torch BoolStorage", "BOOL");
    private static final Set<String> FUNCTIONS = Set.of(PARAMETER, TENSOR, DICTIONARY);
    private static final int MAX_STACK = 1_000_000;
    private static final int MAX_MEMO = 4_000_000;

    /** A mark on the stack. */
    private enum Mark {
        MARK
    }

    /** A name of a function or a class. */
    private record Global(String name) {}

    /** Elements in a member of the archive. */
    record Storage(String type, String key, long count) {}

    /** A tensor: a view of a storage. */
    record Tensor(Storage storage, long offset, List<Object> sizes, List<Object> strides) {}

    private final Path file;
    private final ByteBuffer in;
    private final List<Object> stack = new ArrayList<>();
    private final Map<Integer, Object> memo = new HashMap<>();

    private TensorPickle(Path file, byte[] pickle) {
        this.file = file;
        in = ByteBuffer.wrap(pickle).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The value of the pickle.
     *
     * @throws SafetensorsException naming what is not accepted, and where
     */
    static Object read(Path file, byte[] pickle) throws IOException {
        TensorPickle reader = new TensorPickle(file, pickle);
        try {
            return reader.run();
        } catch (java.nio.BufferUnderflowException e) {
            throw new SafetensorsException(file, "its data.pkl is cut off", e);
        } catch (RuntimeException e) {
            // Values of other kinds than their instruction takes, or too few of them.
            throw new SafetensorsException(file, "its data.pkl is damaged near byte " + reader.in.position(), e);
        }
    }

    private Object run() throws IOException {
        while (true) {
            require(stack.size() <= MAX_STACK, "its data.pkl piles up more than " + MAX_STACK + " values");
            int at = in.position();
            int code = Byte.toUnsignedInt(in.get());
            switch (code) {
                case 0x80 -> { // PROTO
                    int version = Byte.toUnsignedInt(in.get());
                    require(version == 2, "is a pickle of protocol " + version + ", torch.save writes 2");
                }
                case '}' -> stack.add(new LinkedHashMap<Object, Object>());
                case ']' -> stack.add(new ArrayList<>());
                case ')' -> stack.add(List.of());
                case '(' -> stack.add(Mark.MARK);
                case 'N' -> stack.add(null);
                case 0x88 -> stack.add(true);
                case 0x89 -> stack.add(false);
                case 'K' -> stack.add((long) Byte.toUnsignedInt(in.get()));
                case 'M' -> stack.add((long) Short.toUnsignedInt(in.getShort()));
                case 'J' -> stack.add((long) in.getInt());
                case 0x8a -> stack.add(longNumber());
                case 'G' ->
                    stack.add(Double.longBitsToDouble(Long.reverseBytes(in.getLong()))); // the one big-endian value
                case 'X' -> stack.add(text(in.getInt()));
                case 't' -> stack.add(Collections.unmodifiableList(fromMark()));
                case 0x85 -> stack.add(tuple(1));
                case 0x86 -> stack.add(tuple(2));
                case 0x87 -> stack.add(tuple(3));
                case 'q' -> remember(Byte.toUnsignedInt(in.get()));
                case 'r' -> remember(in.getInt());
                case 'h' -> stack.add(recall(Byte.toUnsignedInt(in.get())));
                case 'j' -> stack.add(recall(in.getInt()));
                case 's' -> setItems(tuple(2));
                case 'u' -> setItems(fromMark());
                case 'a' -> append(Collections.singletonList(pop()));
                case 'e' -> append(fromMark());
                case 'c' -> global(at);
                case 'Q' -> storage();
                case 'R' -> call();
                case 'b' -> pop(); // state of an ordered dictionary: torch keeps version numbers there
                case '.' -> {
                    require(stack.size() == 1, "its data.pkl is damaged: " + stack.size() + " values are left");
                    return pop();
                }
                default ->
                    throw new SafetensorsException(
                            file,
                            "its data.pkl has the instruction 0x%02x at byte %d; only tensors, dictionaries, lists, texts and numbers are read"
                                    .formatted(code, at));
            }
        }
    }

    private long longNumber() throws SafetensorsException {
        int bytes = Byte.toUnsignedInt(in.get());
        require(bytes <= 8, "its data.pkl has a whole number of " + bytes + " bytes");
        long value = 0;
        for (int i = 0; i < bytes; i++) {
            value |= (long) Byte.toUnsignedInt(in.get()) << (8 * i);
        }
        return bytes == 0 || bytes == 8 ? value : value << (64 - 8 * bytes) >> (64 - 8 * bytes);
    }

    private String text(int length) throws SafetensorsException {
        require(length >= 0 && length <= in.remaining(), "its data.pkl is cut off inside a text");
        byte[] bytes = new byte[length];
        in.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private String line() {
        int from = in.position();
        while (in.get() != '\n') {
            continue;
        }
        return new String(in.array(), from, in.position() - 1 - from, StandardCharsets.UTF_8);
    }

    private void global(int at) throws SafetensorsException {
        String name = line() + " " + line();
        if (!FUNCTIONS.contains(name) && !STORAGES.containsKey(name)) {
            throw new SafetensorsException(
                    file,
                    "its data.pkl names " + name.replace(' ', '.') + " at byte " + at
                            + "; only tensors are read, and nothing else is run");
        }
        stack.add(new Global(name));
    }

    /** A persistent id is {@code ("storage", class, key, device, count)}. */
    private void storage() throws SafetensorsException {
        List<?> id = (List<?>) pop();
        require(
                id.size() == 5 && "storage".equals(id.getFirst()),
                "its data.pkl refers to something that is no storage");
        String type = STORAGES.get(((Global) id.get(1)).name());
        require(type != null, "its data.pkl has a storage of another kind");
        stack.add(new Storage(type, (String) id.get(2), (Long) id.get(4)));
    }

    private void call() throws SafetensorsException {
        List<?> arguments = (List<?>) pop();
        String name = ((Global) pop()).name();
        switch (name) {
            case DICTIONARY -> {
                require(arguments.isEmpty(), "its data.pkl makes a dictionary of arguments");
                stack.add(new LinkedHashMap<Object, Object>());
            }
            // (storage, offset, sizes, strides, requires_grad, hooks)
            case TENSOR ->
                stack.add(new Tensor(
                        (Storage) arguments.get(0),
                        (Long) arguments.get(1),
                        objects(arguments.get(2)),
                        objects(arguments.get(3))));
            // (tensor, requires_grad, hooks)
            case PARAMETER -> stack.add((Tensor) arguments.get(0));
            default -> throw new SafetensorsException(file, "its data.pkl calls " + name.replace(' ', '.'));
        }
    }

    private static List<Object> objects(Object list) {
        return new ArrayList<>((List<?>) list);
    }

    private List<Object> fromMark() throws SafetensorsException {
        int mark = stack.lastIndexOf(Mark.MARK);
        require(mark >= 0, "its data.pkl is damaged: a mark is missing");
        List<Object> above = stack.subList(mark + 1, stack.size());
        List<Object> values = new ArrayList<>(above);
        above.clear();
        stack.removeLast();
        return values;
    }

    private List<Object> tuple(int count) {
        List<Object> top = stack.subList(stack.size() - count, stack.size());
        List<Object> values = Collections.unmodifiableList(new ArrayList<>(top));
        top.clear();
        return values;
    }

    private Object pop() {
        return stack.removeLast();
    }

    @SuppressWarnings("unchecked") // only this class makes maps
    private void setItems(List<Object> values) throws SafetensorsException {
        require(values.size() % 2 == 0, "its data.pkl is damaged: a key without a value");
        Map<Object, Object> target = (Map<Object, Object>) stack.getLast();
        for (int i = 0; i < values.size(); i += 2) {
            Object key = values.get(i);
            require(
                    key instanceof String || key instanceof Long,
                    "its data.pkl has a key that is neither a text nor a number");
            target.put(key, values.get(i + 1));
        }
    }

    @SuppressWarnings("unchecked") // only this class makes lists; a tuple refuses to grow
    private void append(List<Object> values) throws SafetensorsException {
        try {
            ((List<Object>) stack.getLast()).addAll(values);
        } catch (UnsupportedOperationException e) {
            throw new SafetensorsException(file, "its data.pkl is damaged: it appends to a tuple", e);
        }
    }

    private void remember(int place) throws SafetensorsException {
        require(memo.size() < MAX_MEMO, "its data.pkl remembers more than " + MAX_MEMO + " values");
        memo.put(place, stack.getLast());
    }

    private Object recall(int place) throws SafetensorsException {
        require(memo.containsKey(place), "its data.pkl is damaged: it recalls what was not kept");
        return memo.get(place);
    }

    private void require(boolean holds, String problem) throws SafetensorsException {
        if (!holds) {
            throw new SafetensorsException(file, problem);
        }
    }
}
