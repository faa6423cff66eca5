package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.CheckpointTools;
import io.vlmoperator.trainer.storage.Buckets;
import io.vlmoperator.trainer.storage.MisbehavingProxy;
import io.vlmoperator.trainer.storage.MisbehavingProxy.Fault;
import io.vlmoperator.trainer.storage.S3Server;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A run whose folder lies in a store that fails now and then, or from some moment on for good. */
class RunOnBadDaysTest {
    private static final int STEPS = 6;

    @TempDir
    Path folder;

    private MisbehavingProxy proxy;

    @BeforeEach
    void start() throws Exception {
        proxy = new MisbehavingProxy(new S3Server());
        proxy.bucket("runs");
    }

    @AfterEach
    void stop() throws Exception {
        proxy.close();
    }

    private TinyRun local() throws IOException {
        TinyRun run = new TinyRun(Files.createDirectories(folder.resolve("local")));
        run.steps = STEPS;
        run.everySteps = 2;
        run.train();
        return run;
    }

    /** Each attempt is another program. */
    private TinyRun run(int attempt) throws IOException {
        Buckets buckets = proxy.buckets(folder.resolve("cache-" + attempt));
        TinyRun run = new TinyRun(buckets.path("s3://runs/a"));
        run.locations = Locations.of(Map.of()).with(buckets);
        run.attempt = attempt;
        run.steps = STEPS;
        run.everySteps = 2;
        return run;
    }

    private void assertWhole(int... steps) throws IOException {
        Path direct = proxy.behind().buckets(folder.resolve("direct")).path("s3://runs/a/run");
        CheckpointTools.Report report = CheckpointTools.verify(direct);
        assertThat(report.damaged()).isEmpty();
        assertThat(report.checkpoints()).hasSizeGreaterThanOrEqualTo(steps.length);
        for (int step : steps) {
            assertThat(report.checkpoints())
                    .anySatisfy(c -> assertThat(c.step()).isEqualTo(step));
        }
    }

    @Test
    void whatFailsNowAndThenChangesNothing() throws IOException {
        TinyRun local = local();
        List<Fault> kinds =
                List.of(Fault.INTERNAL_ERROR, Fault.CLOSED, Fault.CUT_REQUEST, Fault.CUT_ANSWER, Fault.LOST_ANSWER);
        AtomicInteger requests = new AtomicInteger();
        proxy.plan((method, target) -> {
            int n = requests.getAndIncrement();
            return n % 6 == 5 ? kinds.get(n / 6 % kinds.size()) : Fault.NONE;
        });
        TinyRun run = run(1);
        run.train();
        assertThat(proxy.faults()).isGreaterThan(10);
        assertThat(run.losses()).isEqualTo(local.losses());
        assertThat(run.weights()).isEqualTo(local.weights());
        proxy.plan((method, target) -> Fault.NONE);
        assertWhole(4, 6);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            CLOSED  | s3://runs/a/run
            EXPIRED | have expired
            """)
    void whatFailsForGoodEndsTheRunAndTheNextGoesOn(Fault fault, String words) throws IOException {
        TinyRun local = local();
        AtomicBoolean away = new AtomicBoolean();
        proxy.plan((method, target) -> {
            if (target.contains("step-000000004")) {
                away.set(true); // in the middle of the second save
            }
            return away.get() ? fault : Fault.NONE;
        });
        TinyRun first = run(1);
        assertThatThrownBy(first::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StorageFailed))
                .hasMessageContaining(words);
        assertThat(proxy.faults()).as("bounded").isBetween(1, 500);
        proxy.plan((method, target) -> Fault.NONE);
        assertWhole(2);

        TinyRun second = run(2);
        second.train();
        assertThat(second.facts.resumedFrom()).isPresent();
        assertThat(second.losses()).isEqualTo(local.losses());
        assertThat(second.weights()).isEqualTo(local.weights());
    }
}
