package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.TrainerException;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads a NumPy file of a one-dimensional structured array of two little-endian unsigned 64-bit numbers: DataComp's lists of uids, the upper
 * half of the 128 bits first (NumPy's NEP 1 is the format).
 */
final class NumpyUids {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int MAX_HEADER = 1 << 16;
    /** Bytes that are read at a time; whole uids. */
    private static final int BLOCK = 1 << 16;

    private static final String STRING = "(?:'[^']*'|\"[^\"]*\")";
    private static final Pattern DESCR = Pattern.compile("[\"']descr[\"']\\s*:\\s*(\\[[^\\]]*]|" + STRING + ")");
    private static final Pattern TWO_UNSIGNED =
            Pattern.compile("\\[\\s*\\(\\s*" + STRING + "\\s*,\\s*['\"]<u8['\"]\\s*,?\\s*\\)\\s*,\\s*\\(\\s*" + STRING
                    + "\\s*,\\s*['\"]<u8['\"]\\s*,?\\s*\\)\\s*,?\\s*]");
    private static final Pattern SHAPE = Pattern.compile("[\"']shape[\"']\\s*:\\s*\\(\\s*(\\d{1,15})\\s*,?\\s*\\)");

    private NumpyUids() {}

    /** Receives the uids in the file's order. */
    interface Sink {
        void uid(long high, long low) throws IOException;
    }

    /**
     * @throws TrainerException InvalidData when the file is no such array
     */
    static void read(Path file, Sink sink) throws IOException {
        try (InputStream raw = Files.newInputStream(file);
                DataInputStream in = new DataInputStream(new BufferedInputStream(raw, 1 << 16))) {
            byte[] start = in.readNBytes(8);
            if (start.length < 8 || !Arrays.equals(start, 0, 6, MAGIC, 0, 6)) {
                throw wrong(file, "it does not begin as a NumPy file");
            }
            int version = start[6];
            if (version < 1 || version > 3) {
                throw wrong(file, "its NumPy format version is " + version + ", 1 to 3 are known");
            }
            byte[] lengthBytes = in.readNBytes(version == 1 ? 2 : 4);
            if (lengthBytes.length < (version == 1 ? 2 : 4)) {
                throw wrong(file, "it ends inside its header");
            }
            ByteBuffer length = ByteBuffer.wrap(lengthBytes).order(ByteOrder.LITTLE_ENDIAN);
            long size = version == 1 ? length.getShort() & 0xFFFF : length.getInt() & 0xFFFFFFFFL;
            if (size > MAX_HEADER) {
                throw wrong(file, "its header has " + size + " bytes, at most " + MAX_HEADER + " are read");
            }
            byte[] header = in.readNBytes((int) size);
            if (header.length < size) {
                throw wrong(file, "it ends inside its header");
            }
            long count = count(file, new String(header, StandardCharsets.UTF_8));
            long want = start.length + lengthBytes.length + size + 16 * count;
            if (Files.size(file) != want) {
                throw wrong(file, "it has " + Files.size(file) + " bytes, but " + count + " uids end at byte " + want);
            }
            ByteBuffer block = ByteBuffer.allocate(BLOCK).order(ByteOrder.LITTLE_ENDIAN);
            for (long left = 16 * count; left > 0; left -= block.limit()) {
                block.clear().limit((int) Math.min(BLOCK, left));
                in.readFully(block.array(), 0, block.limit());
                while (block.hasRemaining()) {
                    sink.uid(block.getLong(), block.getLong());
                }
            }
        } catch (EOFException e) {
            throw wrong(file, "it became shorter while it was read");
        }
    }

    private static long count(Path file, String header) {
        Matcher type = DESCR.matcher(header);
        if (!type.find()) {
            throw wrong(file, "its header names no type");
        }
        if (!TWO_UNSIGNED.matcher(type.group(1)).matches()) {
            throw wrong(file, "its type is " + IndexRow.cut(type.group(1)));
        }
        Matcher shape = SHAPE.matcher(header);
        if (!shape.find()) {
            throw wrong(file, "it is no array of one dimension");
        }
        return Long.parseLong(shape.group(1));
    }

    private static TrainerException wrong(Path file, String what) {
        return TrainerException.data("the uid list " + file + " can't be used: " + what
                + "; meant is a one-dimensional array of numpy.dtype('u8,u8'), each uid's upper half first");
    }
}
