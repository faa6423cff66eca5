package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import java.util.List;
import java.util.Set;

/**
 * From image features to visual tokens (paper section 2.2): average-pool the grid of patches, then Linear, GELU (erf), Linear. With as many
 * tokens as patches the pool is the identity, so one set of weights serves every number of tokens.
 */
public final class AveragePoolProjector {
    private final int patchesPerSide;
    private final int tokensPerSide;
    private final Tensor firstWeight;
    private final Tensor firstBias;
    private final Tensor secondWeight;
    private final Tensor secondBias;

    AveragePoolProjector(ProjectorConfig config, int patchesPerSide, Weights weights) {
        this.patchesPerSide = patchesPerSide;
        tokensPerSide = config.side();
        firstWeight = weights.use(Part.PROJECTOR.prefix() + "linear_1.weight");
        firstBias = weights.use(Part.PROJECTOR.prefix() + "linear_1.bias");
        secondWeight = weights.use(Part.PROJECTOR.prefix() + "linear_2.weight");
        secondBias = weights.use(Part.PROJECTOR.prefix() + "linear_2.bias");
    }

    /**
     * A projector with weights of its own, outside any model.
     *
     * @param weights to be filled by the caller; all are trained
     */
    public record Standalone(AveragePoolProjector projector, Weights weights) {
        /** Fills it as torch fills new layers after {@code seed}: see {@link TorchLinearInit}. */
        public void initializeAsTorch(long seed) {
            TorchLinearInit.projector(weights, seed);
        }
    }

    /** A projector alone, from {@code patchesPerSide}² features of {@code visionWidth} to tokens of {@code hidden}. */
    public static Standalone standalone(
            Scope scope, ProjectorConfig config, int patchesPerSide, int visionWidth, int hidden) {
        Weights weights = new Weights(scope, parameters(visionWidth, hidden), Set.of(Part.PROJECTOR));
        return new Standalone(new AveragePoolProjector(config, patchesPerSide, weights), weights);
    }

    static List<Parameter> parameters(long visionWidth, long hidden) {
        return List.of(
                Parameter.of(Part.PROJECTOR, "linear_1.weight", hidden, visionWidth),
                Parameter.of(Part.PROJECTOR, "linear_1.bias", hidden),
                Parameter.of(Part.PROJECTOR, "linear_2.weight", hidden, hidden),
                Parameter.of(Part.PROJECTOR, "linear_2.bias", hidden));
    }

    /** The pooled features: [N * P, W] to [N * tokens, W]. */
    public Tensor pool(Ops ops, Tensor featuresRW) {
        return tokensPerSide == patchesPerSide
                ? featuresRW
                : ops.images().averagePool(featuresRW, patchesPerSide, tokensPerSide);
    }

    /** Visual tokens [N * tokens, D] of features [N * P, W]. */
    public Tensor forward(Ops ops, Tensor featuresRW) {
        Tensor hiddenVD = ops.gelu(ops.linear(pool(ops, featuresRW), firstWeight, firstBias));
        return ops.linear(hiddenVD, secondWeight, secondBias);
    }
}
