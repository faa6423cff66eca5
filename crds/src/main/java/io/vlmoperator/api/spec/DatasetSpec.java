package io.vlmoperator.api.spec;

import java.util.List;

/**
 * Image-text data made ready for training: where it comes from, what is kept, how it is packed and where the index and the plan are
 * written.
 */
public record DatasetSpec(
        List<Source> sources,
        Select select,
        Reject reject,
        Pack pack,
        Output output,
        DataWorkers workers,
        Failure failure,
        Boolean suspend,
        Integer ttlSecondsAfterFinished) {
    public DatasetSpec {
        sources = Defaults.copy(sources);
        select = Defaults.or(select, new Select(List.of()));
        reject = Defaults.or(reject, new Reject(null, null, null, null));
        workers = Defaults.or(workers, new DataWorkers(null, null, null, null, null));
        failure = Defaults.or(failure, Failure.DEFAULT);
        suspend = Defaults.or(suspend, false);
    }

    /**
     * @param location folder of the index, the plan and the reject file
     * @param shards also write packed shards (a second copy of the pixels)
     * @param secretRef Secret with S3 credentials, in the same namespace
     */
    public record Output(String location, Boolean shards, String secretRef) {
        public Output {
            shards = Defaults.or(shards, false);
        }
    }
}
