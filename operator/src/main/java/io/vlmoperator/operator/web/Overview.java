package io.vlmoperator.operator.web;

import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.engine.Neighbours;
import io.vlmoperator.operator.engine.Subjects;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** The resources as the page shows them; read only, newest first, at most {@value #MOST}. */
public final class Overview {
    static final int MOST = 500;

    private final Neighbours neighbours;

    public Overview(Neighbours neighbours) {
        this.neighbours = neighbours;
    }

    /**
     * One row.
     *
     * @param message what it waits for or why it failed; empty when all is well
     */
    public record Row(
            String kind,
            String namespace,
            String name,
            String phase,
            String message,
            Progress progress,
            Long checkpoint,
            Integer attempts,
            Long samples,
            List<Score> scores) {}

    /** A score in short. */
    public record Score(String benchmark, String protocol, Double value, Double chance, Long rows) {}

    public List<Row> rows() {
        var all = new ArrayList<Subject>();
        Stream.of(Kind.values())
                .flatMap(kind -> neighbours.list(kind).stream())
                .map(Subjects::of)
                .forEach(all::add);
        return all.stream()
                .sorted(Comparator.comparing(Subject::createdAt)
                        .reversed()
                        .thenComparing(Subject::kind)
                        .thenComparing(Subject::name))
                .limit(MOST)
                .map(Overview::row)
                .toList();
    }

    static Row row(Subject s) {
        var status = s.status();
        var message = status.isTrue("Complete") ? "" : trouble(status);
        return new Row(
                s.kind().name(),
                s.namespace(),
                s.name(),
                status.phase().map(Enum::name).orElse("Pending"),
                message,
                status.progress().orElse(null),
                status.latestStep() < 0 ? null : status.latestStep(),
                status.lastAttempt().map(a -> a.number()).orElse(0),
                status.dataset().map(d -> d.samples()).orElse(null),
                status.results().stream().limit(6).map(Overview::score).toList());
    }

    /** The message of the first condition that tells what is wrong or what it waits for. */
    private static String trouble(RunStatus status) {
        record Sign(String type, String status) {}
        return Stream.of(
                        new Sign("Failed", "True"),
                        new Sign("Stalled", "True"),
                        new Sign("Accepted", "False"),
                        new Sign("Running", "False"))
                .flatMap(sign ->
                        status.condition(sign.type()).filter(c -> sign.status().equals(c.status())).stream())
                .map(Condition::message)
                .filter(text -> text != null && !text.isEmpty())
                .findFirst()
                .orElse("");
    }

    private static Score score(BenchmarkResult r) {
        return new Score(r.benchmark(), r.protocol(), r.value(), r.chance(), r.rows());
    }
}
