package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A SigLIP image encoder up to the block whose output is the feature, without the final norm. The rest (later blocks, final norm, pooling
 * head) is not built.
 */
public final class VisionTransformer {
    private static final String PREFIX = Part.VISION.prefix() + "vision_model.";

    static final String EMBEDDINGS = PREFIX + "embeddings.";

    private final VisionConfig config;
    private final Tensor patchWeight;
    private final Tensor patchBias;
    private final Tensor positionsPW;
    private final List<Block> blocks;

    VisionTransformer(VisionConfig config, Weights weights) {
        this.config = config;
        long patch = 3L * config.patchSize() * config.patchSize();
        patchWeight =
                weights.use(new long[] {config.hiddenSize(), patch}, PREFIX + "embeddings.patch_embedding.weight");
        patchBias = weights.use(PREFIX + "embeddings.patch_embedding.bias");
        positionsPW = weights.use(PREFIX + "embeddings.position_embedding.weight");
        blocks = IntStream.range(0, config.usedLayers())
                .mapToObj(number -> new Block(config, number, weights))
                .toList();
    }

    static List<Parameter> parameters(VisionConfig config) {
        List<Parameter> parameters = new ArrayList<>();
        long width = config.hiddenSize();
        String embeddings = "vision_model.embeddings.";
        parameters.add(Parameter.of(
                Part.VISION, embeddings + "patch_embedding.weight", width, 3, config.patchSize(), config.patchSize()));
        parameters.add(Parameter.of(Part.VISION, embeddings + "patch_embedding.bias", width));
        parameters.add(Parameter.of(Part.VISION, embeddings + "position_embedding.weight", config.patches(), width));
        for (int number = 0; number < config.usedLayers(); number++) {
            parameters.addAll(Block.parameters(config, number));
        }
        return parameters;
    }

    VisionConfig config() {
        return config;
    }

    /** Patches of normalised pixels, embedded as rows: [N, 3, H, W] to [N * P, W]. */
    Tensor embed(Ops ops, Tensor pixelsNCHW) {
        Tensor patchesRC = ops.images().patches(pixelsNCHW, config.patchSize());
        return ops.images().addPositions(ops.linear(patchesRC, patchWeight, patchBias), positionsPW);
    }

    /** What the names of a block's parameters begin with. */
    static String block(int number) {
        return PREFIX + "encoder.layers." + number + ".";
    }

    List<Block> blocks() {
        return blocks;
    }

    /** One block: attention among the patches of an image, then an MLP, each behind a layer norm and added to its input. */
    static final class Block {
        private final VisionConfig config;
        private final Tensor firstNormWeight;
        private final Tensor firstNormBias;
        private final Tensor queryKeyValueWeight;
        private final Tensor queryKeyValueBias;
        private final Tensor outputWeight;
        private final Tensor outputBias;
        private final Tensor secondNormWeight;
        private final Tensor secondNormBias;
        private final Tensor upWeight;
        private final Tensor upBias;
        private final Tensor downWeight;
        private final Tensor downBias;

        Block(VisionConfig config, int number, Weights weights) {
            this.config = config;
            String p = block(number);
            long width = config.hiddenSize();
            firstNormWeight = weights.use(p + "layer_norm1.weight");
            firstNormBias = weights.use(p + "layer_norm1.bias");
            queryKeyValueWeight = weights.use(
                    new long[] {3 * width, width},
                    p + "self_attn.q_proj.weight",
                    p + "self_attn.k_proj.weight",
                    p + "self_attn.v_proj.weight");
            queryKeyValueBias = weights.use(
                    new long[] {3 * width},
                    p + "self_attn.q_proj.bias",
                    p + "self_attn.k_proj.bias",
                    p + "self_attn.v_proj.bias");
            outputWeight = weights.use(p + "self_attn.out_proj.weight");
            outputBias = weights.use(p + "self_attn.out_proj.bias");
            secondNormWeight = weights.use(p + "layer_norm2.weight");
            secondNormBias = weights.use(p + "layer_norm2.bias");
            upWeight = weights.use(p + "mlp.fc1.weight");
            upBias = weights.use(p + "mlp.fc1.bias");
            downWeight = weights.use(p + "mlp.fc2.weight");
            downBias = weights.use(p + "mlp.fc2.bias");
        }

        static List<Parameter> parameters(VisionConfig config, int number) {
            String p = "vision_model.encoder.layers." + number + ".";
            long width = config.hiddenSize();
            long inner = config.intermediateSize();
            return List.of(
                    Parameter.of(Part.VISION, p + "layer_norm1.weight", width),
                    Parameter.of(Part.VISION, p + "layer_norm1.bias", width),
                    Parameter.of(Part.VISION, p + "self_attn.q_proj.weight", width, width),
                    Parameter.of(Part.VISION, p + "self_attn.k_proj.weight", width, width),
                    Parameter.of(Part.VISION, p + "self_attn.v_proj.weight", width, width),
                    Parameter.of(Part.VISION, p + "self_attn.q_proj.bias", width),
                    Parameter.of(Part.VISION, p + "self_attn.k_proj.bias", width),
                    Parameter.of(Part.VISION, p + "self_attn.v_proj.bias", width),
                    Parameter.of(Part.VISION, p + "self_attn.out_proj.weight", width, width),
                    Parameter.of(Part.VISION, p + "self_attn.out_proj.bias", width),
                    Parameter.of(Part.VISION, p + "layer_norm2.weight", width),
                    Parameter.of(Part.VISION, p + "layer_norm2.bias", width),
                    Parameter.of(Part.VISION, p + "mlp.fc1.weight", inner, width),
                    Parameter.of(Part.VISION, p + "mlp.fc1.bias", inner),
                    Parameter.of(Part.VISION, p + "mlp.fc2.weight", width, inner),
                    Parameter.of(Part.VISION, p + "mlp.fc2.bias", width));
        }

        Tensor forward(Ops ops, Tensor hiddenRW) {
            Tensor normedRW = ops.layerNorm(hiddenRW, firstNormWeight, firstNormBias, config.layerNormEps());
            Tensor queryKeyValueRE = ops.linear(normedRW, queryKeyValueWeight, queryKeyValueBias);
            Tensor attendedRW = ops.attention().ofImages(queryKeyValueRE, config.patches(), config.numAttentionHeads());
            Tensor middleRW = ops.add(hiddenRW, ops.linear(attendedRW, outputWeight, outputBias));

            Tensor upRI = ops.linear(
                    ops.layerNorm(middleRW, secondNormWeight, secondNormBias, config.layerNormEps()), upWeight, upBias);
            Tensor activeRI = config.activation() == VisionConfig.Activation.Tanh ? ops.geluTanh(upRI) : ops.gelu(upRI);
            return ops.add(middleRW, ops.linear(activeRI, downWeight, downBias));
        }
    }
}
