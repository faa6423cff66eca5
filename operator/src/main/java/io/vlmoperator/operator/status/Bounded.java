package io.vlmoperator.operator.status;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Checkpoints;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.Limits;
import io.vlmoperator.operator.model.RunStatus;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Keeps a status under {@value #MAX_BYTES} bytes whatever workers report: every text and list is cut to a limit, and while the whole is
 * still too long, what matters least goes first. What is left out is in storage.
 */
public final class Bounded {
    /** Room is left for {@code progress} (at most 1,800 bytes), which another manager writes. */
    public static final int MAX_BYTES = 8 * 1024 - 1900;

    /** Shorter than the schema's limits, so that a usual status needs no further cuts. */
    static final int NAME = 64;

    static final int DIGEST = 80;
    static final int NODE = 100;
    static final int MESSAGE = 512;

    private Bounded() {}

    static RunStatus fit(Kind kind, String location, RunStatus status) {
        var cut = limits(status, MESSAGE, Limits.LOCATION);
        for (UnaryOperator<RunStatus> step : STEPS) {
            if (StatusCodec.bytes(kind, location, cut) <= MAX_BYTES) {
                return cut;
            }
            cut = step.apply(cut);
        }
        return cut;
    }

    /** From what matters least; after the last step any status is below the limit. */
    private static final List<UnaryOperator<RunStatus>> STEPS = List.of(
            s -> results(s, 32, 4),
            s -> attempts(s, 5, 160),
            s -> checkpoints(s, 2),
            s -> results(s, 12, 0),
            s -> sources(s, 8),
            s -> attempts(s, 3, 100),
            s -> limits(s, 200, Limits.LOCATION),
            s -> results(s, 6, 0),
            s -> sources(s, 2),
            s -> checkpoints(s, 0),
            s -> attempts(s, 2, 80),
            s -> limits(s, 100, 200),
            s -> results(s, 1, 0),
            s -> limits(s, 40, 100),
            s -> attempts(s, 1, 40),
            s -> sources(s, 0),
            s -> results(s, 0, 0));

    /** At most so many UTF-16 units; no surrogate pair is cut in two, controls become spaces. */
    public static String text(String value, int most) {
        if (value == null) {
            return null;
        }
        boolean cut = value.length() > most;
        int end = cut ? most - 1 : value.length();
        if (end > 0 && end < value.length() && Character.isHighSurrogate(value.charAt(end - 1))) {
            end--;
        }
        var builder = new StringBuilder(end + 1);
        value.substring(0, end)
                .codePoints()
                .map(c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE ? ' ' : c)
                .forEach(builder::appendCodePoint);
        return cut ? builder.append('…').toString() : builder.toString();
    }

    private static RunStatus limits(RunStatus s, int message, int location) {
        return new RunStatus(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                s.progress(),
                s.checkpoints()
                        .map(all -> new Checkpoints(
                                checkpoint(all.latest(), location),
                                checkpoint(all.best(), location),
                                all.recent() == null
                                        ? List.of()
                                        : all.recent().stream()
                                                .map(c -> checkpoint(c, location))
                                                .toList())),
                s.results().stream().map(Bounded::result).toList(),
                s.attempts().stream().map(a -> attempt(a, message)).toList(),
                s.restarts(),
                s.export()
                        .map(e -> new Export(
                                text(e.location(), location), text(e.format(), NAME), text(e.digest(), DIGEST))),
                s.dataset().map(Bounded::dataset),
                s.source().map(v -> text(v, location)),
                s.conditions().stream()
                        .map(c -> new Condition(
                                c.type(),
                                c.status(),
                                c.observedGeneration(),
                                c.lastTransitionTime(),
                                c.reason(),
                                text(c.message(), message)))
                        .toList());
    }

    private static Checkpoint checkpoint(Checkpoint c, int location) {
        return c == null
                ? null
                : new Checkpoint(
                        c.step(),
                        text(c.time(), NAME),
                        text(c.location(), location),
                        text(c.digest(), DIGEST),
                        c.bytes(),
                        Figures.readable(c.loss()));
    }

    private static BenchmarkResult result(BenchmarkResult r) {
        return new BenchmarkResult(
                text(r.benchmark(), NAME),
                text(r.split(), NAME),
                text(r.protocol(), NAME),
                text(r.metric(), NAME),
                Figures.readable(r.value()),
                Figures.readable(r.interval()),
                Figures.readable(r.chance()),
                r.rows(),
                r.unparsed(),
                r.skipped(),
                r.step(),
                text(r.checkpointDigest(), DIGEST),
                text(r.dataDigest(), DIGEST),
                text(r.promptDigest(), DIGEST),
                r.tokensPerImage(),
                Figures.readable(r.seconds()),
                r.fewShot() == null
                        ? null
                        : new BenchmarkResult.FewShot(
                                r.fewShot().shots(),
                                r.fewShot().seeds(),
                                Figures.readable(r.fewShot().spread())),
                r.categories() == null
                        ? List.of()
                        : r.categories().stream()
                                .filter(Objects::nonNull)
                                .limit(16)
                                .map(c -> new BenchmarkResult.Category(
                                        text(c.name(), NAME), Figures.readable(c.value()), c.rows()))
                                .toList());
    }

    private static Attempt attempt(Attempt a, int message) {
        return new Attempt(
                a.number(),
                text(a.startedAt(), NAME),
                text(a.endedAt(), NAME),
                text(a.failureClass(), NAME),
                text(a.reason(), NAME),
                text(a.message(), message),
                a.exitCode(),
                text(a.node(), NODE),
                a.lastStep(),
                a.resumedFrom(),
                a.world(),
                a.scheduled(),
                text(a.stage(), NAME));
    }

    private static DatasetSummary dataset(DatasetSummary d) {
        return new DatasetSummary(
                d.samples(),
                d.images(),
                d.tokens(),
                d.rows(),
                Figures.readable(d.fill()),
                d.bytes(),
                text(d.digest(), DIGEST),
                text(d.tokenizerDigest(), DIGEST),
                d.sources().stream()
                        .limit(32)
                        .map(source -> new io.vlmoperator.api.status.DatasetStatus.SourceCount(
                                text(source.name(), NAME), source.samples(), source.images(), source.selected()))
                        .toList(),
                d.rejected().stream()
                        .limit(16)
                        .map(r ->
                                new io.vlmoperator.api.status.DatasetStatus.Rejected(text(r.reason(), NAME), r.count()))
                        .toList());
    }

    private static RunStatus results(RunStatus s, int most, int categories) {
        var results = s.results().stream()
                .limit(most)
                .map(r -> r.withCategories(
                        r.categories().stream().limit(categories).toList()))
                .toList();
        return with(s, s.checkpoints(), results, s.attempts(), s.dataset());
    }

    private static RunStatus attempts(RunStatus s, int most, int message) {
        var kept = s.attempts()
                .subList(Math.max(0, s.attempts().size() - most), s.attempts().size());
        return with(
                s,
                s.checkpoints(),
                s.results(),
                kept.stream().map(a -> attempt(a, message)).toList(),
                s.dataset());
    }

    private static RunStatus checkpoints(RunStatus s, int most) {
        return with(
                s,
                s.checkpoints()
                        .map(all -> new Checkpoints(
                                all.latest(),
                                all.best(),
                                all.recent().stream().limit(most).toList())),
                s.results(),
                s.attempts(),
                s.dataset());
    }

    private static RunStatus sources(RunStatus s, int most) {
        return with(
                s,
                s.checkpoints(),
                s.results(),
                s.attempts(),
                s.dataset()
                        .map(d -> new DatasetSummary(
                                d.samples(),
                                d.images(),
                                d.tokens(),
                                d.rows(),
                                d.fill(),
                                d.bytes(),
                                d.digest(),
                                d.tokenizerDigest(),
                                d.sources().stream().limit(most).toList(),
                                d.rejected().stream().limit(most).toList())));
    }

    private static RunStatus with(
            RunStatus s,
            Optional<Checkpoints> checkpoints,
            List<BenchmarkResult> results,
            List<Attempt> attempts,
            Optional<DatasetSummary> dataset) {
        return new RunStatus(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                s.progress(),
                checkpoints,
                results,
                attempts,
                s.restarts(),
                s.export(),
                dataset,
                s.source(),
                s.conditions());
    }
}
