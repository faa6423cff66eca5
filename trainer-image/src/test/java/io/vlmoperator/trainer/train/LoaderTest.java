package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.model.Batch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Micro-batches that are made ahead: their order, their number, their memory. */
class LoaderTest {
    private static final int SIDE = 16;
    private static final long BATCH_BYTES = 4L * 3 * SIDE * SIDE + 12;

    /** One picture and one token in each row; the token says which row it is. */
    private static final class Source implements RowSource {
        private final AtomicInteger made = new AtomicInteger();
        private final Semaphore seen = new Semaphore(0);

        @Override
        public long rows() {
            return 100;
        }

        @Override
        public long tokens() {
            return 100;
        }

        @Override
        public Batch rows(long step, int from, int to) {
            if (step == 90) {
                throw new IllegalStateException("row 90 is broken");
            }
            made.incrementAndGet();
            seen.release();
            int id = (int) (10 * step + from);
            return new Batch(
                    new int[] {id},
                    new int[] {id},
                    new int[] {0},
                    new int[] {0, 1},
                    new float[3 * SIDE * SIDE],
                    1,
                    SIDE);
        }

        /** Waits until so many have been made since this was last asked; a minute at most. */
        boolean reaches(int more) throws InterruptedException {
            return seen.tryAcquire(more, 1, TimeUnit.MINUTES);
        }

        @Override
        public void close() {}
    }

    private static Loader loader(Source source, long steps, long maxBytes) {
        return new Loader(source, Loader.Share.of(2, 1, 0, 1), 0, steps, maxBytes);
    }

    @Test
    void memoryBoundsWhatWaits() throws InterruptedException {
        Source source = new Source();
        // Room for three (each takes a whole number of kibibytes); a fourth has been made and waits for room.
        long each = BATCH_BYTES / 1024 * 1024;
        try (Loader loader = loader(source, 50, 3 * each)) {
            assertThat(source.reaches(4)).isTrue();
            for (int i = 0; i < 20; i++) {
                assertThat(source.made.get()).isEqualTo(4 + i);
                assertThat(loader.next().idsT()).containsExactly(10 * (i / 2) + i % 2);
                assertThat(source.reaches(1)).isTrue();
            }
        }
    }

    @Test
    void numberBoundsWhatWaitsAndALargeOneStillPasses() throws InterruptedException {
        Source many = new Source();
        try (Loader loader = loader(many, 50, 1L << 30)) {
            assertThat(many.reaches(Loader.MOST_AHEAD + 1)).isTrue();
            loader.next();
            assertThat(many.reaches(1)).isTrue();
            assertThat(many.made.get()).isEqualTo(Loader.MOST_AHEAD + 2);
        }
        Source large = new Source();
        try (Loader loader = loader(large, 50, 1)) {
            for (int i = 0; i < 10; i++) {
                loader.next();
            }
            assertThat(large.made.get()).isBetween(10, 12);
        }
    }

    @Test
    void anErrorComesInItsPlaceAndTimeThatWasWaitedIsCountedOnce() {
        try (Loader loader = new Loader(new Source(), Loader.Share.of(2, 1, 0, 1), 89, 100, 1L << 20)) {
            loader.next();
            loader.next();
            assertThatThrownBy(loader::next).hasMessage("row 90 is broken");
            assertThat(loader.takeWaited()).isPositive();
            assertThat(loader.takeWaited()).isZero();
        }
    }
}
