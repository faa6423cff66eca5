package io.vlmoperator.operator.status;

import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.Work;
import io.vlmoperator.operator.plan.Facts;
import io.vlmoperator.operator.plan.Stage;
import io.vlmoperator.operator.policy.Reason;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Builds the whole status from the facts. Transition times are kept where a condition's status did not change, so that the same facts
 * give the same status and nothing is written without news.
 */
public final class StatusReport {
    /** Condition of a Dataset that is deleted and still in use. */
    static final String HELD = "Held";

    private StatusReport() {}

    public static RunStatus of(Subject subject, Facts facts, Instant now) {
        return Bounded.fit(
                subject.kind(),
                subject.work().output().location(),
                new RunStatus(
                        Optional.of(phase(facts.stage())),
                        subject.generation(),
                        facts.startedAt(),
                        facts.finishedAt(),
                        subject.status().progress(),
                        facts.checkpoints(),
                        facts.results(),
                        facts.attempts(),
                        facts.restarts(),
                        facts.export(),
                        facts.dataset(),
                        facts.source(),
                        conditions(subject, facts, now.truncatedTo(ChronoUnit.SECONDS))));
    }

    /** The status of a Dataset whose deletion waits for the jobs that use it: as it was, and who they are. */
    public static RunStatus held(Subject subject, String message, Instant now) {
        var s = subject.status();
        var list = new Conditions(subject, now.truncatedTo(ChronoUnit.SECONDS));
        s.conditions().stream().filter(c -> !c.type().equals(HELD)).forEach(list.all::add);
        list.put(HELD, true, Reason.InUse, message);
        return Bounded.fit(subject.kind(), subject.work().output().location(), s.withConditions(list.all()));
    }

    static Phase phase(Stage stage) {
        return switch (stage) {
            case Waiting -> Phase.Pending;
            case Queued -> Phase.Queued;
            case Starting -> Phase.Starting;
            case Running -> Phase.Running;
            case Restarting -> Phase.Restarting;
            case Suspended -> Phase.Suspended;
            case Complete -> Phase.Complete;
            case Failed -> Phase.Failed;
        };
    }

    private static List<Condition> conditions(Subject subject, Facts facts, Instant now) {
        var list = new Conditions(subject, now);
        var stage = facts.stage();
        var reason = facts.reason();
        var message = facts.message();
        boolean waiting = stage == Stage.Waiting;
        list.put("Accepted", !waiting, waiting ? reason : Reason.Accepted, waiting ? message : "");
        if (subject.work().workers().queue() != null) {
            boolean queued = stage == Stage.Queued;
            list.put("Queued", queued, queued ? reason : Reason.NotQueued, queued ? message : "");
        }
        boolean running = stage == Stage.Running;
        list.put("Running", running, reason, message);
        boolean reporting = running && facts.reporting();
        list.put(
                "Progressing",
                reporting,
                reporting ? facts.warning().isPresent() ? Reason.TrainingWarning : Reason.Reporting : reason,
                reporting ? facts.warning().orElse("") : running ? "Waiting for the first report" : message);
        if (subject.work() instanceof Work.TrainingWork) {
            facts.checkpoints()
                    .ifPresentOrElse(
                            all -> list.put(
                                    "Checkpointed",
                                    true,
                                    Reason.CheckpointSaved,
                                    "Step " + all.latest().step()),
                            () -> list.put("Checkpointed", false, Reason.NoCheckpoint, ""));
        }
        boolean suspended = stage == Stage.Suspended;
        list.put("Suspended", suspended, suspended ? reason : Reason.NotSuspended, suspended ? message : "");
        boolean complete = stage == Stage.Complete;
        list.put("Complete", complete, complete ? reason : Reason.InProgress, complete ? message : "");
        boolean failed = stage == Stage.Failed;
        list.put("Failed", failed, failed ? reason : Reason.NotFailed, failed ? message : "");
        boolean stalled = failed || facts.needsPerson();
        boolean reconciling = waiting && !stalled;
        list.put(
                "Ready",
                !waiting && !stalled,
                waiting || stalled ? reason : complete ? reason : Reason.InProgress,
                waiting || stalled ? message : "");
        list.put("Reconciling", reconciling, reconciling ? reason : Reason.Accepted, reconciling ? message : "");
        list.put("Stalled", stalled, stalled ? reason : Reason.InProgress, stalled ? message : "");
        return list.all();
    }

    /** Collects conditions; each type once. */
    private static final class Conditions {
        private final Subject subject;
        private final Instant now;
        private final List<Condition> all = new ArrayList<>();

        Conditions(Subject subject, Instant now) {
            this.subject = subject;
            this.now = now;
        }

        void put(String type, boolean is, Reason reason, String message) {
            var status = is ? "True" : "False";
            var since = subject.status()
                    .condition(type)
                    .filter(old -> status.equals(old.status()) && old.lastTransitionTime() != null)
                    .map(Condition::lastTransitionTime)
                    .orElse(now.toString());
            all.add(new Condition(type, status, subject.generation(), since, reason.name(), message));
        }

        List<Condition> all() {
            return List.copyOf(all);
        }
    }
}
