package io.vlmoperator.trainer.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Small models and batches for tests. */
final class TinyModels {
    private TinyModels() {}

    static ModelConfig config(boolean tied) {
        return new ModelConfig(
                new LanguageConfig(32, 48, 2, 4, 2, 64, 1e4, 1e-6, tied, 256),
                new VisionConfig(12, 3, 16, 24, 3, 2, 1e-6, -2, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
    }

    /** Samples of the given text lengths and image counts: images first, then text; positions restart. */
    static Batch batch(ModelConfig config, int[] textLengths, int[] images, long seed) {
        Random random = new Random(seed);
        List<Integer> ids = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        List<Integer> positions = new ArrayList<>();
        int[] starts = new int[textLengths.length + 1];
        int imageCount = 0;
        for (int s = 0; s < textLengths.length; s++) {
            int visual = images[s] * config.projector().tokensPerImage();
            for (int t = 0; t < visual + textLengths[s]; t++) {
                int id = t < visual
                        ? Batch.IMAGE
                        : random.nextInt(config.language().vocabSize());
                ids.add(id);
                labels.add(t < visual || random.nextInt(5) == 0 ? Batch.IGNORE : id);
                positions.add(t);
            }
            imageCount += images[s];
            starts[s + 1] = ids.size();
        }
        int side = config.vision().imageSize();
        float[] pixels = new float[imageCount * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(
                array(ids), array(labels), array(positions), starts, pixels, imageCount, imageCount == 0 ? 0 : side);
    }

    /** Two samples with an image each, whose texts count upwards from a random token. */
    static Batch counting(ModelConfig config, long seed) {
        Batch like = batch(config, new int[] {12, 20}, new int[] {1, 1}, seed);
        int[] ids = like.idsT().clone();
        int[] labels = new int[ids.length];
        for (int t = 0; t < ids.length; t++) {
            if (ids[t] != Batch.IMAGE && t > 0 && ids[t - 1] != Batch.IMAGE) {
                ids[t] = (ids[t - 1] + 1) % config.language().vocabSize();
            }
            labels[t] = ids[t] == Batch.IMAGE ? Batch.IGNORE : ids[t];
        }
        return new Batch(
                ids,
                labels,
                like.positionsT(),
                like.segmentStarts(),
                like.pixelsNCHW(),
                like.imageCount(),
                like.imageSize());
    }

    private static int[] array(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }
}
