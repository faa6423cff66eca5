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
 * libjpeg-turbo through its TurboJPEG interface, where the machine has {@code libturbojpeg.so.0}: the JDK's own libjpeg has no vector code. The
 * result equals libjpeg's, and so the JDK's, byte for byte (accurate DCT, fancy upsampling). Whatever the library complains about is
 * left to the caller's other decoder, which knows the reasons. Safe for use by several threads.
 */
final class TurboJpeg {
    private static final String LIBRARY = "libturbojpeg.so.0";
    /** TJPF_RGB of turbojpeg.h. */
    private static final int RGB = 0;
    /** TJFLAG_LIMITSCANS: more than 500 scans are no picture but an attack. */
    private static final int LIMIT_SCANS = 1 << 15;

    /** The smallest picture that the library makes of another: one pixel for each block of 8 x 8. */
    private static final int EIGHTH = 8;

    private static final Optional<TurboJpeg> FOUND = load();

    private final MethodHandle init;
    private final MethodHandle readHeader;
    private final MethodHandle decompress;
    private final MethodHandle destroy;

    private TurboJpeg(SymbolLookup library) {
        Linker linker = Linker.nativeLinker();
        init = linker.downcallHandle(
                library.findOrThrow("tjInitDecompress"), FunctionDescriptor.of(ValueLayout.ADDRESS));
        readHeader = linker.downcallHandle(
                library.findOrThrow("tjDecompressHeader3"),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS),
                Linker.Option.critical(true));
        decompress = linker.downcallHandle(
                library.findOrThrow("tjDecompress2"),
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_INT),
                Linker.Option.critical(true)); // works on the heap's arrays; a picture takes milliseconds
        destroy = linker.downcallHandle(
                library.findOrThrow("tjDestroy"), FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
    }

    private static Optional<TurboJpeg> load() {
        if (Boolean.getBoolean("vlm.jpeg.jdk") || ValueLayout.ADDRESS.byteSize() != 8) {
            return Optional.empty();
        }
        try {
            return Optional.of(new TurboJpeg(SymbolLookup.libraryLookup(LIBRARY, Arena.global())));
        } catch (IllegalArgumentException | java.util.NoSuchElementException e) {
            return Optional.empty(); // not on this machine, or of an unknown version
        }
    }

    /** The library, where it is found; system property {@code vlm.jpeg.jdk=true} leaves it aside. */
    static Optional<TurboJpeg> find() {
        return FOUND;
    }

    /**
     * Decodes a gray, YCbCr or RGB picture.
     *
     * @param width and {@code height} as the header says
     * @return empty when the library has any complaint
     */
    Optional<Pixels> decode(byte[] file, int width, int height) {
        return decode(file, width, height, 1);
    }

    /**
     * Reads a picture of these sides to its end without forming all of its pixels.
     *
     * @return false when {@link #decode(byte[], int, int)} would be empty
     */
    boolean isWhole(byte[] file, int width, int height) {
        return decode(file, width, height, EIGHTH).isPresent();
    }

    /** Sides of the result are those of the picture divided by {@code part}, rounded up. */
    private Optional<Pixels> decode(byte[] file, int width, int height, int part) {
        MemorySegment decoder = MemorySegment.NULL;
        try {
            // One for each picture: a decoder keeps tables, and a picture that lacks its own would be read by those of
            // another.
            decoder = (MemorySegment) init.invokeExact();
            if (decoder.equals(MemorySegment.NULL)) {
                return Optional.empty();
            }
            // The library scales to what it is asked for, so both readings of the header must agree.
            int[] seen = new int[4];
            MemorySegment sides = MemorySegment.ofArray(seen);
            int known = (int) readHeader.invokeExact(
                    decoder,
                    MemorySegment.ofArray(file),
                    (long) file.length,
                    sides.asSlice(0, 4),
                    sides.asSlice(4, 4),
                    sides.asSlice(8, 4),
                    sides.asSlice(12, 4));
            if (known != 0 || seen[0] != width || seen[1] != height) {
                return Optional.empty();
            }
            int shownWidth = Math.ceilDiv(width, part);
            int shownHeight = Math.ceilDiv(height, part);
            byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(shownWidth, shownHeight))];
            int answer = (int) decompress.invokeExact(
                    decoder,
                    MemorySegment.ofArray(file),
                    (long) file.length,
                    MemorySegment.ofArray(rgb),
                    shownWidth,
                    3 * shownWidth,
                    shownHeight,
                    RGB,
                    LIMIT_SCANS);
            return answer == 0 ? Optional.of(new Pixels(shownWidth, shownHeight, rgb)) : Optional.empty();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("the handles throw nothing", e);
        } finally {
            discard(decoder);
        }
    }

    private void discard(MemorySegment decoder) {
        if (decoder.equals(MemorySegment.NULL)) {
            return;
        }
        try {
            int ignored = (int) destroy.invokeExact(decoder);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("the handles throw nothing", e);
        }
    }
}
