package io.vlmoperator.operator.web;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.engine.Neighbours;
import io.vlmoperator.operator.engine.Subjects;
import io.vlmoperator.operator.model.Subject;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * What the statuses say, as Prometheus gauges: the figures of {@code kubectl get}, for dashboards and alerts. Read from the caches, so a
 * scrape asks nothing of the API server; the newest {@value #MOST} resources only, so that their number is bounded. A figure that a
 * resource does not have has no series. The names are listed in {@code src/docs/monitoring.md}; a test keeps both equal.
 */
public final class ResourceMetrics {
    static final int MOST = 500;

    private static final String TRAINING = "of a training job, as last reported";

    /** One gauge: its name with the unit last, and what it tells. */
    enum Figure {
        PHASE("vlm.resource.phase", "1 for the phase that a resource is in"),
        ATTEMPTS("vlm.resource.attempts", "Number of the newest attempt"),
        ETA("vlm.resource.eta.seconds", "Seconds until the end by the present speed"),
        DONE("vlm.resource.done", "Shards (Dataset) or rows (EvalJob) done"),
        TOTAL("vlm.resource.total", "Shards (Dataset) or rows (EvalJob) in all"),
        STEP("vlm.job.step", "Optimizer steps done " + TRAINING),
        STEPS("vlm.job.steps", "Optimizer steps in all " + TRAINING),
        LOSS("vlm.job.loss", "Loss " + TRAINING),
        NORM("vlm.job.gradient.norm", "Global norm of the gradient " + TRAINING),
        RATE("vlm.job.learning.rate", "Learning rate " + TRAINING),
        TOKENS("vlm.job.tokens", "Tokens so far, visual and text, " + TRAINING),
        SPEED("vlm.job.tokens.per.second", "Tokens per second over all workers " + TRAINING),
        MFU("vlm.job.mfu", "Model FLOPs utilisation, 0 to 1, " + TRAINING),
        DATA_WAIT("vlm.job.data.wait", "Share of a step spent waiting for data, 0 to 1, " + TRAINING),
        CHECKPOINT("vlm.job.checkpoint.step", "Step of the newest durable checkpoint"),
        SAMPLES("vlm.dataset.samples", "Samples that a Dataset kept"),
        ROWS("vlm.dataset.rows", "Packed rows of a Dataset"),
        FILL("vlm.dataset.fill", "Share of the rows' context that holds tokens, 0 to 1"),
        SCORE("vlm.benchmark.score", "Score of a benchmark, 0 to 1"),
        INTERVAL("vlm.benchmark.interval", "Half width of the score's 95 % interval"),
        CHANCE("vlm.benchmark.chance", "What guessing reaches");

        private final String id;
        private final String description;

        Figure(String id, String description) {
            this.id = id;
            this.description = description;
        }

        /** As Prometheus shows it. */
        String series() {
            return id.replace('.', '_');
        }
    }

    private final Supplier<List<Subject>> subjects;
    private final Map<Figure, MultiGauge> gauges = new LinkedHashMap<>();

    /** Shows nothing before the first {@link #refresh}. */
    public ResourceMetrics(Neighbours neighbours, MeterRegistry registry) {
        this(
                () -> Stream.of(Kind.values())
                        .flatMap(kind -> neighbours.list(kind).stream())
                        .map(Subjects::of)
                        .toList(),
                registry);
    }

    ResourceMetrics(Supplier<List<Subject>> subjects, MeterRegistry registry) {
        this.subjects = subjects;
        for (var figure : Figure.values()) {
            gauges.put(
                    figure,
                    MultiGauge.builder(figure.id)
                            .description(figure.description)
                            .register(registry));
        }
    }

    /** Replaces all series by what the caches say now; series of resources that are gone disappear. */
    public void refresh() {
        var rows = new LinkedHashMap<Figure, List<MultiGauge.Row<?>>>();
        subjects.get().stream()
                .sorted(Comparator.comparing(Subject::createdAt).reversed())
                .limit(MOST)
                .forEach(subject -> read(subject, rows));
        gauges.forEach((figure, gauge) -> gauge.register(rows.getOrDefault(figure, List.of()), true));
    }

    private static void read(Subject subject, Map<Figure, List<MultiGauge.Row<?>>> rows) {
        var status = subject.status();
        var tags = Tags.of("kind", subject.kind().name(), "namespace", subject.namespace(), "name", subject.name());
        var phase = status.phase().orElse(Phase.Pending);
        add(rows, Figure.PHASE, tags.and("phase", phase.name()), 1);
        status.lastAttempt().ifPresent(attempt -> add(rows, Figure.ATTEMPTS, tags, attempt.number()));
        if (status.latestStep() >= 0) {
            add(rows, Figure.CHECKPOINT, tags, status.latestStep());
        }
        status.progress().ifPresent(progress -> read(progress, status.finished(), tags, rows));
        status.dataset().ifPresent(dataset -> {
            add(rows, Figure.SAMPLES, tags, dataset.samples());
            add(rows, Figure.ROWS, tags, dataset.rows());
            add(rows, Figure.FILL, tags, dataset.fill());
        });
        status.results().forEach(result -> read(result, tags, rows));
    }

    private static void read(
            Progress progress, boolean finished, Tags tags, Map<Figure, List<MultiGauge.Row<?>>> rows) {
        add(rows, Figure.DONE, tags, progress.done());
        add(rows, Figure.TOTAL, tags, progress.total());
        add(rows, Figure.STEP, tags, progress.step());
        add(rows, Figure.STEPS, tags, progress.steps());
        add(rows, Figure.LOSS, tags, progress.loss());
        add(rows, Figure.NORM, tags, progress.gradientNorm());
        add(rows, Figure.TOKENS, tags, progress.tokens());
        if (!finished) { // a speed of yesterday would be added up with today's
            add(rows, Figure.ETA, tags, progress.etaSeconds());
            add(rows, Figure.RATE, tags, progress.learningRate());
            add(rows, Figure.SPEED, tags, progress.tokensPerSecond());
            add(rows, Figure.MFU, tags, progress.mfu());
            add(rows, Figure.DATA_WAIT, tags, progress.dataWait());
        }
    }

    private static void read(BenchmarkResult result, Tags tags, Map<Figure, List<MultiGauge.Row<?>>> rows) {
        var all = tags.and(
                "benchmark", word(result.benchmark()),
                "split", word(result.split()),
                "protocol", word(result.protocol()),
                "metric", word(result.metric()),
                "step", result.step() == null ? "" : result.step().toString());
        add(rows, Figure.SCORE, all, result.value());
        add(rows, Figure.INTERVAL, all, result.interval());
        add(rows, Figure.CHANCE, all, result.chance());
    }

    private static String word(String text) {
        return Optional.ofNullable(text).orElse("");
    }

    private static void add(Map<Figure, List<MultiGauge.Row<?>>> rows, Figure figure, Tags tags, Number value) {
        if (value != null) {
            rows.computeIfAbsent(figure, key -> new ArrayList<>()).add(MultiGauge.Row.of(tags, value));
        }
    }
}
