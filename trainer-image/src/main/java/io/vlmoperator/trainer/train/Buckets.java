package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.dist.Part;
import io.vlmoperator.trainer.model.Weights;
import java.util.ArrayList;
import java.util.List;

/**
 * The flat buffers cut into what is reduced and gathered at a time: a layer each, and layers that are small joined with their neighbours.
 * Gradients become complete from the last bucket to the first, weights are needed from the first to the last.
 */
final class Buckets {
    /** Below this the time of a message, not its size, counts: 1 MiB of FLOAT32. */
    static final long SMALL = 1 << 18;

    /**
     * One of them.
     *
     * @param firstStage the first stage of the forward pass with weights in it; stages from there to the next bucket's are in it
     */
    record Bucket(int firstStage, Weights.Range range) {}

    private final List<Bucket> all;

    private Buckets(List<Bucket> all) {
        this.all = List.copyOf(all);
    }

    /**
     * Of a model.
     *
     * @param stages where the weights of each stage lie, in the order of the forward pass; ranges follow each other without gaps
     * @param small elements up to which a bucket is joined with the next one
     */
    static Buckets of(List<Weights.Range> stages, long small) {
        List<Bucket> buckets = new ArrayList<>();
        long end = 0;
        for (int stage = 0; stage < stages.size(); stage++) {
            Weights.Range range = stages.get(stage);
            if (range.count() == 0) {
                continue;
            }
            if (range.from() != end) {
                throw new IllegalStateException(
                        "stage " + stage + " begins at " + range.from() + ", the one before it ends at " + end);
            }
            end = range.to();
            if (!buckets.isEmpty()
                    && (range.count() <= small || buckets.getLast().range().count() <= small)) {
                Bucket last = buckets.removeLast();
                buckets.add(new Bucket(
                        last.firstStage(), new Weights.Range(last.range().from(), end)));
            } else {
                buckets.add(new Bucket(stage, range));
            }
        }
        return new Buckets(buckets);
    }

    List<Bucket> all() {
        return all;
    }

    /** What a rank owns of each bucket, as a range of the whole buffer; may be empty. */
    List<Weights.Range> owned(int rank, int world) {
        return all.stream()
                .map(bucket -> {
                    Part part = Part.of(bucket.range().count(), rank, world)
                            .plus(bucket.range().from());
                    return new Weights.Range(part.from(), part.to());
                })
                .toList();
    }

    /** The same without empty ranges, neighbours joined: what a rank owns, ascending. */
    static List<Weights.Range> joined(List<Weights.Range> owned) {
        List<Weights.Range> joined = new ArrayList<>();
        for (Weights.Range range : owned) {
            if (range.count() == 0) {
                continue;
            }
            if (!joined.isEmpty() && joined.getLast().to() == range.from()) {
                joined.add(new Weights.Range(joined.removeLast().from(), range.to()));
            } else {
                joined.add(range);
            }
        }
        return joined;
    }
}
