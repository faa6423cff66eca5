package io.vlmoperator.trainer.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The members of a mapped zip archive whose members are stored, not compressed, as in the archives of {@code torch.save}: their bytes can
 * be used in place. With the 64-bit extension. Every place and length is checked against the file.
 */
final class ZipDirectory {
    private static final int MAX_MEMBERS = 100_000;
    private static final int END = 0x06054b50;
    private static final int END_BYTES = 22;
    private static final int MAX_COMMENT = 0xFFFF;
    private static final int END64_LOCATOR = 0x07064b50;
    private static final int END64 = 0x06064b50;
    private static final int MEMBER = 0x02014b50;
    private static final int MEMBER_BYTES = 46;
    private static final int LOCAL = 0x04034b50;
    private static final int LOCAL_BYTES = 30;
    private static final long WIDE = 0xFFFFFFFFL;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final MemorySegment bytes;

    private ZipDirectory(Path file, MemorySegment bytes) {
        this.file = file;
        this.bytes = bytes;
    }

    /**
     * Bytes of every member by name.
     *
     * @throws SafetensorsException when the file is no such archive, or is damaged
     */
    static Map<String, MemorySegment> read(Path file, MemorySegment bytes) throws IOException {
        try {
            return new ZipDirectory(file, bytes).members();
        } catch (IndexOutOfBoundsException e) {
            throw new SafetensorsException(file, "is a damaged zip archive: a place lies outside of the file", e);
        }
    }

    private Map<String, MemorySegment> members() throws IOException {
        long end = end();
        long count = u16(end + 10);
        long at = u32(end + 16);
        long length = u32(end + 12);
        if (count == 0xFFFF || at == WIDE || length == WIDE) {
            require(end >= 20 && u32(end - 20) == END64_LOCATOR, "is a damaged zip archive: no 64-bit directory");
            long wide = i64(end - 12);
            require(
                    wide >= 0 && wide < bytes.byteSize() && u32(wide) == END64,
                    "is a damaged zip archive: no 64-bit directory");
            count = i64(wide + 32);
            at = i64(wide + 48);
        }
        require(count >= 0 && count <= MAX_MEMBERS, "has " + count + " members, at most " + MAX_MEMBERS + " are read");
        Map<String, MemorySegment> members = new LinkedHashMap<>();
        for (long i = 0; i < count; i++) {
            require(u32(at) == MEMBER, "is a damaged zip archive: member " + i + " has no header");
            int nameBytes = u16(at + 28);
            int extraBytes = u16(at + 30);
            String name = new String(
                    bytes.asSlice(at + MEMBER_BYTES, nameBytes).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
            long stored = u32(at + 20);
            long size = u32(at + 24);
            long local = u32(at + 42);
            long extra = at + MEMBER_BYTES + nameBytes;
            // The wide values stand in this order, each only if its narrow field is full.
            for (long x = extra; x + 4 <= extra + extraBytes; x += 4 + u16(x + 2)) {
                if (u16(x) == 1) {
                    long next = x + 4;
                    if (size == WIDE) {
                        size = i64(next);
                        next += 8;
                    }
                    if (stored == WIDE) {
                        stored = i64(next);
                        next += 8;
                    }
                    if (local == WIDE) {
                        local = i64(next);
                    }
                }
            }
            require(
                    u16(at + 10) == 0 && stored == size,
                    "member " + name + " is compressed; torch.save stores its members as they are");
            require(size >= 0 && local >= 0, "is a damaged zip archive: member " + name);
            require(u32(local) == LOCAL, "is a damaged zip archive: member " + name + " has no local header");
            long data = local + LOCAL_BYTES + u16(local + 26) + u16(local + 28);
            require(
                    members.put(name, bytes.asSlice(data, size)) == null,
                    "is a damaged zip archive: two members are called " + name);
            at += MEMBER_BYTES + nameBytes + extraBytes + u16(at + 32);
        }
        return members;
    }

    private long end() throws IOException {
        long last = bytes.byteSize() - END_BYTES;
        require(last >= 0, "is no zip archive: " + bytes.byteSize() + " bytes");
        for (long at = last; at >= 0 && at >= last - MAX_COMMENT; at--) {
            if (u32(at) == END) {
                return at;
            }
        }
        throw new SafetensorsException(
                file, "is no zip archive, or is cut off (archives of torch.save end with a directory)");
    }

    private int u16(long at) {
        return Short.toUnsignedInt(bytes.get(SHORT, at));
    }

    private long u32(long at) {
        return Integer.toUnsignedLong(bytes.get(INT, at));
    }

    private long i64(long at) {
        return bytes.get(LONG, at);
    }

    private void require(boolean holds, String problem) throws SafetensorsException {
        if (!holds) {
            throw new SafetensorsException(file, problem);
        }
    }
}
