package io.vlmoperator.api.spec;

/** What people read when parts of a spec do not fit each other; the CEL rules of the CRDs and {@link SpecChecks} say the same. */
final class Messages {
    static final String SOURCE_FORM = "give exactly one of webDataset, urlList, conversations and interleaved";
    static final String NO_MIXING =
            "captions, conversations and interleaved documents can't be mixed: make one Dataset of each and name them in the job's data";
    static final String SELECT_CAPTIONS = "select is for captions only: leave it out, or use webDataset or urlList";
    static final String SHARDS_CAPTIONS =
            "shards are written of captions only: leave it out, or use webDataset or urlList";
    static final String PACK_REQUIRED = "pack is required for captions: give at least pack.tokenizer";
    static final String PACK_CONVERSATIONS =
            "conversations are batched and not packed: write pack.algorithm: None, or leave pack out";
    static final String SQUARE = "tokensPerImage must be a square from 1 to 4096, such as 16, 64, 144, 256, 576 or 729";
    static final String GRID =
            "tokensPerImage exceeds the vision encoder's grid: it can be at most (imageSize / patchSize) squared";
    static final String CONTEXT =
            "contextLength must be larger than tokensPerImage: one image and its text must fit into a row";
    static final String DUPLICATE_DISTANCE = "is for duplicateImages: Perceptual";
    static final String SELECT_FORM = "give exactly one of uidList and score";
    static final String LANGUAGE_FORM =
            "give exactly one of location (a Hugging Face folder) and config (sizes for a start from random weights)";
    static final String LANGUAGE_TOKENIZER = "tokenizer is required when config is given";
    static final String LANGUAGE_HEADS =
            "hiddenSize must be a multiple of numAttentionHeads, with an even quotient (rotary positions turn pairs)";
    static final String LANGUAGE_GROUPS = "numAttentionHeads must be a multiple of numKeyValueHeads";
    static final String VISION_FORM =
            "give exactly one of location (a Hugging Face SigLIP folder) and config (sizes for a start from random weights)";
    static final String VISION_HEADS = "hiddenSize must be a multiple of numAttentionHeads";
    static final String VISION_PATCH = "patchSize can't exceed imageSize";
    static final String VISION_LAYER = "featureLayer counts from the end: with N layers write -N to -1";
    static final String MICRO_SIZE =
            "batch.microSize can't exceed batch.globalSize (missing: microSize 4 and globalSize 256)";
    static final String MICRO_SIZE_SFT =
            "batch.microSize can't exceed batch.globalSize (missing: microSize 2 and globalSize 128)";
    static final String GROUP_BY_LENGTH =
            "groupByLength is for SFTJob only: a PretrainJob's rows are packed; leave it out";
    static final String STOP_AFTER = "give exactly one of epochs, steps and tokens";
    static final String METRIC_FORM = "give exactly one of loss and benchmark";
    static final String KEEP_EVERY =
            "keep.every must be 0 or a multiple of everySteps, because a checkpoint is only written every everySteps";
    static final String BEST_BENCHMARK =
            "keep.best.metric.benchmark must name a benchmark and a protocol that evaluate.benchmarks has";
    static final String FROM_FORM = "give exactly one of pretrainJob, sftJob and location";
    static final String CHECKPOINT_FORM = "give exactly one of pretrainJob, sftJob, location and endpoint";
    static final String FETCH_FORM = "give exactly one of huggingFace, urls and folder";
    static final String STEP = "step goes with select: Step: give both or neither";
    static final String GUARDS = "nonFinite and lossSpike are for PretrainJob and SFTJob: leave them out";
    static final String ONE_PACKS = "one pod packs, because the rows are made of all shards: leave count out";
    static final String GPUS_SCORE = "only score computes on GPUs: write gpus under stages.score";
    static final String MIN_NODES = "minNodes can't exceed nodes";
    static final String RESERVED_ENV =
            "names that begin with VLM_, and JOB_COMPLETION_INDEX, are set by the operator: choose another name";
    static final String INTERFACE_ENV = "NCCL_SOCKET_IFNAME is what network.interfaceName sets: give one of the two";
    static final String TOLERATION =
            "operator Exists takes no value; an empty key needs operator Exists; tolerationSeconds needs effect NoExecute";
    static final String NAME_LENGTH =
            "metadata.name can have at most 40 characters: children are called NAME-KIND-ATTEMPT";

    private Messages() {}
}
