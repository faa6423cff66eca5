package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.plan.FlopsPerToken;
import io.vlmoperator.trainer.plan.RunPlan;
import io.vlmoperator.trainer.plan.Workload;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

/** A plan as people read it. */
final class PlanTable {
    private static final double GIB = 1L << 30;
    private static final double GIGA = 1e9;

    private PlanTable() {}

    static void print(RunPlan plan, PrintStream out) {
        Workload work = plan.work();
        line(
                out,
                "%d x %d %s; %d rows of %.0f tokens (at most %.0f) a process and pass, %d rows a step; samples of %.0f tokens, attention over %s; recompute %s, %s",
                plan.nodes(),
                plan.devicesPerNode(),
                plan.device().name(),
                work.rows(),
                work.rowTokens(),
                work.longestRowTokens(),
                work.globalRows(),
                work.sampleTokens(),
                work.causal() ? "the row" : "each sample",
                work.recompute().name().toLowerCase(Locale.ROOT),
                work.bfloat16() ? "bfloat16" : "float32");
        line(out, "");
        line(out, "memory of a GPU");
        plan.memory().parts().forEach((name, bytes) -> line(out, "  %-22s %8.2f GiB", name, bytes / GIB));
        line(
                out,
                "  %-22s %8.2f GiB of %.0f: %s",
                "together",
                plan.memory().total() / GIB,
                plan.device().memoryBytes() / GIB,
                plan.fits() ? "fits" : "DOES NOT FIT");
        line(out, "memory of the host, for each GPU");
        line(out, "  %-22s %8.2f GiB", "copy for checkpoints", plan.memory().staging() / GIB);
        FlopsPerToken flops = plan.flops();
        line(out, "");
        line(out, "floating point operations per token");
        part(out, "decoder products", flops.linear(), flops);
        part(out, "decoder attention", flops.attention(), flops);
        part(out, "head", flops.head(), flops);
        part(out, "image encoder", flops.vision(), flops);
        part(out, "projector", flops.projector(), flops);
        part(out, "together", flops.total(), flops);
        line(out, "");
        double mfu = plan.tokensPerSecond() * flops.total() / plan.device().peak();
        line(
                out,
                "at an MFU of %.1f %% of %.0f TFLOP/s: %,.0f tokens/s a GPU, %.2f s a step",
                100 * mfu,
                plan.device().peak() / 1e12,
                plan.tokensPerSecond(),
                plan.stepSeconds());
        line(
                out,
                "%.3g tokens, %,d steps: %.1f h, %.0f GPU-hours (%.1f h if no communication hides behind computing)",
                plan.tokens(),
                plan.steps(),
                plan.hours(),
                plan.deviceHours(),
                plan.hoursAtMost());
        line(
                out,
                "a step sends %.2f GB from each GPU: gradients %.3f s, weights %.3f s if nothing is computed meanwhile",
                plan.sentBytes() / GIGA,
                plan.step().reduce(),
                plan.step().gather());
    }

    /** The same job on other numbers of GPUs. */
    static void scaling(List<RunPlan> plans, PrintStream out) {
        line(out, "");
        line(out, "the same global batch on other numbers of GPUs, 8 a node");
        line(
                out,
                "  %6s %12s %10s %12s %12s %11s",
                "GPUs",
                "rows a GPU",
                "s a step",
                "s computing",
                "efficiency",
                "hours");
        for (RunPlan plan : plans) {
            line(
                    out,
                    "  %,6d %12d %10.3f %12.3f %11.0f %% %11.2f",
                    plan.world(),
                    Math.ceilDiv(plan.work().globalRows(), plan.world()),
                    plan.step().seconds(),
                    plan.step().compute(),
                    100 * plan.efficiency(),
                    plan.hoursPredicted());
        }
    }

    private static void part(PrintStream out, String name, double value, FlopsPerToken all) {
        line(out, "  %-22s %8.3f GFLOP %5.1f %%", name, value / GIGA, 100 * value / all.total());
    }

    private static void line(PrintStream out, String format, Object... values) {
        out.println(String.format(Locale.ROOT, format, values));
    }
}
