package io.vlmoperator.trainer.dist;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a report says of the others, and that ranks hear of each other while no collective moves. */
@Timeout(300)
class WhereaboutsTest {
    private static final long SECOND = 1_000_000_000L;
    private static final long SILENCE = 3600 * SECOND;

    private static Whereabouts.Place place(long step, long collectives, String doing, long secondsAgo, boolean gone) {
        long now = System.nanoTime();
        return new Whereabouts.Place(step, collectives, doing, now - secondsAgo * SECOND, now, gone);
    }

    private static Whereabouts rank0(int world) {
        Whereabouts own = new Whereabouts();
        own.joined(0, world, SILENCE);
        own.begin(7, "waiting for the reduce-scatter of bucket 2 of 5");
        for (int i = 0; i < 10; i++) {
            own.asked();
        }
        return own;
    }

    @Test
    void aWorldOfOneHasNobodyToReport() {
        assertThat(new Whereabouts().report()).isEmpty();
    }

    @Test
    void thoseWithFewerCollectivesAreWaitedForAndRanksAtOnePlaceAreNamedTogether() {
        Whereabouts own = rank0(8);
        own.heard(1, place(7, 8, "waiting for the data of micro-batch 1 of 2", 40, false));
        for (int rank : new int[] {2, 3, 4, 6, 7}) {
            own.heard(rank, place(7, 10, "waiting for the reduce-scatter of bucket 2 of 5", 30, false));
        }
        own.heard(5, place(6, 4, "computing micro-batch 2 of 2", 50, true));
        assertThat(own.report())
                .matches(
                        "waited for: rank 5 \\(step 6, computing micro-batch 2 of 2 for 5\\d\\.\\d s, then its connection"
                                + " ended\\), rank 1 \\(step 7, waiting for the data of micro-batch 1 of 2 for 4\\d\\.\\d s\\);"
                                + " not waited for: ranks 2-4, 6-7 \\(step 7, waiting for the reduce-scatter of bucket 2 of 5 for"
                                + " 3\\d\\.\\d s\\)");
    }

    @Test
    void aRankThatFallsSilentIsWaitedForWhateverItSaidLast() {
        Whereabouts own = new Whereabouts();
        own.joined(0, 2, -1); // everything is too long ago
        own.asked();
        own.heard(1, place(7, 1, "updating weights", 3, false));
        assertThat(own.report()).contains("waited for: rank 1").contains("then nothing was heard for");
    }

    @Test
    void whoIsBehindSaysSo() {
        Whereabouts own = rank0(2);
        own.heard(1, place(7, 11, "exchanging sums with the others", 3, false));
        assertThat(own.report()).startsWith("the others wait for this worker; not waited for: rank 1 (step 7");
        own.heard(1, place(7, 10, "exchanging sums with the others", 3, false));
        assertThat(own.report()).startsWith("no worker is behind the others");
    }

    @Test
    void aReportOfAThousandRanksIsShort() {
        Whereabouts own = rank0(1024);
        for (int rank = 1; rank < 1024; rank++) {
            own.heard(rank, place(7, rank % 50, "x".repeat(1000) + rank, rank % 97, false));
        }
        assertThat(own.report()).hasSizeLessThan(2000).contains(" and ").contains(" more");
        Whereabouts scattered = rank0(1024);
        for (int rank = 1; rank < 1024; rank += 2) {
            scattered.heard(rank, place(7, 9, "computing", 1, false));
        }
        assertThat(scattered.report()).hasSizeLessThan(400);
    }

    @Test
    void ranksHearOfEachOtherWithoutAnyCollective() throws Exception {
        PeerSecret secret = PeerSecret.random();
        int port = CommunicatorContract.freePorts();
        List<Whereabouts> all = List.of(new Whereabouts(), new Whereabouts(), new Whereabouts());
        try (var threads = Executors.newCachedThreadPool()) {
            List<Future<TcpRing>> joining = new ArrayList<>();
            for (int r = 0; r < 3; r++) {
                int rank = r;
                joining.add(threads.submit(() -> TcpRing.connect(
                        new Membership(
                                "uid",
                                1,
                                rank,
                                3,
                                secret,
                                "127.0.0.1",
                                port,
                                Duration.ofMinutes(2),
                                Duration.ofMinutes(2)),
                        Optional.of("127.0.0.1"),
                        Optional.empty(),
                        all.get(rank))));
            }
            List<TcpRing> rings = new ArrayList<>();
            for (Future<TcpRing> one : joining) {
                rings.add(one.get(200, TimeUnit.SECONDS));
            }
            // Nobody takes part in what rank 2 asks for.
            rings.get(2).allReduceSum(Buffer.floats(MemorySegment.NULL));
            all.get(0).begin(3, "waiting for data");
            all.get(1).begin(4, "writing \u00e4\u00f6\u00fc");
            await(() -> all.get(2).report(), "rank 0 (step 3, waiting for data for");
            await(() -> all.get(2).report(), "rank 1 (step 4, writing \u00e4\u00f6\u00fc for");
            await(() -> all.get(0).report(), "the others wait for this worker");
            await(() -> all.get(1).report(), "rank 0 (step 3, waiting for data for");
            rings.get(1).close();
            await(() -> all.get(0).report(), "then its connection ended");
            await(() -> all.get(2).report(), "then its connection ended");
            rings.get(0).close();
            rings.get(2).close();
        }
    }

    private static void await(Supplier<String> report, String text) throws InterruptedException {
        long until = System.nanoTime() + 120 * SECOND;
        while (!report.get().contains(text)) {
            assertThat(System.nanoTime() - until).as(report.get()).isNegative();
            Thread.sleep(20);
        }
    }
}
