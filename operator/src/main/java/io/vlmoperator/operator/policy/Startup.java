package io.vlmoperator.operator.policy;

import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * From the creation of an attempt's pods until its first report. What keeps a pod from starting is shown at once; after
 * {@code failure.startupDeadlineSeconds} the attempt ends. Time in a queue is not counted.
 */
public final class Startup {
    private Startup() {}

    /** Why a worker does not start. */
    public record Trouble(Reason reason, String message) {}

    /** The first thing that keeps one of the pods from starting. */
    public static Optional<Trouble> trouble(List<WorkerPod> pods) {
        return pods.stream()
                .filter(pod -> pod.waiting().isPresent() && !pod.over())
                .sorted(Comparator.comparingInt(WorkerPod::index))
                .flatMap(pod -> trouble(pod).stream())
                .findFirst();
    }

    private static Optional<Trouble> trouble(WorkerPod pod) {
        var waiting = pod.waiting().orElseThrow();
        var reason = switch (waiting.reason()) {
            case "Unschedulable" -> Reason.Unschedulable;
            case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable" ->
                Reason.ImagePullFailed;
            case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError" ->
                Reason.ContainerCreateFailed;
            default -> null;
        };
        return Optional.ofNullable(reason)
                .map(r -> new Trouble(r, "Worker " + pod.index() + ": " + waiting.reason() + ": " + waiting.message()));
    }

    public static Deadline check(Subject subject, Observed observed, AttemptJob job) {
        if (job.state() != AttemptJob.State.Active
                || Hang.lastHeard(subject, observed, job.attempt()).isPresent()) {
            return new Deadline.Off();
        }
        var pods = observed.pods(job.attempt());
        // Until the Job controller has made the pods, the Job's own age is the measure.
        Instant start = pods.stream()
                .map(WorkerPod::createdAt)
                .min(Comparator.naturalOrder())
                .orElse(job.createdAt());
        var limit = Duration.ofSeconds(subject.work().failure().startupDeadlineSeconds());
        var cause =
                trouble(pods).map(t -> ": " + t.reason() + ": " + t.message()).orElse("");
        return Deadline.at(
                start.plus(limit),
                observed.now(),
                Reason.StartupDeadlineExceeded,
                "No report within " + limit.toSeconds() + " s (failure.startupDeadlineSeconds)" + cause);
    }
}
