package io.vlmoperator.trainer.op;

import ai.djl.engine.EngineException;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.pytorch.jni.ScriptMethod;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * The operators of {@code operators.torchscript}, compiled by libtorch itself. DJL loads only TorchScript archives, so this class writes
 * one: a stored zip with the source, an empty constants tuple and a pickled module without parameters.
 */
final class Script {
    private static final String HEAD = """
            class M(Module):
              __parameters__ = []
              __buffers__ = []
              training : bool
            """;

    private final PtNDManager manager;
    private final PtSymbolBlock module;
    private final AtomicReference<Profile> profile = new AtomicReference<>();

    Script(PtNDManager manager, String resource) {
        this.manager = manager;
        JniUtils.setGraphExecutorOptimize(
                false); // plain interpreter: no profiling runs, no re-specialisation for new shapes
        try (InputStream in = Script.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new TorchException("resource " + resource + " is missing from the trainer's jar");
            }
            String methods = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            module = JniUtils.loadModule(manager, new ByteArrayInputStream(archive(methods)), false, false);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (EngineException e) {
            throw new TorchException("libtorch does not compile " + resource + ": " + e.getMessage(), e);
        }
    }

    /** Runs a method that returns nothing. Arguments: Tensor, List of Tensor, Integer, Long, Double, Boolean, String. */
    void run(String method, Object... arguments) {
        call(method, arguments).close();
    }

    /** Runs a method that returns a tensor, which {@code scope} then owns. */
    Tensor tensor(Scope scope, String method, Object... arguments) {
        try (IValue result = call(method, arguments)) {
            return scope.own(result.toTensor(manager));
        }
    }

    /** Runs a method that returns a list of tensors, which {@code scope} then owns. */
    List<Tensor> tensors(Scope scope, String method, Object... arguments) {
        try (IValue result = call(method, arguments)) {
            PtNDArray[] arrays = result.toTensorArray(manager);
            return List.of(arrays).stream().map(scope::own).toList();
        }
    }

    /** Runs a method that returns a truth value. */
    boolean flag(String method, Object... arguments) {
        try (IValue result = call(method, arguments)) {
            return result.toBoolean();
        }
    }

    void watch(Profile by) {
        if (!profile.compareAndSet(null, by)) {
            throw new IllegalStateException("a profile is being taken already");
        }
    }

    void unwatch(Profile by) {
        profile.compareAndSet(by, null);
    }

    private IValue call(String method, Object... arguments) {
        Profile watching = profile.get();
        if (watching == null) {
            return callNow(method, arguments);
        }
        long start = System.nanoTime();
        try {
            return callNow(method, arguments);
        } finally {
            watching.add(method, start, System.nanoTime() - start);
        }
    }

    private IValue callNow(String method, Object... arguments) {
        IValue[] values = new IValue[arguments.length];
        try {
            long[] handles = new long[arguments.length];
            for (int i = 0; i < arguments.length; i++) {
                values[i] = value(arguments[i]);
                handles[i] = values[i].getHandle();
            }
            return ScriptMethod.run(module, method, handles);
        } catch (EngineException e) {
            throw new TorchException("operator " + method + describe(arguments) + ": " + firstLines(e), e);
        } finally {
            for (IValue value : values) {
                if (value != null) {
                    value.close();
                }
            }
        }
    }

    private static IValue value(Object argument) {
        return switch (argument) {
            case Tensor tensor -> IValue.from(tensor.array());
            case List<?> tensors ->
                IValue.listFrom(tensors.stream().map(t -> ((Tensor) t).array()).toArray(PtNDArray[]::new));
            case Integer number -> IValue.from(number.longValue());
            case Long number -> IValue.from(number.longValue());
            case Double number -> IValue.from(number.doubleValue());
            case Boolean flag -> IValue.from(flag.booleanValue());
            case String text -> IValue.from(text);
            case long[] numbers -> IValue.listFrom(numbers);
            default -> throw new IllegalArgumentException("not an operator argument: " + argument.getClass());
        };
    }

    private static String describe(Object[] arguments) {
        StringBuilder text = new StringBuilder("(");
        for (Object argument : arguments) {
            text.append(text.length() == 1 ? "" : ", ");
            text.append(argument instanceof List<?> list ? list.size() + " tensors" : argument);
        }
        return text.append(')').toString();
    }

    private static String firstLines(EngineException e) {
        // The interpreter's message ends with the reason; what stands before it is its own stack.
        List<String> lines = String.valueOf(e.getMessage())
                .lines()
                .filter(line -> !line.isBlank())
                .toList();
        return lines.stream()
                .filter(line -> line.contains("Error:"))
                .reduce((first, last) -> last)
                .orElse(lines.isEmpty() ? "no message" : lines.getLast());
    }

    static byte[] archive(String methods) throws IOException {
        ByteArrayOutputStream pickle = new ByteArrayOutputStream();
        pickle.writeBytes(new byte[] {(byte) 0x80, 2});
        pickle.writeBytes("c__torch__\nM\n".getBytes(StandardCharsets.US_ASCII)); // GLOBAL: the class
        pickle.writeBytes(
                new byte[] {')', (byte) 0x81, '}', '(', 'X', 8, 0, 0, 0}); // new object, empty dict, mark, string
        pickle.writeBytes("training".getBytes(StandardCharsets.US_ASCII));
        pickle.writeBytes(new byte[] {(byte) 0x88, 'u', 'b', '.'}); // true, set items, build, stop
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            store(zip, "m/data.pkl", pickle.toByteArray());
            store(zip, "m/code/__torch__.py", (HEAD + methods.indent(2)).getBytes(StandardCharsets.UTF_8));
            store(zip, "m/constants.pkl", new byte[] {(byte) 0x80, 2, ')', '.'});
            store(zip, "m/version", "10\n".getBytes(StandardCharsets.US_ASCII));
        }
        return bytes.toByteArray();
    }

    private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
        CRC32 crc = new CRC32();
        crc.update(content);
        ZipEntry entry = new ZipEntry(name);
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(content.length);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(content);
        zip.closeEntry();
    }
}
