package io.vlmoperator.trainer.data;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * WebP through libwebp, where the machine has {@code libwebp.so.7}; the JDK has no decoder. Pillow uses the same library, so the pixels are the
 * same; alpha is dropped, not blended. Safe for use by several threads.
 */
final class WebP {
    static final String LIBRARY = "libwebp.so.7";

    private static final Optional<WebP> FOUND = load();

    private final MethodHandle info;
    private final MethodHandle decode;

    private WebP(SymbolLookup library) {
        Linker linker = Linker.nativeLinker();
        info = linker.downcallHandle(
                library.findOrThrow("WebPGetInfo"),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS));
        decode = linker.downcallHandle(
                library.findOrThrow("WebPDecodeRGBInto"),
                FunctionDescriptor.of(
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_INT));
    }

    private static Optional<WebP> load() {
        if (Boolean.getBoolean("vlm.webp.none") || ValueLayout.ADDRESS.byteSize() != 8) {
            return Optional.empty();
        }
        try {
            return Optional.of(new WebP(SymbolLookup.libraryLookup(LIBRARY, Arena.global())));
        } catch (IllegalArgumentException | java.util.NoSuchElementException e) {
            return Optional.empty(); // not on this machine, or of an unknown version
        }
    }

    /** The library, where it is found; system property {@code vlm.webp.none=true} leaves it aside. */
    static Optional<WebP> find() {
        return FOUND;
    }

    /**
     * Decodes a still picture.
     *
     * @param width and {@code height} as the header says
     * @throws RejectedException ImageUndecodable when the library finds anything wrong
     */
    Pixels decode(byte[] file, int width, int height) throws RejectedException {
        byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        // Copies, because a large picture takes too long for the garbage collector to wait.
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_BYTE, file);
            MemorySegment sides = arena.allocate(8, 4);
            int known = (int) info.invokeExact(data, (long) file.length, sides, sides.asSlice(4));
            if (known == 0
                    || sides.get(ValueLayout.JAVA_INT, 0) != width
                    || sides.get(ValueLayout.JAVA_INT, 4) != height) {
                throw new RejectedException(RejectReason.ImageUndecodable, "WebP: damaged header");
            }
            MemorySegment out = arena.allocate(rgb.length);
            MemorySegment answer =
                    (MemorySegment) decode.invokeExact(data, (long) file.length, out, (long) rgb.length, 3 * width);
            if (answer.equals(MemorySegment.NULL)) {
                throw new RejectedException(RejectReason.ImageUndecodable, "WebP: damaged or cut");
            }
            MemorySegment.copy(out, ValueLayout.JAVA_BYTE, 0, rgb, 0, rgb.length);
            return new Pixels(width, height, rgb);
        } catch (RejectedException | RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("the handles throw nothing", e);
        }
    }
}
