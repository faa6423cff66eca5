package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.CONVERSATIONS;
import static io.vlmoperator.operator.Fixtures.DATASET;
import static io.vlmoperator.operator.Fixtures.EVAL;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.SFT;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.subject;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Checkpoints;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Work;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ReferencesTest {
    private final Map<References.Ref, References.Referred> world = new HashMap<>();

    private Resolution resolve(String yaml) {
        return References.resolve(
                subject(yaml).work(), (kind, name) -> Optional.ofNullable(world.get(new References.Ref(kind, name))));
    }

    private void put(String yaml, RunStatus status) {
        var subject = subject(yaml);
        var spec = subject.work() instanceof Work.DatasetWork d
                ? Optional.of(d.spec())
                : Optional.<io.vlmoperator.api.spec.DatasetSpec>empty();
        world.put(new References.Ref(subject.kind(), subject.name()), new References.Referred(spec, status));
    }

    static RunStatus is(String condition, Optional<DatasetSummary> dataset, Optional<Checkpoints> checkpoints) {
        var e = RunStatus.EMPTY;
        return new RunStatus(
                e.phase(),
                1,
                e.startedAt(),
                e.finishedAt(),
                e.progress(),
                checkpoints,
                List.of(),
                List.of(),
                e.restarts(),
                e.export(),
                dataset,
                e.source(),
                List.of(new Condition(condition, "True", 1L, "2026-01-01T00:00:00Z", "Completed", "")));
    }

    private static Optional<DatasetSummary> digest(String tokenizer) {
        return Optional.of(new DatasetSummary(9L, 9L, 9L, 9L, 0.9, 9L, "sha256:d", tokenizer, List.of(), List.of()));
    }

    private void assertBlocked(String yaml, Reason reason, boolean person, String... parts) {
        assertThat(resolve(yaml)).isInstanceOfSatisfying(Resolution.Blocked.class, blocked -> {
            assertThat(blocked.reason()).isEqualTo(reason);
            assertThat(blocked.needsPerson()).isEqualTo(person);
            assertThat(blocked.message()).contains(parts);
        });
    }

    @Test
    void waitsForADatasetFromNothingToComplete() {
        assertBlocked(PRETRAIN, Reason.ReferenceNotFound, false, "Dataset captions", "create it");
        put(DATASET, RunStatus.EMPTY);
        assertBlocked(PRETRAIN, Reason.ReferenceNotReady, false, "captions");
        put(DATASET, is("Failed", Optional.empty(), Optional.empty()));
        assertBlocked(PRETRAIN, Reason.ReferenceFailed, true, "captions");
        put(DATASET, is("Complete", digest("t"), Optional.empty()));
        assertThat(resolve(PRETRAIN)).isInstanceOfSatisfying(Resolution.Ready.class, ready -> {
            assertThat(ready.datasets()).singleElement().satisfies(d -> {
                assertThat(d.location()).isEqualTo("pvc://data/packed");
                assertThat(d.digest()).isEqualTo("sha256:d");
                assertThat(d.weight()).isEqualTo(1);
            });
            assertThat(ready.locations()).containsExactly("pvc://tars/emoji/*.tar");
        });
    }

    @Test
    void aPlanForOtherSizesIsRefusedAtOnce() {
        put(DATASET, RunStatus.EMPTY);
        assertBlocked(
                PRETRAIN.replace("projector: {tokensPerImage: 4}", "projector: {tokensPerImage: 16}"),
                Reason.PlanMismatch,
                true,
                "tokensPerImage 4",
                "16");
        assertBlocked(
                PRETRAIN.replace("contextLength: 512", "contextLength: 1024"),
                Reason.PlanMismatch,
                true,
                "contextLength 512",
                "1024");
    }

    @Test
    void datasetsOfDifferentTokenizersDoNotMix() {
        put(DATASET, is("Complete", digest("a"), Optional.empty()));
        put(DATASET.replace("name: captions", "name: more"), is("Complete", digest("b"), Optional.empty()));
        assertBlocked(
                PRETRAIN.replace("[{dataset: captions}]", "[{dataset: captions}, {dataset: more}]"),
                Reason.PlanMismatch,
                true,
                "tokenizers");
    }

    @Test
    void captionsAreNoConversations() {
        put(CONVERSATIONS.replace("name: questions", "name: captions"), RunStatus.EMPTY);
        assertBlocked(PRETRAIN, Reason.ReferenceWrongKind, true, "conversations", "SFTJob");
        put(DATASET.replace("name: captions", "name: questions"), RunStatus.EMPTY);
        assertBlocked(SFT, Reason.ReferenceWrongKind, true, "captions");
    }

    @Test
    void latestCheckpointOnceTheJobIsComplete() {
        put(CONVERSATIONS, is("Complete", digest("t"), Optional.empty()));
        assertBlocked(SFT, Reason.ReferenceNotFound, false, "PretrainJob emoji");
        var all = Optional.of(
                new Checkpoints(checkpoint(200), checkpoint(100), List.of(checkpoint(200), checkpoint(100))));
        put(PRETRAIN, is("Running", Optional.empty(), all));
        assertBlocked(SFT, Reason.ReferenceNotReady, false, "PretrainJob emoji");
        put(PRETRAIN, is("Complete", Optional.empty(), all));
        assertThat(resolve(SFT))
                .isInstanceOfSatisfying(
                        Resolution.Ready.class,
                        ready -> assertThat(ready.checkpoint()).hasValueSatisfying(c -> {
                            assertThat(c.step()).isEqualTo(200);
                            assertThat(c.location()).isEqualTo("pvc://runs/emoji/checkpoints/step-000000200");
                            assertThat(c.digest()).isEqualTo(checkpoint(200).digest());
                        }));
        put(PRETRAIN, is("Complete", Optional.empty(), Optional.empty()));
        assertBlocked(SFT, Reason.CheckpointNotFound, true, "Latest");
    }

    @Test
    void aStepIsUsableWhileTheJobRunsAndAnUnknownStepIsNamed() {
        var yaml = EVAL.replace("{sftJob: {name: emoji}}", "{sftJob: {name: emoji, select: Step, step: 100}}");
        put(
                SFT,
                is(
                        "Running",
                        Optional.empty(),
                        Optional.of(
                                new Checkpoints(checkpoint(200), null, List.of(checkpoint(200), checkpoint(100))))));
        assertThat(resolve(yaml))
                .isInstanceOfSatisfying(
                        Resolution.Ready.class,
                        ready -> assertThat(ready.checkpoint().orElseThrow().step())
                                .isEqualTo(100));
        put(
                SFT,
                is(
                        "Complete",
                        Optional.empty(),
                        Optional.of(new Checkpoints(checkpoint(200), null, List.of(checkpoint(200))))));
        assertBlocked(yaml, Reason.CheckpointNotFound, true, "Step 100", "status.checkpoints");
    }

    @Test
    void aJobOfTheOtherKindIsPointedOut() {
        put(PRETRAIN, RunStatus.EMPTY);
        assertBlocked(EVAL, Reason.ReferenceNotFound, false, "SFTJob emoji does not exist", "pretrainJob");
    }

    @Test
    void aLocationNeedsNobody() {
        var yaml = EVAL.replace("{sftJob: {name: emoji}}", "{location: \"pvc://models/x\"}");
        assertThat(resolve(yaml))
                .isInstanceOfSatisfying(
                        Resolution.Ready.class,
                        ready -> assertThat(ready.checkpoint().orElseThrow().location())
                                .isEqualTo("pvc://models/x"));
    }

    @Test
    void pinsAreTheStepsThatUnfinishedJobsReferTo() {
        var job = is(
                "Complete",
                Optional.empty(),
                Optional.of(new Checkpoints(checkpoint(200), checkpoint(100), List.of(checkpoint(200)))));
        var byStep = EVAL.replace("{sftJob: {name: emoji}}", "{pretrainJob: {name: emoji, select: Step, step: 50}}");
        var best = EVAL.replace("{sftJob: {name: emoji}}", "{pretrainJob: {name: emoji, select: Best}}");
        var other = EVAL.replace("{sftJob: {name: emoji}}", "{pretrainJob: {name: another}}");
        var neighbours = List.of(
                new Pins.Neighbour(subject(SFT).work(), RunStatus.EMPTY),
                new Pins.Neighbour(subject(byStep).work(), RunStatus.EMPTY),
                new Pins.Neighbour(subject(best).work(), is("Complete", Optional.empty(), Optional.empty())),
                new Pins.Neighbour(subject(other).work(), RunStatus.EMPTY));
        assertThat(Pins.of(Kind.PretrainJob, "emoji", job, neighbours)).containsExactly(50L, 200L);
        assertThat(Pins.of(Kind.SFTJob, "emoji", job, neighbours)).isEmpty();
    }
}
