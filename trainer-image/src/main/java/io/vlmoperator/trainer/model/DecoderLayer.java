package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Tensor;
import java.util.List;

/** One layer of a Qwen2 decoder: attention, then a gated MLP, each behind a root-mean-square norm and added to its input. */
final class DecoderLayer {
    /** Attention over whatever the caller keeps: the segments of a batch, or a cache. Takes [T, E], returns [T, D]. */
    @FunctionalInterface
    interface Attention {
        Tensor attend(Ops ops, Tensor queryKeyValueTE);
    }

    private final double eps;
    private final Tensor inputNorm;
    private final Tensor queryKeyValueWeight;
    private final Tensor queryKeyValueBias;
    private final Tensor outputWeight;
    private final Tensor postAttentionNorm;
    private final Tensor gateUpWeight;
    private final Tensor downWeight;

    DecoderLayer(LanguageConfig config, int number, Weights weights) {
        String p = prefix(number);
        long hidden = config.hiddenSize();
        long joined = (long) config.headDim() * (config.numAttentionHeads() + 2 * config.numKeyValueHeads());
        eps = config.rmsNormEps();
        inputNorm = weights.use(p + "input_layernorm.weight");
        queryKeyValueWeight = weights.use(
                new long[] {joined, hidden},
                p + "self_attn.q_proj.weight",
                p + "self_attn.k_proj.weight",
                p + "self_attn.v_proj.weight");
        queryKeyValueBias = weights.use(
                new long[] {joined},
                p + "self_attn.q_proj.bias",
                p + "self_attn.k_proj.bias",
                p + "self_attn.v_proj.bias");
        outputWeight = weights.use(p + "self_attn.o_proj.weight");
        postAttentionNorm = weights.use(p + "post_attention_layernorm.weight");
        gateUpWeight = weights.use(
                new long[] {2L * config.intermediateSize(), hidden},
                p + "mlp.gate_proj.weight",
                p + "mlp.up_proj.weight");
        downWeight = weights.use(p + "mlp.down_proj.weight");
    }

    static List<Parameter> parameters(LanguageConfig config, int number) {
        String p = prefix(number).substring(Part.LANGUAGE.prefix().length());
        long hidden = config.hiddenSize();
        long keys = (long) config.headDim() * config.numKeyValueHeads();
        long inner = config.intermediateSize();
        return List.of(
                Parameter.of(Part.LANGUAGE, p + "input_layernorm.weight", hidden),
                Parameter.of(Part.LANGUAGE, p + "self_attn.q_proj.weight", hidden, hidden),
                Parameter.of(Part.LANGUAGE, p + "self_attn.k_proj.weight", keys, hidden),
                Parameter.of(Part.LANGUAGE, p + "self_attn.v_proj.weight", keys, hidden),
                Parameter.of(Part.LANGUAGE, p + "self_attn.q_proj.bias", hidden),
                Parameter.of(Part.LANGUAGE, p + "self_attn.k_proj.bias", keys),
                Parameter.of(Part.LANGUAGE, p + "self_attn.v_proj.bias", keys),
                Parameter.of(Part.LANGUAGE, p + "self_attn.o_proj.weight", hidden, hidden),
                Parameter.of(Part.LANGUAGE, p + "post_attention_layernorm.weight", hidden),
                Parameter.of(Part.LANGUAGE, p + "mlp.gate_proj.weight", inner, hidden),
                Parameter.of(Part.LANGUAGE, p + "mlp.up_proj.weight", inner, hidden),
                Parameter.of(Part.LANGUAGE, p + "mlp.down_proj.weight", hidden, inner));
    }

    static String prefix(int number) {
        return Part.LANGUAGE.prefix() + "model.layers." + number + ".";
    }

    Tensor forward(Ops ops, Tensor hiddenTD, Attention attention) {
        Tensor normedTD = ops.rmsNorm(hiddenTD, inputNorm, eps);
        Tensor attendedTD = attention.attend(ops, ops.linear(normedTD, queryKeyValueWeight, queryKeyValueBias));
        Tensor middleTD = ops.add(hiddenTD, ops.linear(attendedTD, outputWeight));

        Tensor gatedTI = ops.swiGlu(ops.linear(ops.rmsNorm(middleTD, postAttentionNorm, eps), gateUpWeight));
        return ops.add(middleTD, ops.linear(gatedTI, downWeight));
    }
}
