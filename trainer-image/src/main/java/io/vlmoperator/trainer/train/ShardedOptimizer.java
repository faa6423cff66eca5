package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.checkpoint.StateShard;
import io.vlmoperator.trainer.dist.Buffer;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.model.Passage;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * AdamW whose state is divided among the ranks (ZeRO stage 1: Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion
 * Parameter Models", 2020). Every rank computes with all weights and has gradients of all of them; of each bucket it owns one part:
 * of that alone it keeps the moments and the FLOAT32 master weights (which for layers that compute in FLOAT32 are the weights themselves).
 *
 * <p>A step: on the way back of the last micro-batch each bucket's gradients are summed as soon as they are complete, every part at its
 * owner, while the layers before go on ({@link #passage}). Then the owners update their parts, and the updated weights are sent to all
 * others while the next batch is on its way; a stage waits for its own weights only. All ranks do so in the same order, also one that
 * has no rows.
 *
 * <p>With one rank nothing is sent or copied. Used by one thread.
 */
final class ShardedOptimizer implements AutoCloseable {
    private final Communicator communicator;
    private final RunFacts facts;
    private final Weights weights;
    private final Buckets buckets;
    private final Scope scope;
    private final FusedAdamW optimizer;
    private final List<Weights.Range> owned;
    private final List<Tensor> masters = new ArrayList<>();
    private final List<Tensor> gradients = new ArrayList<>();
    /** Owned parts of what layers compute with, where that is not the master weights; else empty. */
    private final List<Tensor> rounded = new ArrayList<>();

    private final Tensor norms;
    private final Communicator.Pending[] arriving;
    private final List<Communicator.Pending> reducing = new ArrayList<>();
    /** Buckets from here on have been handed to the communicator in this step. */
    private int reducedFrom;

    private int arrivedTo;
    private long waitedNanos;

    /**
     * Takes over the weights as they are now: loaded, and cast to what layers compute in. Master weights that are not this rank's are freed.
     *
     * @param stages of the model
     * @param small elements up to which buckets are joined
     * @param facts is told what this rank waits for
     * @param scope owns the state; must outlive this
     */
    ShardedOptimizer(
            Weights weights,
            List<Weights.Range> stages,
            long small,
            Communicator communicator,
            FusedAdamW.Settings settings,
            RunFacts facts,
            Scope scope) {
        this.communicator = communicator;
        this.facts = facts;
        this.weights = weights;
        this.scope = scope;
        buckets = Buckets.of(stages, small);
        owned = Buckets.joined(buckets.owned(communicator.rank(), communicator.world()));
        boolean sharded = communicator.world() > 1 && weights.computeType() == DType.BFLOAT16;
        List<FusedAdamW.Part> parts = new ArrayList<>();
        for (Weights.Range range : owned) {
            Tensor master = slice(weights.values(), range);
            if (sharded) {
                Tensor own = scope.ops().copy(master);
                master.close();
                master = own;
                rounded.add(slice(weights.replica(), range));
            }
            masters.add(master);
            gradients.add(slice(weights.gradients(), range));
            parts.add(new FusedAdamW.Part(range.from(), master, gradients.getLast()));
        }
        if (sharded) {
            weights.dropMasters();
        }
        optimizer = new FusedAdamW(scope, settings, parts, weights.decaySpans());
        norms = scope.zeros(DType.FLOAT32, Math.max(1, owned.size()));
        arriving = new Communicator.Pending[buckets.all().size()];
        arrivedTo = arriving.length;
        reducedFrom = arriving.length;
    }

    private Tensor slice(Tensor flat, Weights.Range range) {
        return scope.ops().slice(flat, 0, range.from(), range.to());
    }

    /** What this rank saves and loads. */
    List<StateShard> state() {
        List<StateShard> shards = new ArrayList<>();
        MemorySegment first = optimizer.firstMoment().address();
        MemorySegment second = optimizer.secondMoment().address();
        long at = 0;
        for (int i = 0; i < owned.size(); i++) {
            long bytes = owned.get(i).count() * Float.BYTES;
            shards.add(new StateShard(
                    owned.get(i).from(),
                    masters.get(i).address(),
                    first.asSlice(at, bytes),
                    second.asSlice(at, bytes)));
            at += bytes;
        }
        return shards;
    }

    /** Zeroes the gradients. */
    void begin() {
        reducedFrom = arriving.length;
        scope.ops().zero(weights.gradients());
    }

    /** To go through every micro-batch with: stages wait for their weights; on the last one gradients are summed as they become complete. */
    Passage passage(boolean last) {
        return new Passage() {
            @Override
            public void entering(int stage) {
                arrived(stage);
            }

            @Override
            public void left(int stage) {
                if (last) {
                    reduceFrom(stage);
                }
            }
        };
    }

    /** Waits for all weights that the stage reads, and those of the stages before it. */
    private void arrived(int stage) {
        while (arrivedTo < arriving.length && buckets.all().get(arrivedTo).firstStage() <= stage) {
            await(arriving[arrivedTo], "the all-gather of bucket ", arrivedTo);
            arrivedTo++;
        }
    }

    /** The gradients of all stages from this one on are complete. */
    private void reduceFrom(int stage) {
        while (reducedFrom > 0 && buckets.all().get(reducedFrom - 1).firstStage() >= stage) {
            reducedFrom--;
            if (communicator.world() > 1) {
                reducing.add(communicator.reduceScatterSum(
                        buffer(weights.gradients(), buckets.all().get(reducedFrom))));
            }
        }
    }

    private static Buffer buffer(Tensor flat, Buckets.Bucket bucket) {
        return new Buffer(flat.address(), flat.dtype())
                .slice(bucket.range().from(), bucket.range().to());
    }

    private void await(Communicator.Pending pending, String what, int bucket) {
        if (communicator.world() == 1) {
            pending.await();
            return;
        }
        long start = System.nanoTime();
        String before = facts.doing("waiting for " + what + (bucket + 1) + " of " + arriving.length);
        pending.await();
        facts.doing(before);
        waitedNanos += System.nanoTime() - start;
    }

    /**
     * Sums what has not been summed yet and waits for the sums; reads nothing.
     *
     * @return the norms of the summed gradients that this rank owns, one for each piece, [P] (0 where it owns none)
     */
    Tensor reduced() {
        reduceFrom(0);
        for (int i = 0; i < reducing.size(); i++) {
            // The last bucket's gradients are complete first.
            await(reducing.get(i), "the reduce-scatter of bucket ", arriving.length - 1 - i);
        }
        reducing.clear();
        // Operations end in the order of their calls: what was sent before has arrived.
        arrivedTo = arriving.length;
        try (Scope local = scope.child()) {
            for (int i = 0; i < owned.size(); i++) {
                local.ops()
                        .copyInto(
                                local.ops().slice(norms, 0, i, i + 1),
                                local.ops().norm(gradients.get(i)));
            }
        }
        return norms;
    }

    /**
     * Updates the weights and starts to send them around.
     *
     * @param number of the update, from 1 on
     * @param divisor of the summed gradients
     * @param norm of the divided gradients, over all ranks
     * @param clip largest norm let through
     */
    void update(double learningRate, long number, double divisor, double norm, double clip) {
        try (Scope local = scope.child()) {
            for (Tensor gradient : gradients) {
                local.ops().scale(gradient, 1 / divisor);
            }
            optimizer.update(learningRate, number, local.scalar((float) norm), clip);
            if (communicator.world() == 1) {
                weights.updated();
                return;
            }
            for (int i = 0; i < rounded.size(); i++) {
                local.ops().copyInto(rounded.get(i), masters.get(i));
            }
        }
        for (int i = 0; i < arriving.length; i++) {
            arriving[i] = communicator.allGather(
                    buffer(weights.replica(), buckets.all().get(i)));
        }
        arrivedTo = 0;
    }

    /** Waits until all weights are everywhere; all ranks call it. Afterwards {@link Weights#view} shows the master weights on every rank. */
    void settle() {
        arrived(Integer.MAX_VALUE);
        if (rounded.isEmpty()) {
            return;
        }
        // The gradients' memory is free between steps.
        Tensor whole = weights.gradients();
        for (int i = 0; i < owned.size(); i++) {
            scope.ops().copyInto(gradients.get(i), masters.get(i));
        }
        for (Buckets.Bucket bucket : buckets.all()) {
            communicator.allGather(buffer(whole, bucket)).await();
        }
        weights.lendMasters(whole);
    }

    /** Overwrites {@link Weights#view}, all of it. */
    interface Reading {
        void read() throws IOException;
    }

    /** Takes over other weights, read on every rank, between two steps. */
    void reload(Reading reading) throws IOException {
        arrived(Integer.MAX_VALUE);
        if (rounded.isEmpty()) {
            reading.read();
            weights.updated();
            return;
        }
        weights.lendMasters(weights.gradients());
        try {
            reading.read();
        } finally {
            weights.takeBackMasters();
        }
        for (int i = 0; i < owned.size(); i++) {
            scope.ops().copyInto(masters.get(i), gradients.get(i));
        }
        scope.ops().copyInto(weights.replica(), weights.gradients());
    }

    /** Nanoseconds that the training thread has waited for other ranks' gradients and weights since this was last asked. */
    long takeWaited() {
        long waited = waitedNanos;
        waitedNanos = 0;
        return waited;
    }

    /** Where something is still on its way, because a step failed, the communicator ends here: it writes into memory that is freed next. */
    @Override
    public void close() {
        if (arrivedTo < arriving.length || !reducing.isEmpty()) {
            communicator.close();
        }
    }
}
