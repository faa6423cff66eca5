package io.vlmoperator.api.spec;

/**
 * Random changes of the training images, a pure function of seed, epoch and sample. All are off by default.
 *
 * @param shift largest shift as a share of the side, each axis, uniform in [-shift, shift]; the uncovered border is white
 * @param scale largest relative change of size, uniform in [1-scale, 1+scale]
 * @param brightness factor on all channels, uniform in [1-b, 1+b]
 * @param contrast factor about the picture's mean gray, uniform in [1-c, 1+c]
 * @param saturation factor about each pixel's gray, uniform in [1-s, 1+s]
 * @param grayscale share of pictures turned gray
 */
public record Augment(
        Double shift, Double scale, Double brightness, Double contrast, Double saturation, Double grayscale) {
    public static final Augment NONE = new Augment(null, null, null, null, null, null);

    public Augment {
        shift = Defaults.or(shift, 0.0);
        scale = Defaults.or(scale, 0.0);
        brightness = Defaults.or(brightness, 0.0);
        contrast = Defaults.or(contrast, 0.0);
        saturation = Defaults.or(saturation, 0.0);
        grayscale = Defaults.or(grayscale, 0.0);
    }
}
