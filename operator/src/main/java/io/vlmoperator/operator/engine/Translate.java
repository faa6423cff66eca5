package io.vlmoperator.operator.engine;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodCondition;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.status.Bounded;
import io.vlmoperator.operator.status.StatusCodec;
import io.vlmoperator.operator.workload.Labels;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** From Kubernetes objects to the model. Whatever a field holds, translating never throws. */
final class Translate {
    private static final String INDEX = "batch.kubernetes.io/job-completion-index";

    private Translate() {}

    static AttemptJob job(Job job) {
        var conditions = job.getStatus() == null || job.getStatus().getConditions() == null
                ? List.<JobCondition>of()
                : job.getStatus().getConditions();
        var complete = is(conditions, "Complete");
        var failed = is(conditions, "Failed");
        var failing = is(conditions, "FailureTarget");
        var state = complete.isPresent()
                ? AttemptJob.State.Complete
                : failed.isPresent()
                        ? AttemptJob.State.Failed
                        : failing.isPresent()
                                ? AttemptJob.State.Failing
                                : Boolean.TRUE.equals(job.getSpec().getSuspend())
                                        ? AttemptJob.State.Suspended
                                        : AttemptJob.State.Active;
        var ending = complete.or(() -> failed).or(() -> failing);
        return new AttemptJob(
                attempt(job),
                job.getMetadata().getName(),
                state,
                ending.map(JobCondition::getMessage).orElse(""),
                time(job.getMetadata().getCreationTimestamp()).orElse(Instant.EPOCH),
                ending.map(JobCondition::getLastTransitionTime).flatMap(Translate::time),
                time(job.getMetadata().getDeletionTimestamp()),
                job.getSpec().getParallelism() == null ? 1 : job.getSpec().getParallelism(),
                !annotation(job, Labels.KUEUE_MIN_PARALLELISM).isEmpty(),
                DatasetStage.ofWord(labels(job).get(Labels.STAGE)),
                annotation(job, Labels.RETRY_DIGEST));
    }

    private static Optional<JobCondition> is(List<JobCondition> conditions, String type) {
        return conditions.stream()
                .filter(c -> type.equals(c.getType()) && "True".equals(c.getStatus()))
                .findFirst();
    }

    static WorkerPod pod(Pod pod) {
        var status = pod.getStatus();
        var container = status == null || status.getContainerStatuses() == null
                ? Optional.<ContainerStatus>empty()
                : status.getContainerStatuses().stream()
                        .filter(c -> Labels.CONTAINER.equals(c.getName()))
                        .findFirst();
        return new WorkerPod(
                attempt(pod),
                number(annotation(pod, INDEX)),
                pod.getMetadata().getName(),
                text(pod.getSpec().getNodeName()),
                phase(status == null ? null : status.getPhase()),
                pod.getMetadata().getDeletionTimestamp() != null,
                time(pod.getMetadata().getCreationTimestamp()).orElse(Instant.EPOCH),
                waiting(pod, container),
                status == null ? "" : text(status.getReason()),
                condition(pod, "DisruptionTarget")
                        .filter(c -> "True".equals(c.getStatus()))
                        .map(c -> text(c.getReason()))
                        .orElse(""),
                container.flatMap(Translate::end));
    }

    private static Optional<WorkerPod.Waiting> waiting(Pod pod, Optional<ContainerStatus> container) {
        var scheduled = condition(pod, "PodScheduled")
                .filter(c -> "False".equals(c.getStatus()))
                .map(c -> new WorkerPod.Waiting(text(c.getReason()), shortText(c.getMessage())));
        return scheduled.or(() -> container
                .filter(c -> c.getState() != null && c.getState().getWaiting() != null)
                .map(c -> c.getState().getWaiting())
                .map(w -> new WorkerPod.Waiting(text(w.getReason()), shortText(w.getMessage()))));
    }

    private static Optional<WorkerPod.End> end(ContainerStatus container) {
        if (container.getState() == null || container.getState().getTerminated() == null) {
            return Optional.empty();
        }
        var terminated = container.getState().getTerminated();
        var raw = text(terminated.getMessage());
        return Optional.of(new WorkerPod.End(
                terminated.getExitCode() == null ? 0 : terminated.getExitCode(),
                text(terminated.getReason()),
                time(terminated.getFinishedAt()).orElse(Instant.EPOCH),
                lastWord(raw),
                shortText(raw)));
    }

    static Optional<TerminationMessage> lastWord(String text) {
        if (!text.startsWith("{")) {
            return Optional.empty();
        }
        try {
            return Optional.of(StatusCodec.json().readValue(text, TerminationMessage.class));
        } catch (JsonProcessingException | RuntimeException e) {
            // Cut off or from another program: the text itself is still shown.
            return Optional.empty();
        }
    }

    private static Optional<PodCondition> condition(Pod pod, String type) {
        return pod.getStatus() == null || pod.getStatus().getConditions() == null
                ? Optional.empty()
                : pod.getStatus().getConditions().stream()
                        .filter(c -> type.equals(c.getType()))
                        .findFirst();
    }

    private static WorkerPod.Phase phase(String phase) {
        return switch (text(phase)) {
            case "Running" -> WorkerPod.Phase.Running;
            case "Succeeded" -> WorkerPod.Phase.Succeeded;
            case "Failed" -> WorkerPod.Phase.Failed;
            case "Pending", "" -> WorkerPod.Phase.Pending;
            default -> WorkerPod.Phase.Unknown;
        };
    }

    private static int attempt(HasMetadata object) {
        return number(labels(object).get(Labels.ATTEMPT));
    }

    static Map<String, String> labels(HasMetadata object) {
        var labels = object.getMetadata().getLabels();
        return labels == null ? Map.of() : labels;
    }

    private static String annotation(HasMetadata object, String name) {
        var annotations = object.getMetadata().getAnnotations();
        return annotations == null ? "" : annotations.getOrDefault(name, "");
    }

    private static int number(String text) {
        try {
            return text == null || text.isEmpty() ? 0 : Integer.parseInt(text);
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    private static Optional<Instant> time(String text) {
        try {
            return text == null ? Optional.empty() : Optional.of(Instant.parse(text));
        } catch (java.time.format.DateTimeParseException e) {
            return Optional.empty();
        }
    }

    private static String text(String value) {
        return value == null ? "" : value;
    }

    private static String shortText(String value) {
        return Bounded.text(text(value).strip(), 400);
    }
}
