package io.vlmoperator.emoji;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import javax.imageio.ImageIO;

/** One drawing on white: a PNG of opaque RGB pixels, and the digest of those pixels. */
final class Drawing {
    /** Both sides of every drawing, in pixels. */
    static final int SIDE = 64;

    private static final int WHITE = 255;

    private final byte[] png;
    private final String pixelDigest;

    private Drawing(byte[] png, String pixelDigest) {
        this.png = png;
        this.pixelDigest = pixelDigest;
    }

    /**
     * Draws a PNG with transparency on white.
     *
     * @param where names the file in messages
     * @throws EmojiException when the bytes are no PNG of 64 by 64 pixels
     */
    static Drawing onWhite(byte[] source, String where) {
        BufferedImage image;
        try {
            image = ImageIO.read(new ByteArrayInputStream(source));
        } catch (IOException e) {
            throw new EmojiException(where + " is no readable PNG: " + e.getMessage() + ".", e);
        }
        if (image == null) {
            throw new EmojiException(where + " is no PNG.");
        }
        if (image.getWidth() != SIDE || image.getHeight() != SIDE) {
            throw new EmojiException(
                    where + " has " + image.getWidth() + "x" + image.getHeight() + " pixels, 64x64 are expected.");
        }
        BufferedImage opaque = new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_INT_RGB);
        byte[] pixels = new byte[3 * SIDE * SIDE];
        int at = 0;
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                int argb = image.getRGB(x, y);
                int alpha = argb >>> 24;
                int red = blend(argb >> 16 & 0xff, alpha);
                int green = blend(argb >> 8 & 0xff, alpha);
                int blue = blend(argb & 0xff, alpha);
                opaque.setRGB(x, y, red << 16 | green << 8 | blue);
                pixels[at++] = (byte) red;
                pixels[at++] = (byte) green;
                pixels[at++] = (byte) blue;
            }
        }
        return new Drawing(encode(opaque), Digests.sha256(pixels));
    }

    /** The digest of a PNG's pixels, three bytes each, row by row: equal for equal pictures however they are compressed. */
    static String pixelDigest(byte[] png) {
        return onWhite(png, "image").pixelDigest;
    }

    private static int blend(int value, int alpha) {
        return (value * alpha + WHITE * (255 - alpha) + 127) / 255;
    }

    private static byte[] encode(BufferedImage image) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            if (!ImageIO.write(image, "png", out)) {
                throw new IllegalStateException("this Java platform writes no PNG");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    /** The file's bytes; callers must not change them. */
    byte[] png() {
        return png;
    }

    String pixelDigest() {
        return pixelDigest;
    }
}
