package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One optimizer step: accumulate the gradients of this rank's micro-batches, reduce them over all ranks, clip, update.
 *
 * <p>Loss by {@code Tokens}: the sum over all targets of the global batch divided by their number. By {@code MicroBatch}: the mean over
 * micro-batches of their means (the paper's).
 */
final class Step {
    private final VisionLanguageModel model;
    private final ShardedOptimizer optimizer;
    private final Communicator communicator;
    private final boolean byTokens;
    private final double clip;
    private final Tape.Keep keep;
    private final StopSignal stop;
    private final RunFacts facts;

    Step(
            VisionLanguageModel model,
            ShardedOptimizer optimizer,
            Communicator communicator,
            boolean byTokens,
            double clip,
            Tape.Keep keep,
            StopSignal stop,
            RunFacts facts) {
        this.model = model;
        this.optimizer = optimizer;
        this.communicator = communicator;
        this.byTokens = byTokens;
        this.clip = clip;
        this.keep = keep;
        this.stop = stop;
        this.facts = facts;
    }

    /**
     * @param stopped nothing was updated, because some rank has to end
     * @param loss of the global batch
     * @param norm of its gradient, before clipping
     * @param flops of this rank
     * @param verdict whether anything was updated
     */
    record Result(boolean stopped, StepTotals totals, double loss, double norm, double flops, Guard.Verdict verdict) {}

    /**
     * @param totals without losses
     * @param lossSums of each micro-batch, still on the device
     * @param targets of each micro-batch
     */
    private record Accumulated(StepTotals totals, List<Tensor> lossSums, List<Long> targets, double flops) {
        /** With losses and squares: the one time in a step that the host waits for the device. */
        StepTotals read(Tensor norms, Scope scope) {
            int batches = lossSums.size();
            int pieces = Math.toIntExact(norms.count());
            Tensor together = scope.empty(DType.FLOAT32, batches + (long) pieces);
            for (int i = 0; i < batches; i++) {
                scope.ops().copyInto(scope.ops().slice(together, 0, i, i + 1), lossSums.get(i));
            }
            scope.ops().copyInto(scope.ops().slice(together, 0, batches, batches + pieces), norms);
            float[] values = together.floats();
            StepTotals all = totals;
            for (int i = 0; i < batches; i++) {
                double mean = (double) values[i] / Math.max(1, targets.get(i));
                all = all.plus(new StepTotals(values[i], 0, mean, 0, 0, 0, false, false));
            }
            double squares = 0;
            for (int i = batches; i < values.length; i++) {
                squares += (double) values[i] * values[i];
            }
            return all.withSquares(squares);
        }
    }

    /**
     * @param number of steps completed before
     * @param save ask all ranks for a checkpoint after this step
     * @param guard judges loss and norm before anything is changed
     * @throws TrainerException NonFinite before anything was changed
     */
    Result run(
            Loader loader, int microBatches, Flops flops, long number, double learningRate, boolean save, Guard guard) {
        try (Scope scope = Scope.open()) {
            optimizer.begin();
            Accumulated own = accumulate(loader, microBatches, flops, save, scope);
            facts.doing("adding up gradients with the others");
            // Also where this rank has to end, or has no rows: the others' sums need it.
            Tensor norms = optimizer.reduced();
            StepTotals read = own.read(norms, scope);
            facts.doing("exchanging sums with the others");
            StepTotals totals = StepTotals.sum(communicator.allGather(read.encode()));
            if (totals.stop()) {
                return new Result(
                        true, totals, Double.NaN, Double.NaN, own.flops(), new Guard.Verdict.Update(Optional.empty()));
            }
            facts.doing("updating weights");
            double divisor = Math.max(1, byTokens ? totals.targets() : totals.microBatches());
            double loss = (byTokens ? totals.lossSum() : totals.meanSum()) / divisor;
            double norm = Math.sqrt(totals.squares()) / divisor;
            Guard.Verdict verdict = guard.judge(number + 1, loss, norm);
            if (verdict instanceof Guard.Verdict.Update) {
                optimizer.update(learningRate, number + 1 - guard.skippedSteps(), divisor, norm, clip);
            }
            return new Result(false, totals, loss, norm, own.flops(), verdict);
        }
    }

    /** Adds up this rank's gradients; ends early, at a micro-batch's edge, when the process has to end. Reads nothing of the device. */
    private Accumulated accumulate(Loader loader, int microBatches, Flops flops, boolean save, Scope scope) {
        StepTotals totals = new StepTotals(0, 0, 0, 0, 0, 0, stop.requested().isPresent(), save);
        double operations = 0;
        List<Tensor> lossSums = new ArrayList<>();
        List<Long> targets = new ArrayList<>();
        for (int i = 0; i < microBatches && !totals.stop(); i++) {
            String place = "micro-batch " + (i + 1) + " of " + microBatches;
            facts.doing("waiting for the data of " + place);
            Batch batch = loader.next(place);
            facts.doing("computing " + place);
            double scale = byTokens ? 1 : 1.0 / Math.max(1, batch.targets());
            lossSums.add(model.accumulate(batch, scale, keep, optimizer.passage(i == microBatches - 1), scope));
            targets.add((long) batch.targets());
            operations += flops.of(batch);
            boolean ending = stop.requested().isPresent();
            totals = totals.plus(new StepTotals(0, batch.targets(), 0, 1, batch.tokens(), 0, ending, false));
        }
        return new Accumulated(totals, lossSums, targets, operations);
    }
}
