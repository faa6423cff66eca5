package io.vlmoperator.operator.web;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vlmoperator.operator.Fixtures;
import io.vlmoperator.operator.model.Subject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What dashboards read: values, series of resources that are gone, bounds, and that documents speak of gauges that exist. */
class ResourceMetricsTest {
    private static final String RUNNING = """
            status:
              phase: Running
              progress: {attempt: 2, step: 40, steps: 100, tokens: 5000, loss: 1.5, learningRate: 0.001, tokensPerSecond: 321.5, dataWait: 0.02, etaSeconds: 60}
              checkpoints: {latest: {step: 30, location: "pvc://runs/emoji/checkpoints/step-000000030"}}
              attempts: [{number: 1}, {number: 2}]
            """;
    private static final String SCORED = """
            status:
              phase: Complete
              conditions: [{type: Complete, status: "True", reason: Completed, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]
              progress: {attempt: 1, done: 10, total: 10, etaSeconds: 0}
              results: [{benchmark: names, split: test, protocol: Strict, metric: accuracy, value: 0.55, interval: 0.02, chance: 0.25, rows: 10, step: 100}]
            """;

    private final List<Subject> subjects = new ArrayList<>();
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final ResourceMetrics metrics = new ResourceMetrics(() -> List.copyOf(subjects), registry);

    private double value(String name, String... tags) {
        return registry.get(name).tags(tags).gauge().value();
    }

    private List<String> names() {
        return registry.getMeters().stream()
                .map(meter -> meter.getId().getName())
                .toList();
    }

    @Test
    void showsWhatTheStatusSays() {
        subjects.add(Fixtures.subject(Fixtures.PRETRAIN + RUNNING));
        subjects.add(Fixtures.subject(Fixtures.EVAL + SCORED));
        metrics.refresh();
        String[] job = {"kind", "PretrainJob", "namespace", "team", "name", "emoji"};
        assertThat(value("vlm.job.loss", job)).isEqualTo(1.5);
        assertThat(value("vlm.job.step", job)).isEqualTo(40);
        assertThat(value("vlm.job.steps", job)).isEqualTo(100);
        assertThat(value("vlm.job.tokens.per.second", job)).isEqualTo(321.5);
        assertThat(value("vlm.job.checkpoint.step", job)).isEqualTo(30);
        assertThat(value("vlm.resource.attempts", job)).isEqualTo(2);
        assertThat(value("vlm.resource.phase", "kind", "PretrainJob", "phase", "Running"))
                .isEqualTo(1);
        assertThat(value("vlm.benchmark.score", "benchmark", "names", "protocol", "Strict", "step", "100"))
                .isEqualTo(0.55);
        assertThat(value("vlm.benchmark.chance", "benchmark", "names")).isEqualTo(0.25);
        assertThat(names()).as("no MFU was reported, and none is made up").doesNotContain("vlm.job.mfu");
        assertThat(registry.find("vlm.resource.eta.seconds").gauges())
                .as("what is complete has no time to its end")
                .hasSize(1);
    }

    @Test
    void seriesOfADeletedResourceDisappear() {
        subjects.add(Fixtures.subject(Fixtures.PRETRAIN + RUNNING));
        metrics.refresh();
        assertThat(names()).contains("vlm.job.loss");
        subjects.clear();
        metrics.refresh();
        assertThat(names()).isEmpty();
    }

    @Test
    void theirNumberIsBounded() {
        for (int i = 0; i < ResourceMetrics.MOST + 100; i++) {
            subjects.add(Fixtures.subject(Fixtures.PRETRAIN
                    .replace("name: emoji", "name: emoji-" + i)
                    .replace("2026-01-01T00:00:00Z", "2026-01-01T%02d:%02d:00Z".formatted(i / 60, i % 60))));
        }
        metrics.refresh();
        List<String> shown = registry.find("vlm.resource.phase").gauges().stream()
                .map(Meter::getId)
                .map(id -> id.getTag("name"))
                .toList();
        assertThat(shown).hasSize(ResourceMetrics.MOST).contains("emoji-599").doesNotContain("emoji-99");
    }

    @Test
    void documentAndDashboardSpeakOfTheseGauges() throws IOException {
        var series = Arrays.stream(ResourceMetrics.Figure.values())
                .map(ResourceMetrics.Figure::series)
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(gauges(Path.of("../src/docs/monitoring.md")))
                .as("src/docs/monitoring.md lists every gauge and no other")
                .isEqualTo(series);
        assertThat(series)
                .as("queries of charts/vlm-operator/files/dashboard.json")
                .containsAll(gauges(Path.of("../charts/vlm-operator/files/dashboard.json")));
    }

    private static TreeSet<String> gauges(Path file) throws IOException {
        return Pattern.compile("\\bvlm_[a-z_]+")
                .matcher(Files.readString(file))
                .results()
                .map(match -> match.group())
                .collect(Collectors.toCollection(TreeSet::new));
    }
}
