package io.vlmoperator.trainer.data;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Members of a tar with their places in the file: ustar, pax and GNU long names and sizes. Nothing is unpacked. What is wrong with the
 * archive comes as a {@link RejectedException}; after {@link RejectReason#UnsafeName} and {@link RejectReason#UnsupportedMember} reading goes
 * on with the next member, after the other reasons nothing follows.
 */
final class TarReader {
    private static final int BLOCK = 512;
    private static final int MAX_EXTENSION = 1 << 20;

    private final FileChannel channel;
    private final long size;
    private final ByteBuffer block = ByteBuffer.allocate(BLOCK);
    private long at;
    private boolean ended;

    /** A file of the archive: its bytes are [offset, offset + size) of the tar. */
    record Member(String name, long offset, long size) {}

    TarReader(FileChannel channel) throws IOException {
        this.channel = channel;
        this.size = channel.size();
    }

    /** Where the next header is looked for. */
    long position() {
        return at;
    }

    /** The next file; empty at the end of the archive. */
    Optional<Member> next() throws IOException, RejectedException {
        String longName = null;
        long longSize = -1;
        while (!ended) {
            if (at >= size) {
                ended = true;
                throw at == 0
                        ? new RejectedException(RejectReason.EmptyShard, "the file has no bytes")
                        : new RejectedException(
                                RejectReason.TruncatedTar, "ends at byte " + size + " without the end marker");
            }
            readHeader();
            if (isZero()) {
                ended = true;
                return Optional.empty();
            }
            checkHeader();
            long body = at + BLOCK;
            int type = block.get(156) & 0xFF;
            boolean link = type == '1' || type == '2';
            long length = link ? 0 : number(124, 12);
            if (type != 'x' && type != 'g' && type != 'L' && type != 'K' && longSize >= 0) {
                length = longSize;
            }
            String name = longName == null ? name() : longName;
            if (length > size - body) {
                ended = true;
                throw new RejectedException(
                        RejectReason.TruncatedTar,
                        "member " + shown(name) + " needs " + length + " bytes at byte " + body
                                + ", but the file ends at " + size);
            }
            at = body + (length + BLOCK - 1) / BLOCK * BLOCK;
            switch (type) {
                case 'L' -> longName = text(extension(body, length));
                case 'x' -> {
                    byte[] records = extension(body, length);
                    longName = pax(records, "path").orElse(longName);
                    longSize = pax(records, "size").map(TarReader::decimal).orElse(longSize);
                }
                case 'g', 'K', '5' -> {
                    if (type == '5') {
                        requireSafe(name);
                        longName = null;
                        longSize = -1;
                    }
                }
                case 0, '0', '7' -> {
                    requireSafe(name);
                    return Optional.of(new Member(name, body, length));
                }
                default ->
                    throw new RejectedException(
                            RejectReason.UnsupportedMember, shown(name) + " is of type '" + (char) type + "', no file");
            }
        }
        return Optional.empty();
    }

    private void readHeader() throws IOException, RejectedException {
        block.clear();
        if (size - at < BLOCK) {
            ended = true;
            throw at == 0
                    ? new RejectedException(RejectReason.NotATar, "only " + size + " bytes")
                    : new RejectedException(RejectReason.TruncatedTar, "ends inside a header at byte " + size);
        }
        read(block, at);
    }

    private void read(ByteBuffer into, long from) throws IOException {
        while (into.hasRemaining()) {
            int n = channel.read(into, from + into.position());
            if (n < 0) {
                throw new EOFException("the file became shorter while it was read");
            }
        }
    }

    private boolean isZero() {
        for (int i = 0; i < BLOCK; i++) {
            if (block.get(i) != 0) {
                return false;
            }
        }
        return true;
    }

    private void checkHeader() throws RejectedException {
        int unsigned = 0;
        int signed = 0;
        for (int i = 0; i < BLOCK; i++) {
            byte b = i >= 148 && i < 156 ? (byte) ' ' : block.get(i);
            unsigned += b & 0xFF;
            signed += b;
        }
        long want;
        try {
            want = number(148, 8);
        } catch (RejectedException e) {
            want = -1;
        }
        if (want == unsigned || want == signed) {
            return;
        }
        ended = true;
        if (at == 0) {
            String kind = compression();
            if (!kind.isEmpty()) {
                throw new RejectedException(
                        RejectReason.CompressedTar,
                        "the file is compressed with " + kind + "; unpack it, members are read in place");
            }
            throw new RejectedException(RejectReason.NotATar, "the first header has no valid checksum");
        }
        throw new RejectedException(RejectReason.NotATar, "damaged header at byte " + at);
    }

    private String compression() {
        int a = block.get(0) & 0xFF;
        int b = block.get(1) & 0xFF;
        if (a == 0x1F && b == 0x8B) {
            return "gzip";
        }
        if (a == 0x28 && b == 0xB5) {
            return "zstd";
        }
        if (a == 'B' && b == 'Z') {
            return "bzip2";
        }
        return a == 0xFD && b == '7' ? "xz" : a == 'P' && b == 'K' ? "zip" : "";
    }

    private String name() {
        String name = text(bytes(0, 100));
        boolean ustar = text(bytes(257, 6)).equals("ustar");
        String prefix = ustar ? text(bytes(345, 155)) : "";
        return prefix.isEmpty() ? name : prefix + "/" + name;
    }

    private byte[] bytes(int from, int length) {
        byte[] bytes = new byte[length];
        block.get(from, bytes);
        return bytes;
    }

    /** Octal digits, or GNU's base 256 with the top bit set. */
    private long number(int from, int length) throws RejectedException {
        if ((block.get(from) & 0x80) != 0) {
            long value = block.get(from) & 0x7F;
            for (int i = 1; i < length; i++) {
                if (value > Long.MAX_VALUE >> 8) {
                    throw broken("a size beyond 2^63");
                }
                value = value << 8 | block.get(from + i) & 0xFF;
            }
            if ((block.get(from) & 0x40) != 0) {
                throw broken("a negative size");
            }
            return value;
        }
        String digits = text(bytes(from, length)).trim();
        if (digits.isEmpty()) {
            return 0;
        }
        long value = 0;
        for (char c : digits.toCharArray()) {
            if (c < '0' || c > '7') {
                throw broken("'" + shown(digits) + "' where a number belongs");
            }
            value = value << 3 | c - '0';
        }
        return value;
    }

    private RejectedException broken(String what) {
        ended = true;
        return new RejectedException(RejectReason.NotATar, what + " in the header at byte " + at);
    }

    private byte[] extension(long from, long length) throws IOException, RejectedException {
        if (length > MAX_EXTENSION) {
            throw broken("an extension of " + length + " bytes");
        }
        byte[] bytes = new byte[(int) length];
        read(ByteBuffer.wrap(bytes), from);
        return bytes;
    }

    /** Records {@code LENGTH KEY=VALUE\n}; the last one of a key counts. */
    private Optional<String> pax(byte[] records, String key) throws RejectedException {
        Optional<String> value = Optional.empty();
        int from = 0;
        while (from < records.length && records[from] != 0) {
            int space = from;
            int length = 0;
            while (space < records.length && records[space] >= '0' && records[space] <= '9' && length < MAX_EXTENSION) {
                length = 10 * length + records[space++] - '0';
            }
            boolean whole = space > from
                    && space < records.length
                    && records[space] == ' '
                    && length > space - from + 1
                    && length <= records.length - from
                    && records[from + length - 1] == '\n';
            if (!whole) {
                throw broken("a damaged pax record");
            }
            String record = new String(records, space + 1, from + length - space - 2, StandardCharsets.UTF_8);
            if (record.startsWith(key + "=")) {
                value = Optional.of(record.substring(key.length() + 1));
            }
            from += length;
        }
        return value;
    }

    private static long decimal(String digits) {
        return digits.matches("\\d{1,18}") ? Long.parseLong(digits) : Long.MAX_VALUE;
    }

    private static void requireSafe(String name) throws RejectedException {
        boolean climbs = name.equals("..") || name.startsWith("../") || name.contains("/../") || name.endsWith("/..");
        if (name.startsWith("/") || climbs) {
            throw new RejectedException(
                    RejectReason.UnsafeName, shown(name) + " is absolute or climbs out of the archive");
        }
    }

    /** Up to the first zero byte. */
    private static String text(byte[] bytes) {
        int end = 0;
        while (end < bytes.length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8);
    }

    private static String shown(String name) {
        return name.length() <= 200 ? name : name.substring(0, 200) + "...";
    }
}
