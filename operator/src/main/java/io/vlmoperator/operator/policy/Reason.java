package io.vlmoperator.operator.policy;

import io.vlmoperator.api.run.ExitCode.FailureClass;

/**
 * Every reason that stands in a condition, an attempt or an event. The names are API: people alert on them. Each has an entry in
 * {@code src/docs/runbook.md}.
 */
public enum Reason {
    /** The spec and everything it refers to are good. */
    Accepted,
    /** The spec asks for something that can't run: a feature that is not built yet, or a broken rule. */
    InvalidSpec,
    /** A resource or claim that the spec names does not exist (yet). */
    ReferenceNotFound,
    /** What the spec refers to is not complete yet. */
    ReferenceNotReady,
    /** What the spec refers to has failed. */
    ReferenceFailed,
    /** The reference is of a kind that can't serve here. */
    ReferenceWrongKind,
    /** The Dataset was made for other tokens per image, another context length or another tokenizer. */
    PlanMismatch,
    /** The job referred to has no such checkpoint. */
    CheckpointNotFound,
    /** More than one node on a claim that only one node can mount. */
    VolumeNotShareable,

    /** A Dataset was deleted while jobs use it: it goes when they end. */
    InUse,

    /** A queue has not admitted the attempt yet. */
    WaitingForQuota,
    /** No queue is involved, or it has admitted the attempt. */
    NotQueued,
    /** Pods are being scheduled and started. */
    Starting,
    /** All workers run. */
    Running,
    /** The newest attempt reports progress. */
    Reporting,
    /** It reports progress, and something that a person should look at: a step without an update, a loss spike, a damaged checkpoint. */
    TrainingWarning,
    /** A failed attempt will be followed by another after a pause. */
    BackingOff,
    /** Workers of an earlier attempt are still ending. */
    WaitingForOldWorkers,
    /** {@code spec.suspend} is true. */
    Suspended,
    /** {@code spec.suspend} is false. */
    NotSuspended,
    /** The work is done. */
    Completed,
    /** It runs, or it waits for something that is on its way. */
    InProgress,
    /** No checkpoint is complete yet. */
    NoCheckpoint,
    /** There is a complete checkpoint in storage. */
    CheckpointSaved,
    /** It has not failed. */
    NotFailed,

    /** No node has room for a worker. */
    Unschedulable,
    /** A worker's image can't be fetched. */
    ImagePullFailed,
    /** A worker's container can't be made (missing Secret, bad volume, wrong user). */
    ContainerCreateFailed,

    /** Exit 64: the frozen job is wrong; retrying cannot help. */
    InvalidConfiguration(FailureClass.Configuration),
    /** Exit 65: the data can't be read. */
    InvalidData(FailureClass.Data),
    /** Exit 66: storage could not be read or written. */
    StorageFailed(FailureClass.Infrastructure),
    /** Exit 67: model or files exceed memory or disk. */
    DoesNotFit(FailureClass.Configuration),
    /** Exit 70: an error of the trainer. */
    InternalError(FailureClass.User),
    /** Exit 80: the loss is no number. */
    NonFinite(FailureClass.User),
    /** Exit 137 without OOM: killed from outside. */
    Killed(FailureClass.Infrastructure),
    /** Exit 143: terminated from outside before it could save. */
    Terminated(FailureClass.Infrastructure),
    /** Exit 160: terminated from outside, saved first. */
    PreemptedAfterSaving(FailureClass.Preempted),
    /** Exit 161: workers waited for each other too long. */
    CollectiveTimeout(FailureClass.Hang),
    /** Exit 162 everywhere: the lost worker left no trace. */
    PeerLost(FailureClass.Infrastructure),
    /** Exit 163: the trainer's own step deadline. */
    StepDeadlineExceeded(FailureClass.Hang),
    /** Exit 164: a newer attempt owns the run folder. */
    Fenced(FailureClass.Fenced),
    /** The kernel killed a worker for its memory limit. */
    OOMKilled(FailureClass.OutOfMemory),
    /** A crash or an exit code that the contract does not know. */
    UnknownExit(FailureClass.User),
    /** The kubelet or the eviction API took a worker away. */
    Evicted(FailureClass.Infrastructure),
    /** A worker's node is gone or silent. */
    NodeLost(FailureClass.Infrastructure),
    /** The scheduler took a worker away for a pod of higher priority. */
    PreemptedByScheduler(FailureClass.Infrastructure),
    /** The Job or its pods were deleted by somebody else. */
    WorkersVanished(FailureClass.Infrastructure),
    /** No report came within {@code failure.startupDeadlineSeconds}. */
    StartupDeadlineExceeded(FailureClass.Infrastructure),
    /** At the startup deadline only some of the workers had a node, and {@code workers.minNodes} of them will do. */
    NodesMissing,
    /** A queue took the workers of a running attempt back. */
    Requeued(FailureClass.Preempted),
    /** Reports stopped for {@code failure.stepDeadlineSeconds}. */
    ProgressSilent(FailureClass.Hang),

    /** {@code failure.activeDeadlineSeconds} is over. */
    ActiveDeadlineExceeded,
    /** {@code failure.maxRestarts} or {@code maxInfrastructureRestarts} is used up. */
    RestartBudgetExceeded,

    /** A child's name is taken by an object of another owner. */
    ChildNameTaken,
    /** The API server refused or could not take a request; it is tried again. */
    RequestFailed,

    /** Event: an attempt was started. */
    AttemptStarted,
    /** Event: an attempt failed. */
    AttemptFailed,
    /** Event: an attempt was stopped by the operator. */
    AttemptStopped,
    /** Event: the resource is deleted because its time to live is over. */
    Expired;

    private final FailureClass failureClass;

    Reason() {
        this(FailureClass.None);
    }

    Reason(FailureClass failureClass) {
        this.failureClass = failureClass;
    }

    /** The class of an attempt that ended so; None for reasons that end no attempt. */
    public FailureClass failureClass() {
        return failureClass;
    }
}
