package io.vlmoperator.api.run;

import java.util.Arrays;
import java.util.Optional;

/** The trainer's exit codes and the class the operator gives each ({@code src/docs/contracts.md}). The name is the reason. */
public enum ExitCode {
    Completed(0, FailureClass.None),
    InvalidConfiguration(64, FailureClass.Configuration),
    InvalidData(65, FailureClass.Data),
    StorageFailed(66, FailureClass.Infrastructure),
    DoesNotFit(67, FailureClass.Configuration),
    InternalError(70, FailureClass.User),
    NonFinite(80, FailureClass.User),
    Killed(137, FailureClass.Infrastructure),
    Terminated(143, FailureClass.Infrastructure),
    PreemptedAfterSaving(160, FailureClass.Preempted),
    CollectiveTimeout(161, FailureClass.Hang),
    PeerLost(162, FailureClass.Peer),
    StepDeadlineExceeded(163, FailureClass.Hang),
    Fenced(164, FailureClass.Fenced);

    private final int code;
    private final FailureClass failureClass;

    ExitCode(int code, FailureClass failureClass) {
        this.code = code;
        this.failureClass = failureClass;
    }

    public int code() {
        return code;
    }

    public FailureClass failureClass() {
        return failureClass;
    }

    public static Optional<ExitCode> of(int code) {
        return Arrays.stream(values()).filter(value -> value.code == code).findFirst();
    }

    /** What an exit means for the budgets. */
    public enum FailureClass {
        None,
        /** Never retried. */
        Configuration,
        Data,
        User,
        Infrastructure,
        OutOfMemory,
        Hang,
        /** Saved before it went; costs no budget. */
        Preempted,
        /** Takes the class of the worker that was lost. */
        Peer,
        /** A newer attempt owns the run; not counted. */
        Fenced
    }
}
