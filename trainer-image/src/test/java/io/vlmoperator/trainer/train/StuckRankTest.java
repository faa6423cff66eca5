package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.TcpRing;
import io.vlmoperator.trainer.model.Batch;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** One rank of two stands still in mid-run: both end, and the reports of both say who, at which step and at what. */
@Timeout(600)
class StuckRankTest {
    private static final int WORLD = 2;
    /** Steps are counted from 0 where data are read. */
    private static final long STUCK = 4;

    private static final int LIMIT_SECONDS = 12;
    private static final int PATIENT_SECONDS = 300;
    private static final int DATA_DEADLINE_SECONDS = LIMIT_SECONDS * 10 / 6;
    private static final int SAVE_DEADLINE_SECONDS = 20;

    @TempDir
    Path folder;

    /** What holds a rank; released when the test is over. */
    private final CountDownLatch release = new CountDownLatch(1);

    private void hold() {
        try {
            release.await(PATIENT_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What both ranks threw. */
    private List<TrainerException> ends(
            String name, int operationSeconds, Consumer<TinyRun> second, UnaryOperator<Communicator> secondRing)
            throws Exception {
        PeerSecret secret = PeerSecret.random();
        int port = Ranks.freePorts(WORLD);
        List<TrainerException> ends = new ArrayList<>();
        Path root = Files.createDirectories(folder.resolve(name));
        try (var threads = Executors.newCachedThreadPool()) {
            List<Future<?>> all = new ArrayList<>();
            for (int r = 0; r < WORLD; r++) {
                int rank = r;
                TinyRun run = new TinyRun(root);
                run.steps = 6;
                run.everySteps = 6;
                run.microSize = 4;
                if (rank == 1) {
                    second.accept(run);
                }
                all.add(threads.submit(() -> {
                    try (Communicator ring = TcpRing.connect(
                            new Membership(
                                    "uid-1",
                                    1,
                                    rank,
                                    WORLD,
                                    secret,
                                    "127.0.0.1",
                                    port,
                                    Duration.ofSeconds(PATIENT_SECONDS),
                                    Duration.ofSeconds(operationSeconds)),
                            Optional.of("127.0.0.1"),
                            Optional.empty(),
                            run.facts.whereabouts())) {
                        run.train(run.job(WORLD), rank == 1 ? secondRing.apply(ring) : ring);
                    } finally {
                        release.countDown();
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                try {
                    one.get(PATIENT_SECONDS, TimeUnit.SECONDS);
                    throw new AssertionError("a rank came to its end in spite of the other");
                } catch (ExecutionException e) {
                    assertThat(e.getCause()).isInstanceOf(TrainerException.class);
                    ends.add((TrainerException) e.getCause());
                }
            }
        }
        return ends;
    }

    @Test
    void aRankWithoutDataEndsAndIsNamed() throws Exception {
        List<TrainerException> ends = ends(
                "data",
                PATIENT_SECONDS,
                run -> {
                    run.stepDeadlineSeconds = DATA_DEADLINE_SECONDS;
                    run.data = rows -> new RowSource() {
                        @Override
                        public long rows() {
                            return rows.rows();
                        }

                        @Override
                        public long tokens() {
                            return rows.tokens();
                        }

                        @Override
                        public Batch rows(long step, int from, int to) {
                            if (step == STUCK) {
                                hold();
                            }
                            return rows.rows(step, from, to);
                        }

                        @Override
                        public void close() {
                            rows.close();
                        }
                    };
                },
                UnaryOperator.identity());
        assertThat(ends.get(1).code()).as(ends.get(1).getMessage()).isEqualTo(ExitCode.StepDeadlineExceeded);
        assertThat(ends.get(1).getMessage())
                .startsWith("waited " + LIMIT_SECONDS + " s for the data of micro-batch 1 of 1; the storage")
                .contains("this worker is in step 5, waiting for the data of micro-batch 1 of 1 for")
                .contains("all workers finished step 4")
                .contains("the others wait for this worker")
                .containsPattern(
                        "not waited for: rank 0 \\(step 5, waiting for the reduce-scatter of bucket \\d+ of \\d+");
        assertThat(ends.get(0).code()).as(ends.get(0).getMessage()).isEqualTo(ExitCode.PeerLost);
        assertThat(ends.get(0).getMessage())
                .containsPattern("this worker is in step 5, waiting for the reduce-scatter of bucket \\d+ of \\d+ for")
                .contains("waited for: rank 1 (step 5, waiting for the data of micro-batch 1 of 1 for");
    }

    @Test
    void aRankThatDoesNotComeToACollectiveIsNamed() throws Exception {
        AtomicInteger messages = new AtomicInteger();
        List<TrainerException> ends =
                ends("collective", LIMIT_SECONDS, run -> {}, ring -> (Communicator) Proxy.newProxyInstance(
                        StuckRankTest.class.getClassLoader(),
                        new Class<?>[] {Communicator.class},
                        (proxy, method, arguments) -> {
                            boolean message = method.getName().equals("allGather") && arguments[0] instanceof byte[];
                            // One tells where to begin, then there is one a step.
                            if (message && messages.incrementAndGet() == STUCK + 2) {
                                hold();
                            }
                            try {
                                return method.invoke(ring, arguments);
                            } catch (InvocationTargetException e) {
                                throw e.getCause();
                            }
                        }));
        assertThat(ends.get(0).code()).as(ends.get(0).getMessage()).isEqualTo(ExitCode.CollectiveTimeout);
        assertThat(ends.get(0).getMessage())
                .startsWith("waited " + LIMIT_SECONDS + " s for rank 1 in Messages ")
                .contains("this worker is in step 5, exchanging sums with the others for")
                .contains("waited for: rank 1 (step 5, exchanging sums with the others for");
        assertThat(ends.get(1).code()).as(ends.get(1).getMessage()).isEqualTo(ExitCode.PeerLost);
    }

    @Test
    void aRankWhoseDiskHangsEndsAndIsNamedWithTheFile() throws Exception {
        List<TrainerException> ends = ends(
                "save",
                PATIENT_SECONDS,
                run -> {
                    run.stepDeadlineSeconds = SAVE_DEADLINE_SECONDS;
                    run.faults = (call, path) -> {
                        if (call.equals("force")) {
                            try {
                                if (!release.await(PATIENT_SECONDS, TimeUnit.SECONDS)) {
                                    throw new IOException("nobody came");
                                }
                            } catch (InterruptedException e) {
                                throw new IOException(e);
                            }
                        }
                    };
                },
                UnaryOperator.identity());
        assertThat(ends.get(1).code()).as(ends.get(1).getMessage()).isEqualTo(ExitCode.StepDeadlineExceeded);
        assertThat(ends.get(1).getMessage())
                .containsPattern("^saving step 6 in \\S+ took more than 19 s, at 'force \\.rank-00001-of-00002")
                .contains("not waited for: rank 0 (step 7, hearing how far the others are with the save of step 6 for");
        assertThat(ends.get(0).code()).as(ends.get(0).getMessage()).isEqualTo(ExitCode.PeerLost);
        assertThat(ends.get(0).getMessage())
                .startsWith("worker 1 could not save step 6: saving step 6 in ")
                .contains("rank 1 (step 7, ");
    }
}
