package io.vlmoperator.operator.policy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.WorkerPod;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;

/**
 * Why an attempt failed, read from its pods while they are there. The first worker that failed by itself is the cause; workers that
 * were terminated because of it, or lost a peer, are consequences.
 */
public final class Classify {
    private static final Pattern EXIT_IN_MESSAGE = Pattern.compile("failed with exit code (\\d{1,3}) ");

    private Classify() {}

    /**
     * @param exitCode of the worker that failed first
     * @param node it ran on, or empty
     * @param lastWord its last word, if any
     */
    public record Cause(
            Reason reason, String message, OptionalInt exitCode, String node, Optional<TerminationMessage> lastWord) {}

    /** The cause, as far as it can be told; a later call may know better while pods are still ending. */
    public static Cause of(AttemptJob job, List<WorkerPod> pods) {
        return pods.stream()
                .flatMap(pod -> evidence(pod).stream())
                .min(Comparator.comparingInt(Evidence::weight).thenComparing(Evidence::at))
                .map(Evidence::cause)
                .orElseGet(() -> fromJob(job));
    }

    /** Whether nothing that is still ending could change the cause. */
    public static boolean decisive(Cause cause) {
        return weight(cause.reason()) == 0;
    }

    private record Evidence(Cause cause, int weight, Instant at) {}

    private static Optional<Evidence> evidence(WorkerPod pod) {
        var end = pod.end();
        var exit = end.map(WorkerPod.End::exitCode);
        if (exit.isPresent() && exit.get() == 0) {
            return Optional.empty();
        }
        if (exit.isEmpty() && pod.disruption().isEmpty() && pod.podReason().isEmpty()) {
            return Optional.empty();
        }
        var reason = reason(pod, exit);
        var word = end.flatMap(WorkerPod.End::lastWord);
        var message = reason == Reason.OOMKilled
                ? outOfMemory(pod)
                : word.map(TerminationMessage::message)
                        .filter(text -> !text.isBlank())
                        .or(() -> end.map(WorkerPod.End::text).filter(text -> !text.isBlank()))
                        .orElseGet(() -> described(pod, exit));
        var at = end.map(WorkerPod.End::finishedAt).orElse(pod.createdAt());
        var code = exit.map(OptionalInt::of).orElse(OptionalInt.empty());
        return Optional.of(new Evidence(new Cause(reason, message, code, pod.node(), word), weight(reason), at));
    }

    /** Who is killed so has no last words, and its log ends without a reason. */
    private static String outOfMemory(WorkerPod pod) {
        return "Worker " + pod.index() + " (" + pod.name()
                + ") was killed because it used more memory than its limit; raise"
                + " workers.resources.limits.memory, or in training use more workers, a lower batch.microSize or recompute:"
                + " Full";
    }

    private static String described(WorkerPod pod, Optional<Integer> exit) {
        var how = exit.map(code -> "ended with exit code " + code).orElse("was taken away");
        var why = pod.disruption().isEmpty() ? pod.podReason() : pod.disruption();
        return "Worker " + pod.index() + " (" + pod.name() + ") " + how + (why.isEmpty() ? "" : ": " + why);
    }

    private static Reason reason(WorkerPod pod, Optional<Integer> exit) {
        if (exit.filter(code -> code == ExitCode.PreemptedAfterSaving.code()).isPresent()) {
            return Reason.PreemptedAfterSaving;
        }
        if (pod.end().filter(end -> "OOMKilled".equals(end.reason())).isPresent()) {
            return Reason.OOMKilled;
        }
        // An exit code of the trainer's own says more than what happened to the pod afterwards.
        var known = exit.flatMap(ExitCode::of).filter(code -> code != ExitCode.Killed && code != ExitCode.Terminated);
        if (known.isPresent()) {
            return Reason.valueOf(known.get().name());
        }
        switch (pod.disruption()) {
            case "PreemptionByScheduler":
                return Reason.PreemptedByScheduler;
            case "DeletionByTaintManager", "DeletionByPodGC":
                return Reason.NodeLost;
            case "EvictionByEvictionAPI", "TerminationByKubelet":
                return Reason.Evicted;
            default:
                break;
        }
        switch (pod.podReason()) {
            case "NodeLost", "Shutdown", "NodeShutdown", "Terminated":
                return Reason.NodeLost;
            case "Evicted", "Preempting", "UnexpectedAdmissionError":
                return Reason.Evicted;
            default:
                break;
        }
        return exit.map(Classify::byCode).orElse(Reason.Evicted);
    }

    /** Codes of the contract; signals from outside are infrastructure, crashes (abort, bus error, segmentation fault) are not. */
    static Reason byCode(int code) {
        return ExitCode.of(code).map(known -> Reason.valueOf(known.name())).orElseGet(() -> switch (code) {
            case 129, 130, 131 -> Reason.Terminated;
            default -> Reason.UnknownExit;
        });
    }

    /** 0: a cause; 1: workers waited in vain; 2: terminated, perhaps because another failed; 3: lost its peer. */
    private static int weight(Reason reason) {
        return switch (reason) {
            case CollectiveTimeout -> 1;
            case Terminated, PreemptedAfterSaving -> 2;
            case PeerLost -> 3;
            default -> 0;
        };
    }

    private static Cause fromJob(AttemptJob job) {
        var match = EXIT_IN_MESSAGE.matcher(job.message());
        if (match.find()) {
            int code = Integer.parseInt(match.group(1));
            return new Cause(byCode(code), job.message(), OptionalInt.of(code), "", Optional.empty());
        }
        var text = job.message().isBlank() ? "The workers are gone and left no trace" : job.message();
        return new Cause(Reason.WorkersVanished, text, OptionalInt.empty(), "", Optional.empty());
    }
}
