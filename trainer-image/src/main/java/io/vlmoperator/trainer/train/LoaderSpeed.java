package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.model.Batch;

/** How fast micro-batches are ready ahead of training, when training never makes the loader wait. */
public final class LoaderSpeed {
    private LoaderSpeed() {}

    /**
     * What was measured.
     *
     * @param images in all micro-batches
     * @param imagesPerSecond of wall time
     */
    public record Result(long images, double imagesPerSecond) {}

    /**
     * Takes the micro-batches of so many steps as fast as they come, after a first step that warms everything up.
     *
     * @param global rows of a step
     * @param micro rows of a micro-batch
     */
    public static Result measure(RowSource rows, int global, int micro, int steps) {
        Loader.Share share = Loader.Share.of(global, micro, 0, 1);
        try (Loader loader = new Loader(rows, share, 0, steps + 1L)) {
            take(loader, share.count());
            long start = System.nanoTime();
            long images = 0;
            for (int step = 0; step < steps; step++) {
                images += take(loader, share.count());
            }
            return new Result(images, images * 1e9 / (System.nanoTime() - start));
        }
    }

    private static long take(Loader loader, int count) {
        long images = 0;
        for (int i = 0; i < count; i++) {
            Batch batch = loader.next();
            images += batch.imageCount();
        }
        return images;
    }
}
