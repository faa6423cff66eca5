package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.data.NearHashes.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class NearHashesTest {
    /** What a plain comparison with every hash before says. */
    @Property(tries = 60)
    void equalsThePlainScan(@ForAll long seed, @ForAll @IntRange(max = NearHashes.MOST) int distance) {
        Random random = new Random(seed);
        NearHashes near = new NearHashes(distance);
        List<Long> taken = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            long hash = random.nextLong();
            if (!taken.isEmpty() && random.nextInt(3) > 0) { // a few bits away from one that is there
                hash = taken.get(random.nextInt(taken.size()));
                for (int flips = random.nextInt(distance + 4); flips > 0; flips--) {
                    hash ^= 1L << random.nextInt(64);
                }
            }
            Kind expected = Kind.NEW;
            for (long other : taken) {
                int bits = Long.bitCount(other ^ hash);
                if (bits == 0) {
                    expected = Kind.EQUAL;
                    break;
                }
                expected = bits <= distance ? Kind.NEAR : expected;
            }
            assertThat(near.add(hash)).isEqualTo(expected);
            if (expected == Kind.NEW) {
                taken.add(hash);
            }
        }
    }

    @Test
    void theFarthestBitsOfEachPartAreFound() {
        for (int distance = 1; distance <= NearHashes.MOST; distance++) {
            NearHashes near = new NearHashes(distance);
            assertThat(near.add(0)).isEqualTo(Kind.NEW);
            assertThat(near.add(0)).isEqualTo(Kind.EQUAL);
            long spread = 0; // one bit in each part, then two, ...
            for (int bit = 0; bit < distance; bit++) {
                spread |= 1L << 16 * (bit % 4) + 15 - bit / 4;
            }
            assertThat(near.add(spread)).isEqualTo(Kind.NEAR);
            assertThat(near.add(spread | 1L << 16 * (distance % 4) + 3)).isEqualTo(Kind.NEW);
        }
        assertThatThrownBy(() -> new NearHashes(8)).hasMessageContaining("0 to 7");
    }
}
