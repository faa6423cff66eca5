package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.RotaryTable;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** A Qwen2 decoder: embedding, layers, final norm, head. */
public final class LanguageModel {
    static final String EMBEDDING = Part.LANGUAGE.prefix() + "model.embed_tokens.weight";
    static final String HEAD = Part.LANGUAGE.prefix() + "lm_head.weight";
    static final String NORM = Part.LANGUAGE.prefix() + "model.norm.weight";

    private final LanguageConfig config;
    private final Tensor embeddingVD;
    private final List<DecoderLayer> layers;
    private final Tensor norm;
    private final Tensor headVD;
    private final Tensor frequencies;

    LanguageModel(LanguageConfig config, Weights weights, Scope scope) {
        this.config = config;
        embeddingVD = weights.use(EMBEDDING);
        layers = IntStream.range(0, config.numHiddenLayers())
                .mapToObj(number -> new DecoderLayer(config, number, weights))
                .toList();
        norm = weights.use(NORM);
        headVD = config.tieWordEmbeddings() ? embeddingVD : weights.use(HEAD);
        frequencies = RotaryTable.frequencies(scope, config.headDim(), config.ropeTheta());
    }

    static List<Parameter> parameters(LanguageConfig config) {
        List<Parameter> parameters = new ArrayList<>();
        parameters.add(
                Parameter.of(Part.LANGUAGE, "model.embed_tokens.weight", config.vocabSize(), config.hiddenSize()));
        for (int number = 0; number < config.numHiddenLayers(); number++) {
            parameters.addAll(DecoderLayer.parameters(config, number));
        }
        parameters.add(Parameter.of(Part.LANGUAGE, "model.norm.weight", config.hiddenSize()));
        if (!config.tieWordEmbeddings()) {
            parameters.add(Parameter.of(Part.LANGUAGE, "lm_head.weight", config.vocabSize(), config.hiddenSize()));
        }
        return parameters;
    }

    LanguageConfig config() {
        return config;
    }

    /** Inverse rotary frequencies. */
    Tensor frequencies() {
        return frequencies;
    }

    /** Rounds the inverse rotary frequencies to {@code type} and widens them again. */
    void roundFrequencies(Ops ops, DType type) {
        ops.copyInto(frequencies, ops.cast(ops.cast(frequencies, type), DType.FLOAT32));
    }

    /** Embeddings of token ids, [T, D]. */
    Tensor embed(Ops ops, Tensor idsT) {
        return ops.rows(embeddingVD, idsT);
    }

    List<DecoderLayer> layers() {
        return layers;
    }

    /** The final norm of the rows at {@code positionsQ}: only they go into the head. */
    Tensor finalNorm(Ops ops, Tensor hiddenTD, Tensor positionsQ) {
        return ops.rmsNorm(ops.rows(hiddenTD, positionsQ), norm, config.rmsNormEps());
    }

    Tensor finalNorm(Ops ops, Tensor hiddenTD) {
        return ops.rmsNorm(hiddenTD, norm, config.rmsNormEps());
    }

    /** The head's weight; its gradient is formed beside the loss. */
    Tensor head() {
        return headVD;
    }
}
