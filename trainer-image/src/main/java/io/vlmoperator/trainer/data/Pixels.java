package io.vlmoperator.trainer.data;

/**
 * A picture of 8-bit RGB.
 *
 * @param rgbHWC row by row, three bytes a pixel; handed over, not copied
 */
@SuppressWarnings("ArrayRecordComponent") // megabytes that are handed on, never compared
public record Pixels(int width, int height, byte[] rgbHWC) {
    public Pixels {
        if (width < 1 || height < 1 || rgbHWC.length != 3L * width * height) {
            throw new IllegalArgumentException(rgbHWC.length + " bytes for " + width + " x " + height + " pixels");
        }
    }
}
