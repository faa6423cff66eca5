package io.vlmoperator.api.run;

import io.vlmoperator.api.spec.DataPods;
import io.vlmoperator.api.spec.DataStages;
import io.vlmoperator.api.spec.DataWorkers;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Workers;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** The parts of a Dataset's work, in order. Each builds on what the earlier ones left in storage and may be begun again at any time. */
public enum DatasetStage {
    /** Brings what {@code spec.fetch} names and downloads url lists. */
    Fetch,
    /** Reads every shard and checks every sample. */
    Index,
    /** Asks filter models about the samples. */
    Score,
    /** Selects, packs, and writes the plan, the reject file and, when asked, new tars. */
    Pack;

    /** The stages that run as Jobs of their own, in order; none without {@code workers.stages}: one Job does it all. */
    public static List<DatasetStage> of(DatasetSpec spec) {
        if (spec.workers().stages() == null) {
            return List.of();
        }
        List<DatasetStage> stages = new ArrayList<>();
        if (!spec.fetch().isEmpty() || spec.sources().stream().anyMatch(s -> s.urlList() != null)) {
            stages.add(Fetch);
        }
        stages.add(Index);
        if (Stream.of(
                        spec.select().anyOf(),
                        spec.select().allOf(),
                        spec.select().not())
                .flatMap(List::stream)
                .anyMatch(rule -> rule.score() != null)) {
            stages.add(Score);
        }
        stages.add(Pack);
        return stages;
    }

    /** What comes after this stage has been completed; empty when nothing does. */
    public Optional<DatasetStage> next(List<DatasetStage> stages) {
        return stages.stream().filter(stage -> stage.compareTo(this) > 0).findFirst();
    }

    /** For labels, logs and the status: lower case. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The stage of a {@link #word}; empty for another word, or for null. */
    public static Optional<DatasetStage> ofWord(String word) {
        return Stream.of(values()).filter(stage -> stage.word().equals(word)).findFirst();
    }

    /** The pods of a stage: what the stage says, and what {@code workers} says where it says nothing. */
    public Workers pods(DataWorkers all) {
        DataPods own = Optional.ofNullable(all.stages())
                .map(this::of)
                .orElseGet(() -> new DataPods(null, null, null, null, null, null));
        int count = this == Pack ? 1 : own.count() == null ? all.count() : own.count();
        return new Workers(
                count,
                null,
                own.gpus(),
                own.gpuResource(),
                null,
                own.resources() == null ? all.resources() : own.resources(),
                all.env(),
                own.nodeSelector() == null ? all.nodeSelector() : own.nodeSelector(),
                own.tolerations() == null ? all.tolerations() : own.tolerations(),
                null,
                all.queue());
    }

    private DataPods of(DataStages stages) {
        return switch (this) {
            case Fetch -> stages.fetch();
            case Index -> stages.index();
            case Score -> stages.score();
            case Pack -> stages.pack();
        };
    }
}
