package io.vlmoperator.trainer;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.RandomDistribution;

/**
 * Files as an enemy or a bad disk makes them of good ones: cut, bits turned, regions moved, fields set to the ends of their range, numbers
 * made huge, brackets nested. A few changes each, so that what fails shrinks to one. More of them: {@code -Djqwik.tries.default=100000}.
 */
public final class Mutations {
    private static final int MOST = 4;
    /** Positions are shares of the length in millionths, so that they mean something in whatever the changes before have left. */
    private static final int MILLION = 1_000_000;
    /** A try that takes so long hangs; it takes milliseconds. */
    private static final Duration HANGS = Duration.ofMinutes(2);

    private static final long[] EXTREMES = {
        0,
        1,
        -1,
        2,
        Byte.MAX_VALUE,
        Byte.MIN_VALUE,
        Short.MAX_VALUE,
        Short.MIN_VALUE,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE,
        Long.MAX_VALUE,
        Long.MIN_VALUE,
        1L << 32,
        (1L << 32) - 1,
        1 << 20
    };
    private static final List<String> WORDS = List.of(
            "-1",
            "0",
            "1e999",
            "99999999999999999999",
            "9223372036854775807",
            "null",
            "true",
            "\"\"",
            "{}",
            "[]",
            "[",
            "{\"a\":",
            "\\",
            "\"",
            "\\ud800",
            "\u0000",
            "\ufeff",
            "\t",
            "\n",
            "\r",
            ",",
            ":",
            "'",
            "NaN");
    private static final Set<Byte> DIGITS = digits();

    private Mutations() {}

    /** One change; {@code at} and {@code other} are places in millionths of the length. */
    record Change(Kind kind, int at, int other, int value) {
        byte[] of(byte[] bytes) {
            int from = place(at, bytes.length);
            int to = place(other, bytes.length);
            return switch (kind) {
                case CUT -> Arrays.copyOf(bytes, from);
                case FLIP -> flipped(bytes, from, value);
                case REMOVE -> spliced(bytes, Math.min(from, to), Math.max(from, to), new byte[0]);
                case COPY ->
                    spliced(
                            bytes,
                            from,
                            from,
                            Arrays.copyOfRange(bytes, to, Math.min(bytes.length, to + 1 + value % 600)));
                case FILL -> filled(bytes, from, 1 + value % 64, (byte) (other % 2 == 0 ? 0 : 0xFF));
                case EXTREME -> extreme(bytes, from, value);
                case NUMBER -> number(bytes, from, value);
                case WORD ->
                    spliced(bytes, from, from, WORDS.get(value % WORDS.size()).getBytes(StandardCharsets.UTF_8));
                case NEST ->
                    spliced(
                            bytes,
                            from,
                            from,
                            (value % 2 == 0 ? "[" : "{\"a\":")
                                    .repeat(1 + value % 20_000)
                                    .getBytes(StandardCharsets.UTF_8));
            };
        }

        private static int place(int share, int length) {
            return (int) ((long) share * length / MILLION);
        }
    }

    enum Kind {
        CUT,
        FLIP,
        REMOVE,
        COPY,
        FILL,
        EXTREME,
        NUMBER,
        WORD,
        NEST
    }

    private static byte[] flipped(byte[] bytes, int at, int value) {
        byte[] copy = bytes.clone();
        if (at < copy.length) {
            copy[at] ^= (byte) (1 << value % 8);
        }
        return copy;
    }

    private static byte[] spliced(byte[] bytes, int from, int to, byte[] between) {
        ByteBuffer out = ByteBuffer.allocate(bytes.length - (to - from) + between.length);
        out.put(bytes, 0, from).put(between).put(bytes, to, bytes.length - to);
        return out.array();
    }

    private static byte[] filled(byte[] bytes, int from, int count, byte with) {
        byte[] copy = bytes.clone();
        Arrays.fill(copy, from, Math.min(copy.length, from + count), with);
        return copy;
    }

    private static byte[] extreme(byte[] bytes, int at, int value) {
        byte[] copy = bytes.clone();
        int width = 1 << value % 4;
        if (at + width > copy.length) {
            return copy;
        }
        ByteBuffer field = ByteBuffer.wrap(copy, at, width);
        field.order(value / 4 % 2 == 0 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        long extreme = EXTREMES[value / 8 % EXTREMES.length];
        switch (width) {
            case 1 -> field.put((byte) extreme);
            case 2 -> field.putShort((short) extreme);
            case 4 -> field.putInt((int) extreme);
            default -> field.putLong(extreme);
        }
        return copy;
    }

    /** The next number that is spelled out becomes another. */
    private static byte[] number(byte[] bytes, int at, int value) {
        int from = at;
        while (from < bytes.length && !DIGITS.contains(bytes[from])) {
            from++;
        }
        int to = from;
        while (to < bytes.length && DIGITS.contains(bytes[to])) {
            to++;
        }
        return spliced(
                bytes,
                from,
                to,
                Long.toString(EXTREMES[value % EXTREMES.length]).getBytes(StandardCharsets.US_ASCII));
    }

    private static Set<Byte> digits() {
        List<Byte> digits = new ArrayList<>();
        for (byte digit = '0'; digit <= '9'; digit++) {
            digits.add(digit);
        }
        return Set.copyOf(digits);
    }

    /** One of the good files with one to four changes. */
    public static Arbitrary<byte[]> of(List<byte[]> good) {
        Arbitrary<Integer> share =
                Arbitraries.integers().between(0, MILLION).withDistribution(RandomDistribution.uniform());
        Arbitrary<Change> change = Combinators.combine(
                        Arbitraries.of(Kind.values()),
                        share,
                        share,
                        Arbitraries.integers().between(0, MILLION))
                .as(Change::new);
        return Combinators.combine(
                        Arbitraries.of(good), change.list().ofMinSize(1).ofMaxSize(MOST))
                .as((file, changes) -> {
                    byte[] bytes = file;
                    for (Change one : changes) {
                        bytes = one.of(bytes);
                    }
                    return bytes;
                });
    }

    /** Work that may throw anything. */
    public interface Reading {
        void run() throws Exception;
    }

    /**
     * Reads with a bound on time and on what the reading thread allocates: the reader ends well, or with one of its own exceptions that
     * has a message.
     *
     * @param bytes that the reading may allocate in all
     * @param own the exceptions that its callers expect
     */
    public static void read(long bytes, Set<Class<? extends Exception>> own, Reading reading) {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        AtomicLong allocated = new AtomicLong();
        Thread thread = Thread.ofPlatform().daemon().start(() -> {
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long before = threads.getCurrentThreadAllocatedBytes();
            try {
                reading.run();
            } catch (Throwable e) {
                thrown.set(e);
            }
            allocated.set(threads.getCurrentThreadAllocatedBytes() - before);
        });
        try {
            assertThat(thread.join(HANGS)).as("the reader hangs").isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        Throwable end = thrown.get();
        if (end != null && !(end instanceof Exception named && own.contains(named.getClass()))) {
            throw new AssertionError("not one of the reader's own exceptions: " + end, end);
        }
        if (end != null) {
            assertThat(end.getMessage()).isNotBlank();
        }
        assertThat(allocated.get()).as("bytes allocated").isLessThanOrEqualTo(bytes);
    }
}
