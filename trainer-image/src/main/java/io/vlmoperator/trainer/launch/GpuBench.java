package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Recompute;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.plan.Device;
import io.vlmoperator.trainer.train.Flops;
import io.vlmoperator.trainer.train.SaveBench;
import io.vlmoperator.trainer.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.Set;

/**
 * {@code vlm-trainer bench-gpu}: optimizer steps of the paper's pre-training on one GPU (tokens per second, MFU, memory), the cost of
 * {@code determinism: Exact} and whether it holds, what saves cost, then the bandwidth of the collectives and their contract. Without a GPU it says so and exits with {@value #NO_GPU}. {@code --device cpu --size tiny} runs the same code on the processor,
 * to see that it works.
 */
final class GpuBench {
    static final int NO_GPU = 3;

    private static final int WARM_UP = 3;
    private static final double GOAL = 0.5;
    private static final long MIB = 1 << 20;
    private static final double GIB = 1 << 30;

    /** Rounds of saves, and what {@code bench-checkpoint} asks of them. */
    private static final int SAVES = 5;

    private static final double STALL_OVER_COPY = 1.3;

    private static final List<String> OPTIONS = List.of(
            "--device",
            "--size",
            "--steps",
            "--rows",
            "--recompute",
            "--peak",
            "--ranks",
            "--rank",
            "--port",
            "--rounds",
            "--sizes",
            "--json");

    private GpuBench() {}

    /**
     * What is trained.
     *
     * @param rowTokens of one packed row
     * @param sampleTokens of one sample: its image, then its text
     */
    record Setting(String name, ModelConfig config, int rowTokens, int sampleTokens) {
        /** Qwen2.5-1.5B, SigLIP-SO400M at 384 pixels, 144 visual tokens; 5.0 B tokens of 29 M samples are 172 tokens a sample. */
        static final Setting PAPER = new Setting(
                "paper",
                new ModelConfig(
                        new LanguageConfig(1536, 8960, 28, 12, 2, 151_936, 1e6, 1e-6, true, 32_768),
                        new VisionConfig(384, 14, 1152, 4304, 27, 16, 1e-6, -2, VisionConfig.Activation.Tanh),
                        new ProjectorConfig(144)),
                4096,
                172);

        static final Setting TINY = new Setting(
                "tiny",
                new ModelConfig(
                        new LanguageConfig(64, 128, 2, 4, 2, 512, 1e4, 1e-6, true, 512),
                        new VisionConfig(32, 8, 64, 128, 3, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
                        new ProjectorConfig(4)),
                96,
                24);
    }

    static int run(List<String> words, Map<String, String> environment, PrintStream out) throws IOException {
        Arguments arguments = Arguments.parse(words, OPTIONS, List.of());
        arguments.requireNone();
        if (arguments.one("--rank").isPresent()) {
            return CollectiveBench.rank(arguments, environment, out);
        }
        Torch torch = Torch.start();
        boolean onProcessor = "cpu".equals(arguments.one("--device").orElse("cuda"));
        if (!onProcessor && torch.device().isHost()) {
            out.println("bench-gpu: there is no GPU to measure on: "
                    + torch.gpus().why().orElse("VLM_DEVICE=cpu keeps this process off it"));
            return NO_GPU;
        }
        if (onProcessor && !torch.device().isHost()) {
            throw TrainerException.configuration(
                    "--device cpu, but this process computes on " + torch.device() + "; set VLM_DEVICE=cpu as well");
        }
        String size = arguments.one("--size").orElse("paper");
        Setting setting = List.of(Setting.PAPER, Setting.TINY).stream()
                .filter(each -> each.name().equals(size))
                .findFirst()
                .orElseThrow(() -> TrainerException.configuration("--size is '" + size + "'; write paper or tiny"));
        if (!torch.device().isHost()) {
            Gpu.requireFixed(1, environment);
        }
        int rowsOfStep = arguments.number("--rows", 64).orElse(2);
        int steps = arguments.number("--steps", 10_000).orElse(10);
        Tape.Keep keep = Trainer.keep(StepBench.choice(arguments, "--recompute", Recompute.class, Recompute.None));
        Measured measured = steps(setting, rowsOfStep, steps, keep);
        String card = torch.device().isHost()
                ? "processor"
                : torch.gpus().all().getFirst().name();
        OptionalDouble peak = peak(arguments, card);
        List<BenchRow> rows = new ArrayList<>(rows(setting, card, measured, peak));
        out.println(formula(measured, peak));
        rows.addAll(ExactBench.run(setting, card, rowsOfStep, steps, keep, measured));
        rows.addAll(saves(setting, card, out));
        rows.addAll(collectives(arguments, torch, out));
        BenchRow.publish(rows, Path.of(arguments.one("--json").orElse("target/bench/gpu.json")), out);
        return rows.stream().anyMatch(row -> Boolean.FALSE.equals(row.met()))
                ? ExitCode.InternalError.code()
                : ExitCode.Completed.code();
    }

    /** Of the data sheet, or as told in TFLOP/s; on the processor what a product reaches. */
    private static OptionalDouble peak(Arguments arguments, String card) {
        Optional<String> told = arguments.one("--peak");
        if (told.isPresent()) {
            if (!told.get().matches("\\d{1,6}(\\.\\d{1,6})?") || Double.parseDouble(told.get()) == 0) {
                throw TrainerException.configuration("--peak is '" + told.get() + "'; write TFLOP/s, such as 989");
            }
            return OptionalDouble.of(Double.parseDouble(told.get()) * 1e12);
        }
        if (Torch.start().device().isHost()) {
            return OptionalDouble.of(Flops.measuredPeak(DType.BFLOAT16, 512));
        }
        return Device.ofCard(card)
                .map(device -> OptionalDouble.of(device.peak()))
                .orElse(OptionalDouble.empty());
    }

    /**
     * What some steps took.
     *
     * @param seconds of one step
     * @param loss of the last, a mean
     * @param hostReads in which the host waited for the device, over all timed steps but the last look at the loss
     * @param deviceBytes in use afterwards; libtorch keeps what it once took
     * @param digest of the weights in the end
     */
    record Measured(
            long tokens,
            int images,
            Flops.Terms work,
            double seconds,
            double loss,
            long hostReads,
            double deviceBytes,
            long digest) {}

    static Measured steps(Setting setting, int rows, int steps, Tape.Keep keep) throws IOException {
        Set<Part> trained = EnumSet.of(Part.PROJECTOR, Part.LANGUAGE);
        Torch torch = Torch.start();
        Batch batch = batch(setting, rows, new Random(0));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, setting.config(), trained);
            torch.seed(1); // so that runs can be compared
            model.fillForTiming();
            model.computeIn(DType.BFLOAT16);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.01),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            Tensor loss = scope.zeros(DType.FLOAT32);
            long begin = 0;
            long reads = 0;
            for (int step = -WARM_UP; step < steps; step++) {
                if (step == 0) {
                    torch.synchronize();
                    reads = torch.hostReads();
                    begin = System.nanoTime();
                }
                try (Scope local = scope.child()) {
                    local.ops().zero(model.weights().gradients());
                    local.ops().copyInto(loss, model.accumulate(batch, 1.0 / batch.targets(), keep, local));
                    Tensor norm = local.ops().norm(model.weights().gradients());
                    optimizer.update(1e-5, step + WARM_UP + 1, norm, 1.0);
                    model.weights().updated();
                }
            }
            torch.synchronize();
            double seconds = (System.nanoTime() - begin) / 1e9 / steps;
            long readsInSteps = torch.hostReads() - reads;
            double mean = loss.item() / batch.targets();
            if (!Double.isFinite(mean)) {
                throw new TrainerException(ExitCode.NonFinite, "the benchmark's loss is " + mean);
            }
            return new Measured(
                    batch.tokens(),
                    batch.imageCount(),
                    new Flops(setting.config(), model.weights().parameters(), trained).terms(batch),
                    seconds,
                    mean,
                    readsInSteps,
                    torch.device().isHost()
                            ? StepBench.peakRss() * 1024.0
                            : torch.deviceBytesInUse().orElseThrow(),
                    ExactBench.digest(model.weights(), scope.ops()));
        }
    }

    /** Rows of samples end to end, what is left of a row as text. Segments are the samples, as in block-diagonal packing. */
    private static Batch batch(Setting setting, int rows, Random random) {
        int visual = setting.config().projector().tokensPerImage();
        int vocabulary = setting.config().language().vocabSize();
        int total = rows * setting.rowTokens();
        int[] ids = new int[total];
        int[] labels = new int[total];
        int[] positions = new int[total];
        List<Integer> starts = new ArrayList<>();
        int images = 0;
        for (int t = 0; t < total; t++) {
            int inRow = t % setting.rowTokens();
            int inSample = inRow % setting.sampleTokens();
            boolean whole = inRow - inSample + setting.sampleTokens() <= setting.rowTokens();
            if (inSample == 0) {
                starts.add(t);
                images += whole ? 1 : 0;
            }
            boolean image = whole && inSample < visual;
            ids[t] = image ? Batch.IMAGE : random.nextInt(vocabulary);
            labels[t] = image || inSample == 0 ? Batch.IGNORE : ids[t];
            positions[t] = inSample;
        }
        starts.add(total);
        int side = setting.config().vision().imageSize();
        float[] pixels = new float[images * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(
                ids,
                labels,
                positions,
                starts.stream().mapToInt(Integer::intValue).toArray(),
                pixels,
                images,
                side);
    }

    static List<BenchRow> rows(Setting setting, String card, Measured measured, OptionalDouble peak) {
        String what = setting.name() + ", bf16, " + card + ": ";
        List<BenchRow> rows = new ArrayList<>(List.of(
                BenchRow.plain(what + "tokens of a step", measured.tokens(), "tokens"),
                BenchRow.plain(what + "images of a step", measured.images(), "images"),
                BenchRow.plain(what + "one optimizer step", measured.seconds(), "s"),
                BenchRow.plain(what + "tokens per second", measured.tokens() / measured.seconds(), "tokens/s"),
                BenchRow.plain(what + "loss", measured.loss(), "nats"),
                BenchRow.atMost(what + "times that the host waited in the steps", measured.hostReads(), "times", 0),
                BenchRow.plain(what + "memory in use at the end", measured.deviceBytes() / GIB, "GiB")));
        peak.ifPresent(most -> {
            double mfu = measured.work().total() / measured.seconds() / most;
            String figure = what + "MFU over decoder, head, projector and encoder";
            boolean goal = setting.equals(Setting.PAPER) && (card.contains("H100") || card.contains("H200"));
            rows.add(
                    goal
                            ? BenchRow.atLeast(figure, mfu, GOAL, "the data sheet's peak")
                            : BenchRow.plain(figure, mfu, "ratio"));
        });
        return rows;
    }

    static String formula(Measured measured, OptionalDouble peak) {
        Flops.Terms work = measured.work();
        return String.format(
                Locale.ROOT,
                "MFU = (vision and projector %.4g + decoder's products %.4g + causal pairs of attention %.4g + head at targets %.4g)"
                        + " FLOP / %.4g s / %s; nothing that is formed a second time counts",
                work.vision(),
                work.language(),
                work.attention(),
                work.head(),
                measured.seconds(),
                peak.isPresent()
                        ? String.format(Locale.ROOT, "%.4g FLOP/s", peak.getAsDouble())
                        : "the card's peak, which is not known: --peak TFLOPS");
    }

    private static List<BenchRow> collectives(Arguments arguments, Torch torch, PrintStream out) throws IOException {
        int gpus = torch.device().isHost() ? 0 : torch.gpus().all().size();
        int ranks = arguments.number("--ranks", 64).orElse(Math.max(2, gpus));
        if (ranks < 2) {
            return List.of();
        }
        List<Long> sizes = sizes(arguments.one("--sizes").orElse(gpus == 0 ? "1,16" : "1,16,256"));
        String how = (gpus == 0 ? "TCP ring" : "NCCL") + ", " + ranks + " ranks"
                + (gpus > 0 && ranks > gpus ? " on " + gpus + " GPU" : "") + ", ";
        CollectiveBench.Results results = CollectiveBench.run(
                ranks, gpus, sizes, arguments.number("--rounds", 10_000).orElse(20), out);
        List<BenchRow> rows = new ArrayList<>();
        for (CollectiveBench.Result result : results.all()) {
            rows.add(BenchRow.plain(
                    how + result.operation() + " of " + result.bytes() / MIB + " MiB: bus bandwidth",
                    result.busBytesPerSecond() / 1e9,
                    "GB/s"));
        }
        for (String check : results.checks()) {
            rows.add(new BenchRow(how + check, 1, "holds", 1.0, true, null));
        }
        return rows;
    }

    /** What a save of tensors that lie on the device costs; with the model of {@code bench-checkpoint}. */
    private static List<BenchRow> saves(Setting setting, String card, PrintStream out) throws IOException {
        Path folder = Files.createTempDirectory("vlm-trainer-bench-");
        SaveBench.Figures figures;
        try {
            figures = setting.equals(Setting.TINY)
                    ? SaveBench.measureTiny(folder, 1, out::println)
                    : SaveBench.measure(folder, SAVES, out::println);
        } finally {
            Children.delete(folder);
        }
        String what = String.format(
                Locale.ROOT, "%s: training stands still for a save of %.0f MiB", card, (double) figures.bytes() / MIB);
        boolean onGpu = !Torch.start().device().isHost();
        double overStep = figures.stallMillis() / figures.stepMillis();
        return List.of(
                BenchRow.beside(what + ", beside a plain copy", figures.stallMillis(), "ms", figures.copyMillis()),
                onGpu
                        ? BenchRow.atMost(what + " / plain copy", figures.stallOverCopy(), "ratio", STALL_OVER_COPY)
                        : BenchRow.plain(what + " / plain copy", figures.stallOverCopy(), "ratio"),
                onGpu
                        ? BenchRow.atMost(what + " / a step", overStep, "ratio", 1)
                        : BenchRow.plain(what + " / a step", overStep, "ratio"),
                BenchRow.plain(
                        card + ": copy into page-locked memory", figures.bytes() / figures.copyMillis() / 1e6, "GB/s"),
                BenchRow.plain(
                        card + ": copy into other memory", figures.bytes() / figures.unlockedMillis() / 1e6, "GB/s"));
    }

    /** Of a list of MiB. */
    private static List<Long> sizes(String text) {
        if (!text.matches("[1-9]\\d{0,4}(,[1-9]\\d{0,4}){0,19}")) {
            throw TrainerException.configuration("--sizes is '" + text + "'; write MiB, such as 1,16,256");
        }
        return List.of(text.split(",", -1)).stream()
                .map(size -> Long.parseLong(size) * MIB)
                .toList();
    }
}
