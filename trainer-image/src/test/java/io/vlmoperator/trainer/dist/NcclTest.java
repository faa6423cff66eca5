package io.vlmoperator.trainer.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Torch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** What of NCCL can be checked without a GPU: how it is not found, and how buffers are cut up for it. */
class NcclTest {
    @Test
    void itsAbsenceIsOneSentence() {
        assumeThat(Torch.start().gpus().all()).as("GPUs of this machine").isEmpty();
        assertThatThrownBy(NcclLibrary::open).isInstanceOfSatisfying(TrainerException.class, e -> {
            assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration);
            assertThat(e.getMessage())
                    .startsWith("several workers with GPUs need NCCL, but it can't be loaded (")
                    .contains("LD_LIBRARY_PATH")
                    .doesNotContain("\n")
                    .hasSizeLessThan(600);
        });
        // The second try says the same: the class loader remembers the first one's failure in another form.
        assertThatThrownBy(() ->
                        NcclCommunicator.over(new Single(), Duration.ofSeconds(1), Duration.ofSeconds(1), line -> {}))
                .isInstanceOf(TrainerException.class)
                .hasMessageContaining("need NCCL");
    }

    @Test
    void theDeepestReasonIsToldAndBounded() {
        NoClassDefFoundError outer = new NoClassDefFoundError("Could not initialize class x");
        outer.initCause(new UnsatisfiedLinkError("libnccl.so.2: cannot open shared object file\nand more"));
        assertThat(NcclLibrary.missing(outer)).contains("(libnccl.so.2: cannot open shared object file);");
        assertThat(NcclLibrary.missing(new UnsatisfiedLinkError("x".repeat(5000))))
                .hasSizeLessThan(600);
        assertThat(NcclLibrary.text(22602)).isEqualTo("2.26.2");
    }

    @Test
    void partsAreThoseOfTheOtherCommunicators() {
        try (Arena arena = Arena.ofConfined()) {
            for (DType type : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
                for (int count : new int[] {0, 1, 3, 4, 5, 31, 32, 33, 64, 1000, 1003}) {
                    MemorySegment memory = arena.allocate((long) count * type.bytes(), 64);
                    for (int world = 1; world <= 8; world++) {
                        agree(new Buffer(memory, type), world);
                    }
                }
            }
        }
    }

    private static void agree(Buffer all, int world) {
        long equal = -1;
        for (int rank = 0; rank < world; rank++) {
            NcclParts parts = NcclParts.of(all, rank, world);
            // NCCL's rule in place: the part of rank r begins r parts behind the start, and all are of one size.
            assertThat(parts.equal().count()).isEqualTo(parts.own().count() * world);
            assertThat(parts.own().memory().address() - all.memory().address())
                    .isEqualTo(parts.own().memory().byteSize() * rank);
            assertThat(equal == -1 || equal == parts.own().count()).isTrue();
            equal = parts.own().count();
            assertThat(parts.rest().count())
                    .isEqualTo(all.count() - parts.equal().count());
            // What the rank holds in the end is its part by the rule of all communicators.
            Part part = Part.of(all.count(), rank, world);
            long own = parts.own().count() + (rank == world - 1 ? parts.rest().count() : 0);
            assertThat(own).isEqualTo(part.count());
            assertThat(parts.own().memory().address())
                    .isEqualTo(all.memory().address() + part.from() * all.type().bytes());
        }
    }
}
