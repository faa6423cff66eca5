package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Augment;
import java.util.SplittableRandom;

/**
 * Random changes of a training image, written as normalised floats. A pure function of its seed. Geometry first: the source place of the
 * output place p, both in shares of the side from the centre, is {@code (p - shift) / scale}, read bilinearly, white outside. Then
 * brightness, contrast about the picture's mean gray, saturation about each pixel's gray, and gray.
 */
final class Augmenter {
    private static final float RED = 0.299f;
    private static final float GREEN = 0.587f;
    private static final float BLUE = 0.114f;

    private final Augment augment;
    private final boolean geometry;
    private final boolean colour;

    Augmenter(Augment augment) {
        this.augment = augment;
        geometry = augment.shift() > 0 || augment.scale() > 0;
        colour = augment.brightness() > 0
                || augment.contrast() > 0
                || augment.saturation() > 0
                || augment.grayscale() > 0;
    }

    boolean changes() {
        return geometry || colour;
    }

    /** Writes the changed picture to {@code out} from {@code at} on, channels first. */
    void toCHW(Pixels image, long seed, float[] out, int at) {
        // Every number is drawn whatever is switched on, so that one switch does not change what another does.
        SplittableRandom random = new SplittableRandom(seed);
        float x = (float) around(random, 0, augment.shift());
        float y = (float) around(random, 0, augment.shift());
        float scale = (float) around(random, 1, augment.scale());
        float brightness = (float) around(random, 1, augment.brightness());
        float contrast = (float) around(random, 1, augment.contrast());
        float saturation = (float) around(random, 1, augment.saturation());
        boolean gray = random.nextDouble() < augment.grayscale();
        if (geometry) {
            move(image, x, y, Math.max(scale, 0.01f), out, at);
        } else {
            copy(image, out, at);
        }
        if (colour) {
            tint(out, at, image.width() * image.height(), brightness, contrast, gray ? 0 : saturation);
        }
        int end = at + 3 * image.width() * image.height();
        for (int i = at; i < end; i++) {
            out[i] = (Math.clamp(out[i], 0f, 255f) / 255f - 0.5f) / 0.5f;
        }
    }

    private static double around(SplittableRandom random, double centre, double reach) {
        return centre + (2 * random.nextDouble() - 1) * reach;
    }

    private static void copy(Pixels image, float[] out, int at) {
        byte[] rgb = image.rgbHWC();
        int plane = image.width() * image.height();
        for (int p = 0, i = 0; p < plane; p++, i += 3) {
            out[at + p] = rgb[i] & 0xFF;
            out[at + plane + p] = rgb[i + 1] & 0xFF;
            out[at + 2 * plane + p] = rgb[i + 2] & 0xFF;
        }
    }

    private static void move(Pixels image, float shiftX, float shiftY, float scale, float[] out, int at) {
        int width = image.width();
        int height = image.height();
        int plane = width * height;
        for (int y = 0; y < height; y++) {
            float sy = source(y, height, shiftY, scale);
            int y0 = (int) Math.floor(sy);
            float fy = sy - y0;
            for (int x = 0; x < width; x++) {
                float sx = source(x, width, shiftX, scale);
                int x0 = (int) Math.floor(sx);
                float fx = sx - x0;
                int o = at + y * width + x;
                for (int c = 0; c < 3; c++, o += plane) {
                    float above = (1 - fx) * value(image, x0, y0, c) + fx * value(image, x0 + 1, y0, c);
                    float below = (1 - fx) * value(image, x0, y0 + 1, c) + fx * value(image, x0 + 1, y0 + 1, c);
                    out[o] = (1 - fy) * above + fy * below;
                }
            }
        }
    }

    private static float source(int pixel, int side, float shift, float scale) {
        float place = (pixel + 0.5f) / side - 0.5f;
        return ((place - shift) / scale + 0.5f) * side - 0.5f;
    }

    private static float value(Pixels image, int x, int y, int channel) {
        if (x < 0 || y < 0 || x >= image.width() || y >= image.height()) {
            return 255f;
        }
        return image.rgbHWC()[3 * (y * image.width() + x) + channel] & 0xFF;
    }

    private static void tint(float[] out, int at, int plane, float brightness, float contrast, float saturation) {
        double sum = 0;
        for (int p = at; p < at + plane; p++) {
            sum += RED * out[p] + GREEN * out[p + plane] + BLUE * out[p + 2 * plane];
        }
        float mean = (float) (sum / plane) * brightness;
        for (int p = at; p < at + plane; p++) {
            float r = mean + (out[p] * brightness - mean) * contrast;
            float g = mean + (out[p + plane] * brightness - mean) * contrast;
            float b = mean + (out[p + 2 * plane] * brightness - mean) * contrast;
            float gray = RED * r + GREEN * g + BLUE * b;
            out[p] = gray + (r - gray) * saturation;
            out[p + plane] = gray + (g - gray) * saturation;
            out[p + 2 * plane] = gray + (b - gray) * saturation;
        }
    }
}
