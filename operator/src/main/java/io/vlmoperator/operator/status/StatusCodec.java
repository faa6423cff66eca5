package io.vlmoperator.operator.status;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.api.status.EvalJobStatus;
import io.vlmoperator.api.status.Limits;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.api.status.TrainingStatus;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Reason;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;

/** Between the typed statuses of the API and {@link RunStatus}, and to JSON: absent values are left out, never null. */
public final class StatusCodec {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .serializationInclusion(JsonInclude.Include.NON_EMPTY)
            .configure(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS, true)
            .configure(SerializationFeature.FAIL_ON_EMPTY_BEANS, false)
            .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
            .build();

    private StatusCodec() {}

    /** JSON without absent values; unknown fields are ignored when read. */
    public static ObjectMapper json() {
        return JSON;
    }

    public static RunStatus read(DatasetStatus s) {
        if (s == null) {
            return RunStatus.EMPTY;
        }
        var summary = s.digest() == null && s.samples() == null
                ? null
                : new DatasetSummary(
                        s.samples(),
                        s.images(),
                        s.tokens(),
                        s.rows(),
                        s.fill(),
                        s.bytes(),
                        s.digest(),
                        s.tokenizerDigest(),
                        s.sources(),
                        s.rejected());
        return common(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                s.progress(),
                s.attempts(),
                s.restarts(),
                s.conditions(),
                new Extras(null, List.of(), null, summary, null));
    }

    public static RunStatus read(TrainingStatus s) {
        return s == null
                ? RunStatus.EMPTY
                : common(
                        s.phase(),
                        s.observedGeneration(),
                        s.startedAt(),
                        s.finishedAt(),
                        s.progress(),
                        s.attempts(),
                        s.restarts(),
                        s.conditions(),
                        new Extras(s.checkpoints(), s.benchmarks(), s.export(), null, null));
    }

    public static RunStatus read(EvalJobStatus s) {
        return s == null
                ? RunStatus.EMPTY
                : common(
                        s.phase(),
                        s.observedGeneration(),
                        s.startedAt(),
                        s.finishedAt(),
                        s.progress(),
                        s.attempts(),
                        s.restarts(),
                        s.conditions(),
                        new Extras(null, s.results(), null, null, s.checkpoint()));
    }

    private record Extras(
            io.vlmoperator.api.status.Checkpoints checkpoints,
            List<BenchmarkResult> results,
            io.vlmoperator.api.status.Export export,
            DatasetSummary dataset,
            String source) {}

    private static RunStatus common(
            Phase phase,
            Long generation,
            String started,
            String finished,
            Progress progress,
            List<Attempt> attempts,
            Restarts restarts,
            List<Condition> conditions,
            Extras extras) {
        return new RunStatus(
                Optional.ofNullable(phase),
                generation == null ? 0 : generation,
                Optional.ofNullable(started).map(Instant::parse),
                Optional.ofNullable(finished).map(Instant::parse),
                Optional.ofNullable(progress),
                Optional.ofNullable(extras.checkpoints()).filter(all -> all.latest() != null),
                orEmpty(extras.results()),
                orEmpty(attempts),
                restarts == null ? RunStatus.NO_RESTARTS : restarts,
                Optional.ofNullable(extras.export()),
                Optional.ofNullable(extras.dataset()),
                Optional.ofNullable(extras.source()),
                orEmpty(conditions));
    }

    private static <T> List<T> orEmpty(List<T> list) {
        return list == null ? List.of() : list.stream().filter(Objects::nonNull).toList();
    }

    /** The typed status of the kind, without progress: that belongs to another field manager. */
    public static Object write(Kind kind, String location, RunStatus s) {
        var phase = s.phase().orElse(null);
        var trouble = trouble(s);
        var why = trouble.map(Condition::reason).orElse(null);
        var words = trouble.map(Condition::message)
                .map(text -> Bounded.text(text, Limits.SUMMARY))
                .orElse(null);
        var started = s.startedAt().map(Instant::toString).orElse(null);
        var finished = s.finishedAt().map(Instant::toString).orElse(null);
        long generation = s.observedGeneration();
        return switch (kind) {
            case Dataset -> {
                var d = s.dataset()
                        .orElse(new DatasetSummary(
                                null, null, null, null, null, null, null, null, List.of(), List.of()));
                yield new DatasetStatus(
                        phase,
                        why,
                        words,
                        generation,
                        started,
                        finished,
                        location,
                        d.samples(),
                        d.images(),
                        d.tokens(),
                        d.rows(),
                        d.fill(),
                        d.bytes(),
                        d.digest(),
                        d.tokenizerDigest(),
                        d.sources(),
                        d.rejected(),
                        null,
                        s.attempts(),
                        s.restarts(),
                        s.conditions());
            }
            case PretrainJob, SFTJob ->
                new TrainingStatus(
                        phase,
                        why,
                        words,
                        generation,
                        started,
                        finished,
                        null,
                        s.checkpoints().orElse(null),
                        s.results(),
                        s.attempts(),
                        s.restarts(),
                        s.export().orElse(null),
                        s.conditions());
            case EvalJob ->
                new EvalJobStatus(
                        phase,
                        why,
                        words,
                        generation,
                        started,
                        finished,
                        s.source().orElse(null),
                        summary(s.results()),
                        null,
                        s.results(),
                        s.attempts(),
                        s.restarts(),
                        s.conditions());
        };
    }

    /** The condition that tells people what is wrong or waited for; empty while all goes well. */
    static Optional<Condition> trouble(RunStatus s) {
        if (s.isTrue(StatusReport.HELD)) {
            return s.condition(StatusReport.HELD);
        }
        if (s.isTrue("Stalled")) {
            return s.condition("Stalled");
        }
        if (s.isTrue("Reconciling")) {
            return s.condition("Reconciling");
        }
        return switch (s.phase().orElse(Phase.Pending)) {
            case Queued -> s.condition("Queued");
            case Restarting -> s.condition("Running");
            case Starting ->
                s.condition("Running").filter(c -> !Reason.Starting.name().equals(c.reason()));
            case Pending, Running, Suspended, Complete, Failed -> Optional.empty();
        };
    }

    /** The scores in one line: benchmark, value, protocol; null without scores. */
    static String summary(List<BenchmarkResult> results) {
        var line = results.stream()
                .filter(r -> r.value() != null)
                .map(r -> String.format(Locale.ROOT, "%s %.1f %% (%s)", r.benchmark(), 100 * r.value(), r.protocol()))
                .collect(Collectors.joining(", "));
        return line.isEmpty() ? null : Bounded.text(line, Limits.SUMMARY);
    }

    /** The status as the API server gets it. */
    @SuppressWarnings("unchecked")
    public static Map<String, Object> tree(Subject subject, RunStatus status) {
        return JSON.convertValue(write(subject.kind(), subject.work().output().location(), status), Map.class);
    }

    static int bytes(Kind kind, String location, RunStatus status) {
        try {
            return JSON.writeValueAsBytes(write(kind, location, status)).length;
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }
}
