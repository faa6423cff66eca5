package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Precision;
import io.vlmoperator.api.spec.Recompute;
import io.vlmoperator.trainer.Json;
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
import io.vlmoperator.trainer.op.Profile;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * {@code vlm-trainer bench-step}: one training step on made-up samples, either of the emoji demo's model (twin: {@code
 * src/bench/peers/train_step.py}) or of a packed row with a frozen encoder (twin: {@code bench_hf_train.py}).
 */
final class StepBench {
    private static final int WARM_UP = 3;
    private static final int MOST = 10_000;
    private static final Pattern SHAPE = Pattern.compile("(\\d{1,5})/(\\d{1,3})/(\\d{1,6})/(\\d{1,5})");
    private static final Pattern PEAK = Pattern.compile("VmHWM:\\s+(\\d+) kB");

    private StepBench() {}

    /** What is measured: the sizes, the parts that are trained, the micro-batches of a step. */
    private record Setting(
            ModelConfig config, Set<Part> trained, FusedAdamW.Settings optimizer, Supplier<List<Batch>> data) {}

    private record Figures(
            double tokensPerSecond,
            double tokensPerCpuSecond,
            double peakRssMib,
            float loss,
            long tokens,
            long parameters) {}

    /** The demo's sizes (examples/emoji/20-pretrain.yaml), everything trained, two micro-batches of short samples. */
    private static Setting demo(int[] lengths, Random random) {
        ModelConfig config = new ModelConfig(
                new LanguageConfig(128, 352, 4, 4, 2, 2000, 1e4, 1e-6, true, 4096),
                new VisionConfig(64, 16, 128, 512, 5, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
        return new Setting(
                config,
                EnumSet.allOf(Part.class),
                new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.05),
                () -> List.of(samples(config, lengths, random), samples(config, lengths, random)));
    }

    /** One row of {@code sequence} tokens with six images spread over it, a frozen encoder; every text token is a target. */
    private static Setting row(String shape, Random random) {
        Matcher matcher = SHAPE.matcher(shape);
        if (!matcher.matches()) {
            throw TrainerException.configuration(
                    "--shape is hidden/layers/vocabulary/sequence, such as 256/6/8192/1024");
        }
        int sequence = Integer.parseInt(matcher.group(4));
        if (sequence / ROW_IMAGES <= ROW_VISUAL) {
            throw TrainerException.configuration("--shape: a sequence of " + sequence + " has no room for " + ROW_IMAGES
                    + " images of " + ROW_VISUAL + " tokens; at least " + ROW_IMAGES * (ROW_VISUAL + 1));
        }
        ModelConfig config;
        try {
            config = new ModelConfig(
                    new LanguageConfig(
                            Integer.parseInt(matcher.group(1)),
                            1024,
                            Integer.parseInt(matcher.group(2)),
                            4,
                            2,
                            Integer.parseInt(matcher.group(3)),
                            1e6,
                            1e-6,
                            true,
                            Math.max(4096, sequence)),
                    new VisionConfig(112, 14, 192, 512, 6, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
                    new ProjectorConfig(ROW_VISUAL));
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration("--shape " + shape + ": " + e.getMessage());
        }
        return new Setting(
                config,
                EnumSet.of(Part.PROJECTOR, Part.LANGUAGE),
                new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.01),
                () -> List.of(packed(config, sequence, random)));
    }

    private static final int ROW_IMAGES = 6;
    private static final int ROW_VISUAL = 16;

    static int run(List<String> words, PrintStream out) throws IOException {
        Arguments arguments = Arguments.parse(
                words,
                List.of("--threads", "--steps", "--lengths", "--shape", "--precision", "--recompute", "--table"),
                List.of());
        arguments.requireNone();
        int steps = arguments.number("--steps", MOST).orElse(20);
        Random random = new Random(0);
        Setting setting = arguments
                .one("--shape")
                .map(shape -> row(shape, random))
                .orElseGet(() -> demo(lengths(arguments.one("--lengths").orElse("3,4,5,6,7,8,9")), random));
        Precision precision = choice(arguments, "--precision", Precision.class, Precision.Float32);
        Recompute recompute = choice(arguments, "--recompute", Recompute.class, Recompute.None);
        Torch.start().threads(arguments.number("--threads", MOST).orElse(1));
        boolean table = arguments.one("--table").filter("yes"::equals).isPresent();
        out.println(Json.text(measure(setting, steps, precision, recompute, table ? out::print : text -> {})));
        return ExitCode.Completed.code();
    }

    /** The value of an option that names a constant. */
    static <E extends Enum<E>> E choice(Arguments arguments, String name, Class<E> type, E otherwise) {
        String given = arguments.one(name).orElse(otherwise.name());
        return Arrays.stream(type.getEnumConstants())
                .filter(value -> value.name().equals(given))
                .findFirst()
                .orElseThrow(() -> TrainerException.configuration(name + " is '" + given + "'; one of "
                        + Arrays.toString(type.getEnumConstants()) + " is possible"));
    }

    private static Figures measure(
            Setting setting, int steps, Precision precision, Recompute recompute, Consumer<String> table)
            throws IOException {
        long[] wall = new long[steps];
        long[] cpu = new long[steps];
        long tokens = 0;
        float loss = 0;
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, setting.config(), setting.trained());
            model.initialize(EnumSet.allOf(Part.class), 1);
            if (precision == Precision.BFloat16) {
                model.computeIn(DType.BFLOAT16);
            }
            Tape.Keep keep = Trainer.keep(recompute);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    setting.optimizer(),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            Optional<Profile> profile = Optional.empty();
            for (int step = -WARM_UP; step < steps; step++) {
                if (step == 0) {
                    profile = Optional.of(Profile.start());
                }
                List<Batch> data = setting.data().get();
                int targets = data.stream().mapToInt(Batch::targets).sum();
                tokens = data.stream().mapToLong(Batch::tokens).sum();
                long start = System.nanoTime();
                long startCpu = processorNanos();
                loss = 0;
                try (Scope local = scope.child()) {
                    local.ops().zero(model.weights().gradients());
                    for (Batch micro : data) {
                        loss += model.accumulate(micro, 1.0 / targets, keep, local)
                                        .item()
                                / targets;
                    }
                    optimizer.update(
                            1e-4,
                            step + WARM_UP + 1,
                            local.ops().norm(model.weights().gradients()),
                            1.0);
                    model.weights().updated();
                }
                if (!Float.isFinite(loss)) {
                    throw new TrainerException(ExitCode.NonFinite, "the benchmark's loss is " + loss);
                }
                if (step >= 0) {
                    wall[step] = System.nanoTime() - start;
                    cpu[step] = processorNanos() - startCpu;
                    profile.orElseThrow().step("step " + step, start, wall[step]);
                }
            }
            table.accept(profile.orElseThrow().table());
            profile.orElseThrow().close();
            return new Figures(
                    tokens * 1e9 / median(wall),
                    tokens * 1e9 / median(cpu),
                    peakRss() / 1024.0,
                    loss,
                    tokens,
                    model.weights().values().count());
        }
    }

    /** The process's largest resident set so far, in KiB. */
    static long peakRss() throws IOException {
        Matcher matcher = PEAK.matcher(Files.readString(Path.of("/proc/self/status")));
        return matcher.find() ? Long.parseLong(matcher.group(1)) : 0;
    }

    private static int[] lengths(String text) {
        if (!text.matches("[1-9]\\d{0,3}(,[1-9]\\d{0,3}){0,9999}")) {
            throw TrainerException.configuration("--lengths is a list such as 3,4,5");
        }
        return Arrays.stream(text.split(",", -1)).mapToInt(Integer::parseInt).toArray();
    }

    private static double median(long[] nanos) {
        long[] sorted = nanos.clone();
        Arrays.sort(sorted);
        return Math.max(1, sorted[sorted.length / 2]);
    }

    private static long processorNanos() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getProcessCpuTime();
    }

    /** Each sample: a begin token, an image, a text. Every text token is a target. */
    private static Batch samples(ModelConfig config, int[] lengths, Random random) {
        int visual = config.projector().tokensPerImage();
        int side = config.vision().imageSize();
        int total = Arrays.stream(lengths).map(n -> 1 + visual + n).sum();
        int[] ids = new int[total];
        int[] labels = new int[total];
        int[] positions = new int[total];
        int[] starts = new int[lengths.length + 1];
        int t = 0;
        for (int s = 0; s < lengths.length; s++) {
            starts[s] = t;
            for (int i = 0; i < 1 + visual + lengths[s]; i++, t++) {
                boolean image = i >= 1 && i <= visual;
                ids[t] = image ? Batch.IMAGE : random.nextInt(config.language().vocabSize());
                labels[t] = i > visual ? ids[t] : Batch.IGNORE;
                positions[t] = i;
            }
        }
        starts[lengths.length] = t;
        return new Batch(ids, labels, positions, starts, pixels(lengths.length, side, random), lengths.length, side);
    }

    private static Batch packed(ModelConfig config, int sequence, Random random) {
        int[] ids = random.ints(sequence, 0, config.language().vocabSize()).toArray();
        int stride = sequence / ROW_IMAGES;
        for (int image = 0; image < ROW_IMAGES; image++) {
            Arrays.fill(ids, image * stride + 1, image * stride + 1 + ROW_VISUAL, Batch.IMAGE);
        }
        int side = config.vision().imageSize();
        return new Batch(
                ids,
                Arrays.stream(ids)
                        .map(id -> id == Batch.IMAGE ? Batch.IGNORE : id)
                        .toArray(),
                IntStream.range(0, sequence).toArray(),
                new int[] {0, sequence},
                pixels(ROW_IMAGES, side, random),
                ROW_IMAGES,
                side);
    }

    private static float[] pixels(int images, int side, Random random) {
        float[] pixels = new float[images * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return pixels;
    }
}
