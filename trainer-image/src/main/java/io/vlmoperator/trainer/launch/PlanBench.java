package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Staging;
import io.vlmoperator.trainer.checkpoint.StateShard;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.plan.Device;
import io.vlmoperator.trainer.plan.MemoryPlan;
import io.vlmoperator.trainer.plan.Workload;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * {@code vlm-trainer bench-plan}: the plan's memory against the largest resident set of three small runs, each in a process of its own. What
 * JVM and libtorch take is measured in the same way on a tiny model, of which the plan for its tensors is taken off, and put into the plan
 * as its runtime.
 */
final class PlanBench {
    private static final double MIB = 1 << 20;
    private static final double TOLERANCE = 0.1;
    private static final int STEPS = 3;
    private static final int GARBAGE_MIB = 1024;
    private static final int SAMPLE_TOKENS = 64;
    private static final int PATIENCE_MINUTES = 30;

    /** Hidden size, layers, vocabulary, tokens of the row. */
    private record Shape(int hidden, int layers, int vocabulary, int tokens) {
        static final Shape TINY = new Shape(128, 1, 256, SAMPLE_TOKENS);
        static final List<Shape> ALL = List.of(
                TINY, new Shape(256, 6, 8192, 1024), new Shape(512, 8, 32_768, 1024), new Shape(512, 4, 151_936, 512));

        Workload work() {
            int inner = hidden * 11 / 4;
            ModelConfig model = new ModelConfig(
                    new LanguageConfig(
                            hidden, inner, layers, hidden / 64, hidden / 128, vocabulary, 1e6, 1e-6, true, 4096),
                    new VisionConfig(64, 16, 128, 512, 5, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
                    new ProjectorConfig(4));
            return new Workload(
                    model,
                    EnumSet.allOf(Part.class),
                    false,
                    Workload.Recompute.NONE,
                    1,
                    1,
                    tokens,
                    tokens,
                    SAMPLE_TOKENS,
                    1,
                    false);
        }
    }

    private PlanBench() {}

    static int run(List<String> words, PrintStream out) {
        Arguments arguments = Arguments.parse(words, List.of("--json", "--measure"), List.of());
        arguments.requireNone();
        if (arguments.one("--measure").isPresent()) {
            Torch.start().threads(1);
            cycleYoungGeneration();
            train(Shape.ALL.get(arguments.number("--measure", Shape.ALL.size()).orElseThrow() - 1));
            out.println(peakBytes());
            return ExitCode.Completed.code();
        }
        double tensors = MemoryPlan.of(Shape.TINY.work(), device(0), 1).total();
        long runtime = measure(1, true) - Math.round(tensors);
        List<BenchRow> rows = new ArrayList<>();
        rows.add(new BenchRow(
                "resident set of a tiny model, less its tensors (JVM, libtorch)",
                Math.round(runtime / MIB),
                "MiB",
                null,
                null,
                null));
        for (int number = 2; number <= Shape.ALL.size(); number++) {
            Shape shape = Shape.ALL.get(number - 1);
            double planned = MemoryPlan.of(shape.work(), device(runtime), 1).total();
            String what = "hidden %d, %d layers, vocabulary %d, %d tokens: planned / measured"
                    .formatted(shape.hidden(), shape.layers(), shape.vocabulary(), shape.tokens());
            rows.add(row(what + " (within 10 %)", planned, measure(number, true)));
            rows.add(row(what + ", allocator as it is", planned, measure(number, false)));
        }
        BenchRow.publish(rows, Path.of(arguments.one("--json").orElse("target/bench/plan.json")), out);
        return ExitCode.Completed.code();
    }

    private static BenchRow row(String what, double planned, double measured) {
        double ratio = Math.round(planned / measured * 1000) / 1000.0;
        return new BenchRow(
                what,
                ratio,
                "ratio",
                1.0,
                Math.abs(ratio - 1) <= TOLERANCE,
                "%d MiB planned, %d MiB measured".formatted(Math.round(planned / MIB), Math.round(measured / MIB)));
    }

    private static Device device(long runtime) {
        return new Device(Device.CPU, Long.MAX_VALUE, 1e11, 1e9, runtime);
    }

    /**
     * The largest resident set of another process.
     *
     * @param returned whether glibc hands large pieces back to the system at once; left alone it keeps freed ones between those in use,
     *     which no sum of tensors can tell
     */
    private static long measure(int number, boolean returned) {
        try {
            ProcessBuilder builder = new ProcessBuilder(
                            ChildProcesses.command("bench-plan", "--measure", Integer.toString(number)))
                    .redirectError(ProcessBuilder.Redirect.INHERIT);
            if (returned) {
                builder.environment().put("MALLOC_MMAP_THRESHOLD_", "65536");
            }
            Process process = builder.start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            if (!process.waitFor(PATIENCE_MINUTES, TimeUnit.MINUTES)) {
                process.destroyForcibly();
            }
            if (process.waitFor() != 0 || !said.matches("\\d+")) {
                throw new TrainerException(
                        ExitCode.InternalError,
                        "the run to be measured (" + number + ") ended without a figure: " + said);
            }
            return Long.parseLong(said);
        } catch (IOException e) {
            throw TrainerException.storage("can't start another process: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "interrupted while a run was measured", e);
        }
    }

    /** The heap's young part is touched from end to end, as it is in every run of more than some seconds. */
    private static void cycleYoungGeneration() {
        long sum = 0;
        for (int i = 0; i < GARBAGE_MIB; i++) {
            byte[] garbage = new byte[1 << 20];
            garbage[i] = 1;
            sum += garbage[i];
        }
        if (sum != GARBAGE_MIB) {
            throw new IllegalStateException("garbage was lost");
        }
    }

    /** Linux' own account; includes the pages of the libraries that were touched. */
    private static long peakBytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(line -> line.startsWith("VmHWM:"))
                    .map(line -> line.replaceAll("\\D", ""))
                    .mapToLong(kibibytes -> Long.parseLong(kibibytes) * 1024)
                    .findFirst()
                    .orElseThrow(() -> TrainerException.configuration("/proc/self/status has no VmHWM"));
        } catch (IOException e) {
            throw TrainerException.configuration(
                    "bench-plan reads /proc/self/status, which is not here; run it on Linux");
        }
    }

    private static void train(Shape shape) {
        Set<Part> all = EnumSet.allOf(Part.class);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model =
                    VisionLanguageModel.create(scope, shape.work().model(), all);
            model.initialize(all, 1);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.05),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            Batch batch = batch(shape);
            List<StateShard> state = StateShard.share(
                    model.weights().values().address(),
                    optimizer.firstMoment().address(),
                    optimizer.secondMoment().address(),
                    0,
                    1);
            try (Staging staging = new Staging(state)) {
                for (int step = 1; step <= STEPS; step++) {
                    try (Scope local = scope.child()) {
                        local.ops().zero(model.weights().gradients());
                        model.accumulate(batch, 1.0 / batch.targets(), Tape.Keep.ALL, local)
                                .item();
                        optimizer.update(
                                1e-4, step, local.ops().norm(model.weights().gradients()), 1.0);
                    }
                    staging.take(state);
                }
            }
        }
    }

    /** One row of equal samples: an image, then text, all of it targets. */
    private static Batch batch(Shape shape) {
        ModelConfig model = shape.work().model();
        Random random = new Random(1);
        int samples = shape.tokens() / SAMPLE_TOKENS;
        int side = model.vision().imageSize();
        int[] ids = new int[shape.tokens()];
        int[] labels = new int[shape.tokens()];
        int[] positions = new int[shape.tokens()];
        int[] starts = new int[samples + 1];
        for (int t = 0; t < ids.length; t++) {
            positions[t] = t % SAMPLE_TOKENS;
            boolean image = positions[t] < model.projector().tokensPerImage();
            ids[t] = image ? Batch.IMAGE : random.nextInt(shape.vocabulary());
            labels[t] = image ? Batch.IGNORE : ids[t];
        }
        for (int s = 0; s <= samples; s++) {
            starts[s] = s * SAMPLE_TOKENS;
        }
        float[] pixels = new float[samples * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(ids, labels, positions, starts, pixels, samples, side);
    }
}
