package io.vlmoperator.trainer.data;

import java.nio.charset.StandardCharsets;

/**
 * What the first bytes of a picture say, read without decoding it.
 *
 * @param colour how a JPEG's components are to be understood; Unknown for other formats
 */
record ImageHeader(Format format, int width, int height, Colour colour) {
    /** More pixels than this are refused unread (about 200 MB decoded). */
    static final long MAX_PIXELS = 64L << 20;
    /** Pixels of a side, libpng's own bound: decoders hold whole lines, and one of 64 Mi pixels may be half a gibibyte. */
    private static final int MAX_SIDE = 1_000_000;

    /** A format that is read. */
    enum Format {
        Jpeg,
        Png,
        Gif,
        /** Where libwebp is found. */
        WebP
    }

    /** Colour space of a JPEG's components, by libjpeg's rules. */
    enum Colour {
        Unknown,
        Gray,
        Rgb,
        Ycc,
        Cmyk,
        Ycck
    }

    /**
     * @throws RejectedException ImageUndecodable, ImageUnsupported, ImageTooLarge
     */
    static ImageHeader read(byte[] data) throws RejectedException {
        ImageHeader header;
        if (starts(data, 0, "\u0089PNG\r\n\u001a\n")) {
            header = png(data);
        } else if (data.length > 2 && u8(data, 0) == 0xFF && u8(data, 1) == 0xD8 && u8(data, 2) == 0xFF) {
            header = jpeg(data);
        } else if (starts(data, 0, "GIF87a") || starts(data, 0, "GIF89a")) {
            require(data.length >= 13, "GIF ends inside its header");
            header = new ImageHeader(
                    Format.Gif, u8(data, 6) | u8(data, 7) << 8, u8(data, 8) | u8(data, 9) << 8, Colour.Unknown);
        } else if (starts(data, 0, "RIFF") && starts(data, 8, "WEBP")) {
            header = webp(data);
        } else {
            throw unknown(data);
        }
        require(header.width > 0 && header.height > 0, "a side of 0 pixels");
        requireSize(header.width, header.height);
        return header;
    }

    /** Of a picture, or of what is decoded on the way to it. */
    static void requireSize(int width, int height) throws RejectedException {
        if ((long) width * height > MAX_PIXELS) {
            throw new RejectedException(
                    RejectReason.ImageTooLarge, width + " x " + height + " pixels are more than " + MAX_PIXELS);
        }
        if (Math.max(width, height) > MAX_SIDE) {
            throw new RejectedException(
                    RejectReason.ImageTooLarge,
                    width + " x " + height + ": a side is longer than " + MAX_SIDE + " pixels");
        }
    }

    private static RejectedException unknown(byte[] data) {
        if (starts(data, 0, "BM")) {
            return new RejectedException(RejectReason.ImageUnsupported, "BMP is not read; convert to PNG or JPEG");
        }
        if (starts(data, 0, "II*\0") || starts(data, 0, "MM\0*")) {
            return new RejectedException(RejectReason.ImageUnsupported, "TIFF is not read; convert to PNG or JPEG");
        }
        return new RejectedException(
                RejectReason.ImageUndecodable,
                data.length == 0 ? "no bytes" : "no picture: the first bytes are those of no known format");
    }

    private static ImageHeader png(byte[] data) throws RejectedException {
        require(data.length >= 33 && starts(data, 12, "IHDR"), "PNG ends inside its header");
        int width = i32(data, 16);
        int height = i32(data, 20);
        require(width > 0 && height > 0, "PNG with sides " + width + " x " + height);
        return new ImageHeader(Format.Png, width, height, Colour.Unknown);
    }

    /** The first chunk: lossy, lossless, or extended with a canvas. */
    private static ImageHeader webp(byte[] data) throws RejectedException {
        require(data.length >= 30, "WebP ends inside its header");
        int width;
        int height;
        if (starts(data, 12, "VP8 ")) {
            require(u8(data, 23) == 0x9D && u8(data, 24) == 0x01 && u8(data, 25) == 0x2A, "WebP without a key frame");
            width = (u8(data, 26) | u8(data, 27) << 8) & 0x3FFF;
            height = (u8(data, 28) | u8(data, 29) << 8) & 0x3FFF;
        } else if (starts(data, 12, "VP8L")) {
            require(u8(data, 20) == 0x2F, "WebP without a lossless picture");
            int bits = u8(data, 21) | u8(data, 22) << 8 | u8(data, 23) << 16 | u8(data, 24) << 24;
            width = (bits & 0x3FFF) + 1;
            height = (bits >>> 14 & 0x3FFF) + 1;
        } else if (starts(data, 12, "VP8X")) {
            if ((u8(data, 20) & 2) != 0) {
                throw new RejectedException(
                        RejectReason.ImageUnsupported, "animated WebP is not read; convert to PNG or JPEG");
            }
            width = (u8(data, 24) | u8(data, 25) << 8 | u8(data, 26) << 16) + 1;
            height = (u8(data, 27) | u8(data, 28) << 8 | u8(data, 29) << 16) + 1;
        } else {
            throw new RejectedException(RejectReason.ImageUndecodable, "WebP without a picture");
        }
        return new ImageHeader(Format.WebP, width, height, Colour.Unknown);
    }

    /** Walks the segments up to the frame header. */
    private static ImageHeader jpeg(byte[] data) throws RejectedException {
        boolean jfif = false;
        int adobe = -1;
        int at = 2;
        while (true) {
            require(at + 4 <= data.length, "JPEG ends before its frame header");
            if (u8(data, at) != 0xFF) {
                at++; // garbage between segments, as libjpeg skips it
                continue;
            }
            int marker = u8(data, at + 1);
            if (marker == 0xFF) {
                at++;
                continue;
            }
            if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) {
                at += 2;
                continue;
            }
            require(marker != 0xD9 && marker != 0xDA, "JPEG without a frame header");
            int length = u8(data, at + 2) << 8 | u8(data, at + 3);
            require(length >= 2, "JPEG segment of length " + length);
            int body = at + 4;
            if (marker == 0xE0 && starts(data, body, "JFIF\0")) {
                jfif = true;
            } else if (marker == 0xEE && length >= 14 && starts(data, body, "Adobe") && body + 12 <= data.length) {
                adobe = u8(data, body + 11);
            } else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
                require(body + 6 <= data.length, "JPEG ends inside its frame header");
                int precision = u8(data, body);
                if (precision != 8) {
                    throw new RejectedException(
                            RejectReason.ImageUnsupported, "JPEG of " + precision + " bits; only 8 are read");
                }
                int components = u8(data, body + 5);
                require(body + 6 + 3 * components <= data.length, "JPEG ends inside its frame header");
                return new ImageHeader(
                        Format.Jpeg,
                        u8(data, body + 3) << 8 | u8(data, body + 4),
                        u8(data, body + 1) << 8 | u8(data, body + 2),
                        colour(data, body + 6, components, jfif, adobe));
            }
            at += 2 + length;
        }
    }

    private static Colour colour(byte[] data, int table, int components, boolean jfif, int adobe)
            throws RejectedException {
        switch (components) {
            case 1:
                return Colour.Gray;
            case 3:
                if (jfif) {
                    return Colour.Ycc;
                }
                if (adobe >= 0) {
                    return adobe == 0 ? Colour.Rgb : Colour.Ycc;
                }
                boolean rgb = u8(data, table) == 'R' && u8(data, table + 3) == 'G' && u8(data, table + 6) == 'B';
                return rgb ? Colour.Rgb : Colour.Ycc;
            case 4:
                return adobe == 2 ? Colour.Ycck : Colour.Cmyk;
            default:
                throw new RejectedException(RejectReason.ImageUnsupported, "JPEG of " + components + " components");
        }
    }

    private static void require(boolean holds, String detail) throws RejectedException {
        if (!holds) {
            throw new RejectedException(RejectReason.ImageUndecodable, detail);
        }
    }

    private static boolean starts(byte[] data, int at, String magic) {
        byte[] bytes = magic.getBytes(StandardCharsets.ISO_8859_1);
        if (at + bytes.length > data.length) {
            return false;
        }
        for (int i = 0; i < bytes.length; i++) {
            if (data[at + i] != bytes[i]) {
                return false;
            }
        }
        return true;
    }

    private static int u8(byte[] data, int at) {
        return data[at] & 0xFF;
    }

    private static int i32(byte[] data, int at) {
        return u8(data, at) << 24 | u8(data, at + 1) << 16 | u8(data, at + 2) << 8 | u8(data, at + 3);
    }
}
