package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Head;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Segments;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Images and text in, the next token out: encoder, projector, and a decoder in whose sequence the projected image tokens stand where the
 * batch has {@link Batch#IMAGE}. Used by one thread.
 */
public final class VisionLanguageModel {
    /** Logits formed at a time, in elements: 16 MiB stay near the processor. */
    private static final int HEAD_CHUNK_ELEMENTS = 1 << 22;

    /** Rows formed at a time at least: the gradient of the whole head is read and written once for each chunk. */
    private static final int HEAD_CHUNK_ROWS = 256;

    private final ModelConfig config;
    private final Set<Part> trained;
    private final Weights weights;
    private final VisionTransformer vision;
    private final AveragePoolProjector projector;
    private final LanguageModel language;
    private final List<String> stages;

    private VisionLanguageModel(Scope scope, ModelConfig config, Set<Part> trained, DType stored) {
        this.config = config;
        this.trained = Set.copyOf(trained);
        weights = new Weights(scope, parameters(config), trained, stored);
        vision = new VisionTransformer(config.vision(), weights);
        projector = new AveragePoolProjector(config.projector(), config.vision().patchesPerSide(), weights);
        language = new LanguageModel(config.language(), weights, scope);
        stages = stagePrefixes();
    }

    private List<String> stagePrefixes() {
        List<String> prefixes = new ArrayList<>();
        prefixes.add(VisionTransformer.EMBEDDINGS);
        for (int number = 0; number < vision.blocks().size(); number++) {
            prefixes.add(VisionTransformer.block(number));
        }
        prefixes.add(Part.PROJECTOR.prefix());
        prefixes.add(LanguageModel.EMBEDDING);
        for (int number = 0; number < language.layers().size(); number++) {
            prefixes.add(DecoderLayer.prefix(number));
        }
        prefixes.add(LanguageModel.NORM);
        prefixes.add(LanguageModel.HEAD);
        return List.copyOf(prefixes);
    }

    /**
     * Where the trained weights of each stage lie in the flat buffers, in the order of the forward pass, which is that of the buffers:
     * encoder (patches, blocks), projector, text embedding, decoder layers, final norm, head. Empty ranges for what is frozen, and for the head where
     * the embedding is used again.
     */
    public List<Weights.Range> stages() {
        return stages.stream().map(weights::range).toList();
    }

    private int projectorStage() {
        return 1 + vision.blocks().size();
    }

    private int layerStage(int number) {
        return projectorStage() + 2 + number;
    }

    private int normStage() {
        return layerStage(language.layers().size());
    }

    /**
     * A model whose weights are all 0: to be filled by {@link #initialize} or from a checkpoint.
     *
     * @param scope owns the weights; as long as it is open the model can be used
     * @param trained parts that get gradients; the others are frozen and build no graph
     */
    public static VisionLanguageModel create(Scope scope, ModelConfig config, Set<Part> trained) {
        return new VisionLanguageModel(scope, config, trained, DType.FLOAT32);
    }

    /**
     * A model with random weights in BFLOAT16 and no master weights, as a worker has whose master weights lie elsewhere: it runs forward and
     * backward, but can be neither updated nor saved. To measure with.
     */
    public static VisionLanguageModel forTiming(Scope scope, ModelConfig config, Set<Part> trained) {
        VisionLanguageModel model = new VisionLanguageModel(scope, config, trained, DType.BFLOAT16);
        model.fillForTiming();
        return model;
    }

    /** Fills all weights with values good enough to measure with, on the device itself. */
    public void fillForTiming() {
        weights.fillForTiming();
    }

    /** All parameters of a model of these sizes, in the order of their buffers; nothing is allocated. */
    public static List<Parameter> parameters(ModelConfig config) {
        List<Parameter> parameters = new ArrayList<>();
        parameters.addAll(VisionTransformer.parameters(config.vision()));
        parameters.addAll(AveragePoolProjector.parameters(
                config.vision().hiddenSize(), config.language().hiddenSize()));
        parameters.addAll(LanguageModel.parameters(config.language()));
        return parameters;
    }

    /** Fills parts with random weights that depend on the seed only; see {@link Initialization}. */
    public void initialize(Set<Part> parts, long seed) {
        Initialization.random(weights, parts, config, seed);
    }

    /** Fills the projector with the very weights that the paper's code starts from, whatever the run's seed: see {@link TorchLinearInit}. */
    public void initializeProjectorAsPaper() {
        TorchLinearInit.projector(weights, TorchLinearInit.PAPER_SEED);
    }

    /** Sizes. */
    public ModelConfig config() {
        return config;
    }

    /** Weights and gradients. */
    public Weights weights() {
        return weights;
    }

    /**
     * Makes the layers compute in BFLOAT16, with FLOAT32 master weights; see {@link Weights#computeIn}. Call it when the weights have been
     * initialized or loaded.
     */
    public void computeIn(DType type) {
        weights.computeIn(type);
    }

    /**
     * Rounds the decoder's rotary frequencies to BF16, as torch's {@code Module.to(bfloat16)} does to all buffers of a model. Training and
     * generation keep them in float32, as transformers does when it loads a folder stored in BF16; results of a model that was cast as a
     * whole can only be compared with this.
     */
    public void roundRotaryFrequencies() {
        try (Scope scope = Scope.open()) {
            language.roundFrequencies(scope.ops(), DType.BFLOAT16);
        }
    }

    /** The trained parts. */
    public Set<Part> trained() {
        return trained;
    }

    /**
     * Forward and backward: adds {@code scale} times the gradient of the loss sum to {@link Weights#gradients()}.
     *
     * @param scale for a mean loss, 1 / number of targets of the global batch
     * @param keep whether layers keep their activations or form them a second time
     * @return the sum of the cross-entropies of all targets, unscaled: a scalar in {@code scope}. 0 without a target
     */
    public Tensor accumulate(Batch batch, double scale, Tape.Keep keep, Scope scope) {
        return accumulate(batch, scale, keep, Passage.NONE, scope);
    }

    /** The same; {@code passage} is told where the batch is. */
    public Tensor accumulate(Batch batch, double scale, Tape.Keep keep, Passage passage, Scope scope) {
        try (Scope local = scope.child()) {
            int[] targets = batch.targetPositions();
            if (targets.length == 0) {
                return scope.scalar(0);
            }
            Tape tape = new Tape(local, keep);
            Runner runner = (number, trainable, input, stage) -> {
                passage.entering(number);
                return tape.apply(trainable, input, stage, () -> passage.left(number));
            };
            Tensor hiddenTD = forward(batch, runner, local, Observer.NONE);
            Tensor beforeTargetQ = local.indices(before(targets));
            Tensor normedQD = runner.apply(
                    normStage(),
                    trained.contains(Part.LANGUAGE),
                    hiddenTD,
                    (ops, x) -> language.finalNorm(ops, x, beforeTargetQ));
            passage.entering(normStage() + 1);
            Head.Gradients head = local.ops()
                    .head()
                    .gradients(normedQD, language.head(), local.indices(labels(batch, targets)), scale, headChunk());
            tape.backward(head.hiddenGradientTD());
            return head.lossSum().moveTo(scope);
        }
    }

    /** {@link #accumulate(Batch, double, Tape.Keep, Scope)} that keeps all activations. */
    public Tensor accumulate(Batch batch, double scale, Scope scope) {
        return accumulate(batch, scale, Tape.Keep.ALL, scope);
    }

    /** The sum of the cross-entropies of all targets, without gradients: a scalar in {@code scope}. */
    public Tensor lossSum(Batch batch, Scope scope) {
        try (Scope local = scope.child()) {
            Tensor logProbabilitiesQ = logProbabilities(batch, local);
            Ops ops = local.ops();
            return ops.multiply(ops.sum(logProbabilitiesQ), -1).moveTo(scope);
        }
    }

    /**
     * Log probability of the label at each of {@link Batch#targetPositions()}, [Q], without gradients. Summed over an option's positions it
     * is the option's likelihood.
     */
    public Tensor logProbabilities(Batch batch, Scope scope) {
        int[] targets = batch.targetPositions();
        if (targets.length == 0) {
            return scope.empty(DType.FLOAT32, 0);
        }
        try (Scope local = scope.child()) {
            Tensor hiddenTD = forward(batch, frozen(local), local, Observer.NONE);
            Ops ops = local.ops();
            Tensor normedQD = language.finalNorm(ops, hiddenTD, local.indices(before(targets)));
            return ops.head()
                    .logProbabilities(normedQD, language.head(), local.indices(labels(batch, targets)), headChunk())
                    .moveTo(scope);
        }
    }

    /** What a check of the inner values may look at. */
    public interface Observer {
        /** Looks at nothing. */
        Observer NONE = (name, value) -> {};

        /**
         * @param name {@code embeddings}, {@code block.K}, {@code inputs_embeds}, {@code hidden.layer.K}, {@code hidden.norm} or {@code logits}
         * @param value valid during the call only
         */
        void see(String name, Tensor value);
    }

    /** A forward pass without gradients that shows every layer's output and the logits of all tokens; for small models. */
    public void observe(Batch batch, Observer observer) {
        try (Scope local = Scope.open()) {
            Tensor hiddenTD = forward(batch, frozen(local), local, observer);
            Tensor normedTD = language.finalNorm(local.ops(), hiddenTD);
            observer.see("hidden.norm", normedTD);
            observer.see("logits", local.ops().linear(normedTD, language.head()));
        }
    }

    /** Embeddings of all tokens, text and visual, in their order: [T, D] in {@code scope}, without gradients. */
    Tensor inputEmbeddings(Batch batch, Scope scope) {
        try (Scope local = scope.child()) {
            return inputEmbeddings(batch, frozen(local), local, Observer.NONE).moveTo(scope);
        }
    }

    LanguageModel language() {
        return language;
    }

    /** Runs a layer: on a tape, or without gradients. */
    private interface Runner {
        Tensor apply(int number, boolean trainable, Tensor input, Tape.Stage stage);
    }

    /** Runs layers without gradients and frees what a layer has left behind. */
    private static Runner frozen(Scope scope) {
        Tape tape = new Tape(scope, Tape.Keep.ALL);
        return (number, trainable, input, stage) -> tape.apply(false, input, stage);
    }

    /** Embeddings of all tokens, text and visual, in their order: [T, D]. */
    private Tensor inputEmbeddings(Batch batch, Runner runner, Scope scope, Observer observer) {
        check(batch);
        Splice splice = Splice.of(batch);
        Tensor textIds = scope.indices(splice.textIds());
        Tensor order = scope.indices(splice.order());
        Tensor visualVD = visualTokens(batch, runner, scope, observer);
        return runner.apply(
                projectorStage() + 1,
                trained.contains(Part.LANGUAGE),
                visualVD,
                (ops, visual) -> ops.rowsOfTwo(language.embed(ops, textIds), visual, order));
    }

    /** Hidden states of all tokens behind the last layer, before the final norm: [T, D]. */
    private Tensor forward(Batch batch, Runner runner, Scope scope, Observer observer) {
        Tensor hiddenTD = inputEmbeddings(batch, runner, scope, observer);
        observer.see("inputs_embeds", hiddenTD);

        boolean trainable = trained.contains(Part.LANGUAGE);
        LanguageConfig sizes = config.language();
        Segments segments = Segments.of(scope, batch.segmentStarts(), batch.positionsT(), language.frequencies());
        DecoderLayer.Attention attention = (ops, queryKeyValueTE) -> ops.attention()
                .ofSegments(queryKeyValueTE, segments, sizes.numAttentionHeads(), sizes.numKeyValueHeads());
        for (int number = 0; number < language.layers().size(); number++) {
            DecoderLayer layer = language.layers().get(number);
            hiddenTD =
                    runner.apply(layerStage(number), trainable, hiddenTD, (ops, x) -> layer.forward(ops, x, attention));
            observer.see("hidden.layer." + number, hiddenTD);
        }
        return hiddenTD;
    }

    /** Visual tokens of all images, one after the other: [N * tokens, D]. */
    private Tensor visualTokens(Batch batch, Runner runner, Scope scope, Observer observer) {
        if (batch.imageCount() == 0) {
            return scope.empty(weights.computeType(), 0, config.language().hiddenSize());
        }
        boolean trainable = trained.contains(Part.VISION);
        Tensor pixelsNCHW = scope.copy(
                MemorySegment.ofArray(batch.pixelsNCHW()),
                DType.FLOAT32,
                batch.imageCount(),
                3,
                batch.imageSize(),
                batch.imageSize());
        Tensor hiddenRW = runner.apply(
                0, trainable, pixelsNCHW, (ops, pixels) -> vision.embed(ops, ops.cast(pixels, weights.computeType())));
        observer.see("embeddings", hiddenRW);
        for (int number = 0; number < vision.blocks().size(); number++) {
            hiddenRW = runner.apply(
                    1 + number, trainable, hiddenRW, vision.blocks().get(number)::forward);
            observer.see("block." + number, hiddenRW);
        }
        return runner.apply(projectorStage(), trained.contains(Part.PROJECTOR), hiddenRW, projector::forward);
    }

    private void check(Batch batch) {
        int tokens = config.projector().tokensPerImage();
        if (batch.visualTokens() != batch.imageCount() * tokens) {
            throw new IllegalArgumentException("batch: " + batch.visualTokens() + " visual tokens, but "
                    + batch.imageCount() + " images of " + tokens + " tokens each");
        }
        if (batch.imageCount() > 0 && batch.imageSize() != config.vision().imageSize()) {
            throw new IllegalArgumentException("batch: images of side " + batch.imageSize() + ", the model reads side "
                    + config.vision().imageSize());
        }
        for (int t = 0; t < batch.tokens(); t++) {
            if (Math.max(batch.idsT()[t], batch.labelsT()[t])
                    >= config.language().vocabSize()) {
                throw new IllegalArgumentException("batch: id " + batch.idsT()[t] + ", label " + batch.labelsT()[t]
                        + " at token " + t
                        + ", but the vocabulary ends at " + (config.language().vocabSize() - 1)
                        + "; the tokenizer does not belong to this model");
            }
        }
    }

    private int headChunk() {
        return headChunk(config.language().vocabSize());
    }

    /** Rows of logits formed at a time. */
    static int headChunk(int vocabulary) {
        return Math.max(HEAD_CHUNK_ROWS, HEAD_CHUNK_ELEMENTS / vocabulary);
    }

    private static int[] before(int[] positions) {
        int[] previous = new int[positions.length];
        for (int q = 0; q < positions.length; q++) {
            previous[q] = positions[q] - 1;
        }
        return previous;
    }

    private static int[] labels(Batch batch, int[] positions) {
        int[] labels = new int[positions.length];
        for (int q = 0; q < positions.length; q++) {
            labels[q] = batch.labelsT()[positions[q]];
        }
        return labels;
    }
}
