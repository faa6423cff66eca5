package io.vlmoperator.operator.policy;

import io.vlmoperator.api.run.FrozenJob.ResolvedCheckpoint;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.CheckpointRef;
import io.vlmoperator.api.spec.DataRef;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.Resolution.Blocked;
import io.vlmoperator.operator.model.Resolution.Ready;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Work;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a spec refers to must be there, complete and fit; until then the resource waits and says for what. Resources may be applied in
 * any order.
 */
public final class References {
    private References() {}

    /** The other resources of the namespace. */
    public interface Lookup {
        Optional<Referred> find(Kind kind, String name);
    }

    /**
     * A resource that another one refers to.
     *
     * @param dataset its spec, when it is a Dataset
     */
    public record Referred(Optional<DatasetSpec> dataset, RunStatus status) {}

    /** A name of another resource of the namespace in a spec. */
    public record Ref(Kind kind, String name) {}

    /** All resources that this spec names. */
    public static List<Ref> of(Work work) {
        return switch (work) {
            case Work.DatasetWork ignored -> List.of();
            case Work.PretrainWork pretrain -> datasets(pretrain.spec().data()).toList();
            case Work.SftWork sft ->
                Stream.concat(
                                datasets(sft.spec().data()),
                                checkpointRef(
                                        sft.spec().from().pretrainJob(),
                                        sft.spec().from().sftJob())
                                        .map(Selected::ref)
                                        .stream())
                        .toList();
            case Work.EvalWork eval ->
                checkpointRef(
                                eval.spec().checkpoint().pretrainJob(),
                                eval.spec().checkpoint().sftJob())
                        .map(Selected::ref)
                        .stream()
                        .toList();
        };
    }

    /** The checkpoint of a training job that this spec names. */
    public static Optional<Selected> checkpoint(Work work) {
        return switch (work) {
            case Work.SftWork sft ->
                checkpointRef(sft.spec().from().pretrainJob(), sft.spec().from().sftJob());
            case Work.EvalWork eval ->
                checkpointRef(
                        eval.spec().checkpoint().pretrainJob(),
                        eval.spec().checkpoint().sftJob());
            case Work.DatasetWork ignored -> Optional.empty();
            case Work.PretrainWork ignored -> Optional.empty();
        };
    }

    /** A training job and which of its checkpoints. */
    public record Selected(Ref ref, CheckpointRef which) {}

    private static Optional<Selected> checkpointRef(CheckpointRef pretrain, CheckpointRef sft) {
        return Optional.ofNullable(pretrain)
                .map(ref -> new Selected(new Ref(Kind.PretrainJob, ref.name()), ref))
                .or(() -> Optional.ofNullable(sft).map(ref -> new Selected(new Ref(Kind.SFTJob, ref.name()), ref)));
    }

    private static Stream<Ref> datasets(List<DataRef> data) {
        return data.stream().map(ref -> new Ref(Kind.Dataset, ref.dataset()));
    }

    /** What the references lead to, or the first thing that is in the way. */
    public static Resolution resolve(Work work, Lookup lookup) {
        return switch (work) {
            case Work.DatasetWork ignored -> Ready.NOTHING;
            case Work.PretrainWork pretrain -> training(pretrain.spec(), false, lookup);
            case Work.SftWork sft -> {
                var data = training(sft.spec(), true, lookup);
                yield data instanceof Ready ready
                        ? withCheckpoint(ready, work, sft.spec().from().location(), lookup)
                        : data;
            }
            case Work.EvalWork eval ->
                withCheckpoint(Ready.NOTHING, work, eval.spec().checkpoint().location(), lookup);
        };
    }

    private static Resolution training(TrainingSpec spec, boolean conversations, Lookup lookup) {
        var resolved = new ArrayList<ResolvedDataset>();
        var locations = new ArrayList<String>();
        var tokenizers = new ArrayList<String>();
        for (DataRef ref : spec.data()) {
            var name = ref.dataset();
            var found = lookup.find(Kind.Dataset, name);
            if (found.isEmpty()) {
                return missing(Kind.Dataset, name, lookup);
            }
            var dataset = found.get().dataset().orElseThrow();
            var unfit = unfit(name, dataset, spec, conversations);
            if (unfit.isPresent()) {
                return unfit.get();
            }
            var status = found.get().status();
            var unready = unready(Kind.Dataset, name, status);
            if (unready.isPresent()) {
                return unready.get();
            }
            var digest = status.dataset().map(summary -> summary.digest()).orElse(null);
            status.dataset()
                    .map(summary -> summary.tokenizerDigest())
                    .filter(Objects::nonNull)
                    .ifPresent(tokenizers::add);
            resolved.add(new ResolvedDataset(name, dataset.output().location(), ref.weight(), digest));
            dataset.sources().forEach(source -> locations.addAll(locations(source)));
        }
        if (tokenizers.stream().distinct().count() > 1) {
            return new Blocked(
                    Reason.PlanMismatch,
                    "The Datasets of spec.data were made with different tokenizers; make them with one",
                    true);
        }
        return new Ready(resolved, Optional.empty(), locations);
    }

    private static Optional<Resolution> unfit(
            String name, DatasetSpec dataset, TrainingSpec job, boolean wantsConversations) {
        boolean isConversations = dataset.sources().stream().anyMatch(source -> source.conversations() != null);
        if (wantsConversations != isConversations) {
            return Optional.of(new Blocked(
                    Reason.ReferenceWrongKind,
                    wantsConversations
                            ? "Dataset " + name + " holds captions; an SFTJob needs a Dataset of conversations"
                            : "Dataset " + name + " holds conversations; a PretrainJob needs captions (use an SFTJob)",
                    true));
        }
        var pack = dataset.pack();
        if (pack == null || isConversations) {
            return Optional.empty();
        }
        if (!pack.tokensPerImage().equals(job.tokensPerImage())) {
            return mismatch(
                    name,
                    "tokensPerImage",
                    pack.tokensPerImage(),
                    "model.projector.tokensPerImage",
                    job.tokensPerImage());
        }
        if (pack.algorithm() != Pack.Algorithm.None
                && !pack.contextLength().equals(job.batch().contextLength())) {
            return mismatch(
                    name,
                    "contextLength",
                    pack.contextLength(),
                    "batch.contextLength",
                    job.batch().contextLength());
        }
        return Optional.empty();
    }

    private static Optional<Resolution> mismatch(String name, String packed, int made, String asked, int wanted) {
        return Optional.of(new Blocked(
                Reason.PlanMismatch,
                "Dataset " + name + " is packed with " + packed + " " + made + ", this job asks for " + asked + " "
                        + wanted + "; make both equal (both are frozen: create one of the two anew)",
                true));
    }

    private static Resolution withCheckpoint(Ready ready, Work work, String location, Lookup lookup) {
        var selected = checkpoint(work);
        if (selected.isEmpty()) {
            return location == null
                    ? ready
                    : new Ready(
                            ready.datasets(),
                            Optional.of(new ResolvedCheckpoint(location, null, null)),
                            ready.locations());
        }
        var kind = selected.get().ref().kind();
        var ref = selected.get().which();
        var found = lookup.find(kind, ref.name());
        if (found.isEmpty()) {
            return missing(kind, ref.name(), lookup);
        }
        var status = found.get().status();
        var unready = unready(kind, ref.name(), status);
        boolean byStep = ref.select() == CheckpointRef.Which.Step;
        var checkpoint = select(ref, status);
        if (checkpoint.isPresent() && (byStep || unready.isEmpty())) {
            var it = checkpoint.get();
            return new Ready(
                    ready.datasets(),
                    Optional.of(new ResolvedCheckpoint(it.location(), it.step(), it.digest())),
                    ready.locations());
        }
        return unready.orElseGet(() -> new Blocked(
                Reason.CheckpointNotFound,
                kind + " " + ref.name() + " is complete and has no checkpoint for select: " + ref.select()
                        + (byStep ? " " + ref.step() : "") + "; choose one of its status.checkpoints",
                true));
    }

    /** The checkpoint of a job that a reference selects, as things are. */
    public static Optional<Checkpoint> select(CheckpointRef ref, RunStatus status) {
        return status.checkpoints().flatMap(all -> switch (ref.select()) {
            case Latest -> Optional.ofNullable(all.latest());
            case Best -> Optional.ofNullable(all.best());
            case Step ->
                Stream.concat(
                                Stream.of(Optional.ofNullable(all.latest()), Optional.ofNullable(all.best()))
                                        .flatMap(Optional::stream),
                                all.recent() == null ? Stream.<Checkpoint>empty() : all.recent().stream())
                        .filter(c -> c.step() != null
                                && ref.step() != null
                                && c.step() == ref.step().longValue())
                        .findFirst();
        });
    }

    private static Optional<Resolution> unready(Kind kind, String name, RunStatus status) {
        if (status.isTrue("Complete")) {
            return Optional.empty();
        }
        if (status.isTrue("Failed")) {
            return Optional.of(
                    new Blocked(Reason.ReferenceFailed, kind + " " + name + " has failed; repair or replace it", true));
        }
        return Optional.of(
                new Blocked(Reason.ReferenceNotReady, "Waiting for " + kind + " " + name + " to complete", false));
    }

    private static Blocked missing(Kind kind, String name, Lookup lookup) {
        var other = kind == Kind.PretrainJob ? Kind.SFTJob : Kind.PretrainJob;
        var hint = kind != Kind.Dataset && lookup.find(other, name).isPresent()
                ? "; there is a " + other + " of that name: refer to it as "
                        + (other == Kind.SFTJob ? "sftJob" : "pretrainJob")
                : "; create it";
        return new Blocked(
                Reason.ReferenceNotFound, kind + " " + name + " does not exist in this namespace" + hint, false);
    }

    private static List<String> locations(Source source) {
        var found = new ArrayList<String>();
        if (source.webDataset() != null) {
            found.add(source.webDataset().location());
        }
        if (source.urlList() != null) {
            found.add(source.urlList().location());
        }
        if (source.conversations() != null) {
            found.add(source.conversations().location());
            if (source.conversations().images() != null) {
                found.add(source.conversations().images());
            }
        }
        if (source.interleaved() != null) {
            found.add(source.interleaved().location());
        }
        return found;
    }
}
