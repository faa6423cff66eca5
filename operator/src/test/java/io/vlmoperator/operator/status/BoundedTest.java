package io.vlmoperator.operator.status;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Checkpoints;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import io.vlmoperator.operator.model.RunStatus;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class BoundedTest {
    private static final int WHOLE = 8 * 1024;
    private static final String LOCATION = "x".repeat(1280);

    /** A status of random sizes and contents, up to far beyond what a worker may send. */
    private static RunStatus random(Random random) {
        Supplier<String> text = () -> {
            int length = random.nextInt(6) == 0 ? random.nextInt(5000) : random.nextInt(60);
            var alphabet = random.nextInt(4);
            return random.ints(
                            length,
                            0,
                            switch (alphabet) {
                                case 0 -> 0x110000;
                                case 1 -> 0xffff;
                                default -> 0x7f;
                            })
                    .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                    .toString();
        };
        Supplier<Long> number = () -> random.nextBoolean() ? null : random.nextLong();
        Supplier<Double> real = () -> switch (random.nextInt(5)) {
            case 0 -> Double.NaN;
            case 1 -> null;
            case 2 -> Double.NEGATIVE_INFINITY;
            default -> random.nextGaussian() * Math.pow(10, random.nextInt(300));
        };
        Supplier<Checkpoint> checkpoint =
                () -> new Checkpoint(number.get(), text.get(), text.get(), text.get(), number.get(), real.get());
        return new RunStatus(
                Optional.of(Phase.Running),
                random.nextLong(),
                Optional.of(Instant.EPOCH),
                Optional.empty(),
                Optional.empty(),
                Optional.of(new Checkpoints(checkpoint.get(), checkpoint.get(), list(random, 10, checkpoint))),
                list(
                        random,
                        80,
                        () -> new BenchmarkResult(
                                text.get(),
                                text.get(),
                                text.get(),
                                text.get(),
                                real.get(),
                                real.get(),
                                real.get(),
                                number.get(),
                                number.get(),
                                number.get(),
                                number.get(),
                                text.get(),
                                text.get(),
                                text.get(),
                                16,
                                real.get(),
                                random.nextBoolean() ? null : new BenchmarkResult.FewShot(8, 5, real.get()),
                                list(
                                        random,
                                        30,
                                        () -> new BenchmarkResult.Category(text.get(), real.get(), number.get())))),
                list(
                        random,
                        10,
                        () -> new Attempt(
                                1,
                                text.get(),
                                text.get(),
                                text.get(),
                                text.get(),
                                text.get(),
                                1,
                                text.get(),
                                number.get(),
                                number.get(),
                                2,
                                2)),
                new Restarts(1, 2, 3),
                Optional.of(new Export(text.get(), text.get(), text.get())),
                Optional.of(new DatasetSummary(
                        number.get(),
                        number.get(),
                        number.get(),
                        number.get(),
                        real.get(),
                        number.get(),
                        text.get(),
                        text.get(),
                        list(
                                random,
                                70,
                                () -> new DatasetStatus.SourceCount(
                                        text.get(), number.get(), number.get(), number.get())),
                        list(random, 40, () -> new DatasetStatus.Rejected(text.get(), number.get())))),
                Optional.of(text.get()),
                Stream.of(
                                "Accepted",
                                "Queued",
                                "Running",
                                "Progressing",
                                "Checkpointed",
                                "Suspended",
                                "Complete",
                                "Failed",
                                "Ready",
                                "Reconciling",
                                "Stalled")
                        .map(type -> new Condition(
                                type, "False", 1L, "2026-01-01T00:00:00Z", "ActiveDeadlineExceeded", text.get()))
                        .toList());
    }

    private static <T> List<T> list(Random random, int most, Supplier<T> make) {
        return Stream.generate(make).limit(random.nextInt(most + 1)).toList();
    }

    @Test
    void whateverComesTheStatusStaysUnderEightKibibytes() throws Exception {
        for (int seed = 0; seed < 150; seed++) {
            var status = random(new Random(seed));
            for (Kind kind : Kind.values()) {
                var fit = Bounded.fit(kind, LOCATION, status);
                var json = StatusCodec.json().writeValueAsString(StatusCodec.write(kind, LOCATION, fit));
                assertThat(json.getBytes(StandardCharsets.UTF_8).length)
                        .as("seed %d, %s", seed, kind)
                        .isLessThanOrEqualTo(WHOLE - 600);
                assertThat(json).doesNotContain("NaN").doesNotContain("Infinity");
                assertThat(Bounded.fit(kind, LOCATION, fit))
                        .as("cutting twice, seed %d, %s", seed, kind)
                        .isEqualTo(fit);
            }
        }
    }

    @Test
    void textsAreCutAtWholeCharacters() {
        assertThat(Bounded.text("abc", 3)).isEqualTo("abc");
        assertThat(Bounded.text("abcd", 3)).isEqualTo("ab…");
        assertThat(Bounded.text("a😀bc", 3)).isEqualTo("a…");
        assertThat(Bounded.text("a\nb\u0000", 9)).isEqualTo("a b ");
        assertThat(Bounded.text("\ud83d", 9)).isEqualTo(" ");
    }
}
