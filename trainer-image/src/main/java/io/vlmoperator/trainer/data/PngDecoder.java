package io.vlmoperator.trainer.data;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * PNG to RGB without blending (W3C PNG specification, third edition). It is here because it is several times as fast on small pictures as
 * the JDK's reader and says exactly what is wrong with a damaged file.
 */
final class PngDecoder {
    private static final int[] X_START = {0, 4, 0, 2, 0, 1, 0};
    private static final int[] Y_START = {0, 0, 4, 0, 2, 0, 1};
    private static final int[] X_STEP = {8, 8, 4, 4, 2, 2, 1};
    private static final int[] Y_STEP = {8, 8, 8, 4, 4, 2, 2};

    private final byte[] data;
    private final int width;
    private final int height;
    private final int depth;
    private final int colour;
    private final int channels;
    private final byte[] rgb;
    private byte[] palette = new byte[0];
    private int idatStart = -1;
    private int idatNext;
    private int idatEnd;

    private PngDecoder(byte[] data) throws RejectedException {
        this.data = data;
        // The caller has checked signature, sides and the number of pixels.
        width = i32(16);
        height = i32(20);
        depth = data[24] & 0xFF;
        colour = data[25] & 0xFF;
        boolean known = switch (colour) {
            case 0 -> depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
            case 3 -> depth == 1 || depth == 2 || depth == 4 || depth == 8;
            case 2, 4, 6 -> depth == 8 || depth == 16;
            default -> false;
        };
        require(known, "colour type " + colour + " with " + depth + " bits");
        require(data[26] == 0 && data[27] == 0, "unknown compression or filter method");
        require(data[28] == 0 || data[28] == 1, "unknown interlace method " + data[28]);
        channels = switch (colour) {
            case 2 -> 3;
            case 4 -> 2;
            case 6 -> 4;
            default -> 1;
        };
        rgb = new byte[3 * width * height];
    }

    static Pixels decode(byte[] data) throws RejectedException {
        PngDecoder decoder = new PngDecoder(data);
        decoder.chunks();
        decoder.pixels();
        return new Pixels(decoder.width, decoder.height, decoder.rgb);
    }

    /** Finds the palette and the first data chunk, and checks every chunk up to the last data chunk. */
    private void chunks() throws RejectedException {
        int at = 8;
        while (true) {
            require(at + 12 <= data.length, "cut before its end");
            int length = i32(at);
            require(length >= 0 && length <= data.length - at - 12, "cut inside a chunk");
            String type = new String(data, at + 4, 4, StandardCharsets.ISO_8859_1);
            boolean critical = Character.isUpperCase(type.charAt(0));
            if (critical) {
                CRC32 crc = new CRC32();
                crc.update(data, at + 4, length + 4);
                require((int) crc.getValue() == i32(at + 8 + length), "wrong checksum of chunk " + type);
            }
            switch (type) {
                case "PLTE" -> {
                    require(length > 0 && length % 3 == 0 && length <= 768, "palette of " + length + " bytes");
                    palette = Arrays.copyOfRange(data, at + 8, at + 8 + length);
                }
                case "IDAT" -> {
                    if (idatStart < 0) {
                        idatStart = at;
                    }
                }
                case "IEND" -> {
                    require(idatStart >= 0, "no pixels");
                    require(colour != 3 || palette.length > 0, "no palette");
                    return;
                }
                default -> require(!critical || type.equals("IHDR"), "unknown critical chunk");
            }
            at += 12 + length;
        }
    }

    private void pixels() throws RejectedException {
        Inflater inflater = new Inflater();
        idatNext = idatStart;
        try {
            if (data[28] == 0) {
                pass(inflater, 0, 0, 1, 1);
            } else {
                for (int p = 0; p < 7; p++) {
                    pass(inflater, X_START[p], Y_START[p], X_STEP[p], Y_STEP[p]);
                }
            }
        } finally {
            inflater.end();
        }
    }

    private void pass(Inflater inflater, int x0, int y0, int dx, int dy) throws RejectedException {
        int columns = (width - x0 + dx - 1) / dx;
        int rows = (height - y0 + dy - 1) / dy;
        if (columns <= 0 || rows <= 0) {
            return;
        }
        int pixelBytes = Math.max(1, channels * depth / 8);
        int lineBytes = (int) (((long) columns * channels * depth + 7) / 8);
        byte[] line = new byte[1 + lineBytes];
        byte[] above = new byte[1 + lineBytes];
        for (int y = 0; y < rows; y++) {
            inflate(inflater, line);
            unfilter(line, above, pixelBytes);
            int out = 3 * ((y0 + y * dy) * width + x0);
            put(line, columns, out, 3 * dx);
            byte[] swap = above;
            above = line;
            line = swap;
        }
    }

    private void inflate(Inflater inflater, byte[] line) throws RejectedException {
        int have = 0;
        try {
            while (have < line.length) {
                int n = inflater.inflate(line, have, line.length - have);
                have += n;
                if (n == 0) {
                    require(!inflater.finished(), "fewer pixels than its header says");
                    require(!inflater.needsDictionary(), "compressed data needs a dictionary");
                    if (inflater.needsInput()) {
                        require(nextData(inflater), "fewer pixels than its header says");
                    }
                }
            }
        } catch (DataFormatException e) {
            throw new RejectedException(RejectReason.ImageUndecodable, "PNG: broken data stream: " + e.getMessage());
        }
    }

    /** Data chunks follow one another; any other chunk ends them. */
    private boolean nextData(Inflater inflater) {
        int length = i32(idatNext);
        if (data[idatNext + 4] != 'I' || data[idatNext + 5] != 'D' || data[idatNext + 6] != 'A') {
            return false;
        }
        idatEnd = idatNext + 8 + length;
        inflater.setInput(data, idatNext + 8, length);
        idatNext = idatEnd + 4;
        return true;
    }

    private static void unfilter(byte[] line, byte[] above, int step) throws RejectedException {
        int n = line.length;
        switch (line[0]) {
            case 0 -> {}
            case 1 -> {
                for (int i = 1 + step; i < n; i++) {
                    line[i] += line[i - step];
                }
            }
            case 2 -> {
                for (int i = 1; i < n; i++) {
                    line[i] += above[i];
                }
            }
            case 3 -> {
                for (int i = 1; i < n; i++) {
                    int left = i > step ? line[i - step] & 0xFF : 0;
                    line[i] += (byte) ((left + (above[i] & 0xFF)) >> 1);
                }
            }
            case 4 -> {
                for (int i = 1; i < n; i++) {
                    int left = i > step ? line[i - step] & 0xFF : 0;
                    int corner = i > step ? above[i - step] & 0xFF : 0;
                    line[i] += (byte) paeth(left, above[i] & 0xFF, corner);
                }
            }
            default ->
                throw new RejectedException(RejectReason.ImageUndecodable, "PNG: unknown line filter " + line[0]);
        }
    }

    private static int paeth(int a, int b, int c) {
        int pa = Math.abs(b - c);
        int pb = Math.abs(a - c);
        int pc = Math.abs(a + b - 2 * c);
        return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    }

    private void put(byte[] line, int columns, int out, int step) {
        int wide = depth == 16 ? 2 : 1;
        for (int x = 0, in = 1; x < columns; x++, out += step, in += channels * wide) {
            switch (colour) {
                case 0 -> {
                    int v = depth == 8
                            ? line[in] & 0xFF
                            : depth == 16
                                    ? Math.min(255, (line[in] & 0xFF) << 8 | line[in + 1] & 0xFF)
                                    : bits(line, x) * (255 / ((1 << depth) - 1));
                    rgb[out] = rgb[out + 1] = rgb[out + 2] = (byte) v;
                }
                case 3 -> {
                    // An index behind the palette's end is black, as in Pillow.
                    int index = 3 * (depth == 8 ? line[in] & 0xFF : bits(line, x));
                    if (index < palette.length) {
                        rgb[out] = palette[index];
                        rgb[out + 1] = palette[index + 1];
                        rgb[out + 2] = palette[index + 2];
                    }
                }
                case 4 -> rgb[out] = rgb[out + 1] = rgb[out + 2] = line[in];
                default -> {
                    rgb[out] = line[in];
                    rgb[out + 1] = line[in + wide];
                    rgb[out + 2] = line[in + 2 * wide];
                }
            }
        }
    }

    private int bits(byte[] line, int x) {
        int bit = x * depth;
        return line[1 + (bit >> 3)] >> (8 - depth - (bit & 7)) & ((1 << depth) - 1);
    }

    private int i32(int at) {
        return (data[at] & 0xFF) << 24 | (data[at + 1] & 0xFF) << 16 | (data[at + 2] & 0xFF) << 8 | data[at + 3] & 0xFF;
    }

    private static void require(boolean holds, String detail) throws RejectedException {
        if (!holds) {
            throw new RejectedException(RejectReason.ImageUndecodable, "PNG: " + detail);
        }
    }
}
