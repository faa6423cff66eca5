package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.Augment;
import io.vlmoperator.api.spec.Batch;
import io.vlmoperator.api.spec.Batch.Attention;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.Projector;
import io.vlmoperator.api.spec.SFTJobSpec;
import java.util.List;

/** Training jobs that say nothing but what decides about data. */
final class TestJobs {
    private static final int MICRO_BATCH = 2;

    private TestJobs() {}

    static PretrainJobSpec spec(
            int global, int context, int tokensPerImage, long seed, Attention attention, Augment augment) {
        return new PretrainJobSpec(
                new PretrainJobSpec.Model(null, null, new Projector(tokensPerImage), null),
                List.of(),
                new Batch(global, MICRO_BATCH, context, attention, null),
                augment,
                null,
                null,
                null,
                null,
                null,
                null,
                seed,
                null,
                null,
                null,
                null,
                null,
                null,
                null);
    }

    static FrozenJob pretrain(PretrainJobSpec spec, List<ResolvedDataset> datasets) {
        return new FrozenJob(1, Kind.PretrainJob, "ns", "j", "uid", 1, 1, 1, null, spec, null, null, datasets, null);
    }

    static FrozenJob sft(
            int global, int context, int tokensPerImage, long seed, boolean grouped, List<ResolvedDataset> datasets) {
        SFTJobSpec spec = new SFTJobSpec(
                null,
                new SFTJobSpec.Model(new Projector(tokensPerImage), null),
                null,
                List.of(),
                new Batch(global, MICRO_BATCH, context, null, grouped),
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                seed,
                null,
                null,
                null,
                null,
                null,
                null,
                null);
        return new FrozenJob(1, Kind.SFTJob, "ns", "j", "uid", 1, 1, 1, null, null, spec, null, datasets, null);
    }
}
