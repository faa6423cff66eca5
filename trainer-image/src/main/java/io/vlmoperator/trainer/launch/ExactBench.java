package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.HostMemory;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32C;

/** What {@code determinism: Exact} costs, and whether two runs of the same steps then end with the same bits. */
final class ExactBench {
    private static final long PIECE = 16 << 20;

    private ExactBench() {}

    /**
     * The same steps with {@code Fast} once more, and twice with {@code Exact}.
     *
     * @param fast a run with {@code Fast}
     */
    static List<BenchRow> run(
            GpuBench.Setting setting, String card, int rows, int steps, Tape.Keep keep, GpuBench.Measured fast)
            throws IOException {
        GpuBench.Measured again = GpuBench.steps(setting, rows, steps, keep);
        GpuBench.Measured one;
        GpuBench.Measured two;
        Torch.start().exact(true);
        try {
            one = GpuBench.steps(setting, rows, steps, keep);
            two = GpuBench.steps(setting, rows, steps, keep);
        } finally {
            Torch.start().exact(false);
        }
        String what = setting.name() + ", bf16, " + card + ": ";
        double exactSpeed = speed(one, two);
        double fastSpeed = speed(fast, again);
        return List.of(
                BenchRow.beside(
                        what + "tokens per second with determinism Exact, beside Fast",
                        exactSpeed,
                        "tokens/s",
                        fastSpeed),
                BenchRow.plain(what + "the same: Exact / Fast", exactSpeed / fastSpeed, "ratio"),
                new BenchRow(
                        what + "Exact: two runs of the same steps end with the same bits (1: yes)",
                        one.digest() == two.digest() ? 1 : 0,
                        "truth",
                        1.0,
                        one.digest() == two.digest(),
                        digests(one, two)),
                new BenchRow(
                        what + "Fast: the same (nothing is promised)",
                        fast.digest() == again.digest() ? 1 : 0,
                        "truth",
                        null,
                        null,
                        digests(fast, again)));
    }

    private static double speed(GpuBench.Measured one, GpuBench.Measured two) {
        return 2.0 * one.tokens() / (one.seconds() + two.seconds());
    }

    private static String digests(GpuBench.Measured one, GpuBench.Measured two) {
        return String.format(Locale.ROOT, "CRC-32C of the weights %08x and %08x", one.digest(), two.digest());
    }

    /** CRC-32C of all trained weights, FLOAT32. */
    static long digest(Weights weights, Ops ops) {
        CRC32C digest = new CRC32C();
        Tensor all = weights.values();
        for (long from = 0; from < all.count(); from += PIECE) {
            try (Tensor piece = ops.slice(all, 0, from, Math.min(all.count(), from + PIECE));
                    HostMemory host = piece.host(HostMemory.Access.READ)) {
                digest.update(host.segment().asByteBuffer());
            }
        }
        return digest.getValue();
    }
}
