package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** A model of a few thousand weights on made-up rows: an image of one brightness, then a token that tells it. */
final class TinyRun {
    static final int IMAGE_SIZE = 8;
    static final int ROWS = 24;
    private static final int CLASSES = 4;

    final Path root;
    int steps = 20;
    int attempt = 1;
    int everySteps = 1000;
    int microSize = 2;
    int stepMillis;
    int profiledSteps;
    int intermediateSize = 32;
    int stepDeadlineSeconds = 1800;
    String uid = "uid-1";
    String failure = "{}";
    Poison poison = Poison.NONE;
    String optimizer = "{\"learningRate\":0.01}";
    String normalization = "Tokens";
    Locations locations = Locations.of(Map.of());
    Faults faults = Faults.NONE;
    Progress progress = Progress.NONE;
    /** What training reads instead of the made-up rows. */
    UnaryOperator<RowSource> data = UnaryOperator.identity();

    final StopSignal stop = new StopSignal();
    RunFacts facts = new RunFacts();
    final List<String> log = new ArrayList<>();

    TinyRun(Path root) throws IOException {
        this.root = root;
        Path tokenizer = Files.createDirectories(root.resolve("tokenizer")).resolve("tokenizer.json");
        if (!Files.exists(tokenizer)) {
            try (var in = TinyRun.class.getResourceAsStream("/tokenizer/small/tokenizer.json")) {
                Files.copy(in, tokenizer);
            }
        }
    }

    FrozenJob job(int world) throws IOException {
        String spec = """
                {"model":{"language":{"tokenizer":"file://ROOT/tokenizer","config":{"hiddenSize":16,"intermediateSize":INNER,
                "numHiddenLayers":2,"numAttentionHeads":2,"numKeyValueHeads":1,"vocabSize":2048}},
                "vision":{"config":{"imageSize":8,"patchSize":4,"hiddenSize":16,"intermediateSize":32,"numHiddenLayers":2,
                "numAttentionHeads":2}},"projector":{"tokensPerImage":1},"train":["Vision","Projector","Language"]},
                "data":[{"dataset":"made-up"}],"batch":{"globalSize":8,"microSize":MICRO,"contextLength":32},
                "optimizer":OPTIMIZER,"schedule":{"warmupRatio":0.1,"stopAfter":{"steps":STEPS}},
                "loss":{"normalization":"NORM"},"precision":"Float32","output":{"location":"file://ROOT/run"},
                "checkpoints":{"everySteps":EVERY,"keep":{"last":2,"best":{"count":1,"metric":{"loss":{}}}}},
                "failure":FAILURE}""".replace("file://ROOT", Locations.fileLocation(root))
                .replace("INNER", Integer.toString(intermediateSize))
                .replace("MICRO", Integer.toString(microSize))
                .replace("STEPS", Integer.toString(steps))
                .replace("EVERY", Integer.toString(everySteps))
                .replace("NORM", normalization)
                .replace("OPTIMIZER", optimizer)
                .replace(
                        "FAILURE",
                        failure.replaceFirst(
                                "\\{",
                                "{\"stepDeadlineSeconds\":" + stepDeadlineSeconds + (failure.equals("{}") ? "" : ",")));
        return new FrozenJob(
                1,
                Kind.PretrainJob,
                "local",
                "tiny",
                uid,
                attempt,
                world,
                1,
                null,
                Json.read(spec.getBytes(StandardCharsets.UTF_8), PretrainJobSpec.class),
                null,
                null,
                List.of(),
                null);
    }

    /** An SFTJob from this run's newest checkpoint, with four times the visual tokens. */
    FrozenJob sft() throws IOException {
        String spec = """
                {"from":{"location":"file://ROOT/run"},"model":{"projector":{"tokensPerImage":4},"train":["Projector"]},
                "data":[{"dataset":"made-up"}],"batch":{"globalSize":8,"microSize":2,"contextLength":32},
                "schedule":{"stopAfter":{"steps":3}},"precision":"Float32","output":{"location":"file://ROOT/sft"}}""".replace("file://ROOT", Locations.fileLocation(root));
        return new FrozenJob(
                1,
                Kind.SFTJob,
                "local",
                "tiny",
                "uid-2",
                1,
                1,
                1,
                null,
                null,
                Json.read(spec.getBytes(StandardCharsets.UTF_8), SFTJobSpec.class),
                null,
                List.of(),
                new FrozenJob.ResolvedCheckpoint(Locations.fileLocation(root) + "/run", null, null));
    }

    void train() throws IOException {
        train(job(1), new Single());
    }

    void train(FrozenJob job, Communicator communicator) {
        Torch.start().threads(1);
        try (Watchdog watchdog = new Watchdog(Duration.ofMinutes(5), late -> {
            throw new IllegalStateException(late);
        })) {
            new Trainer(new Trainer.Context(
                            job,
                            locations,
                            communicator,
                            (j, model, tokenizer) -> data.apply(new MadeUp(
                                    model.projector().tokensPerImage(),
                                    SpecDigest.training(job).batch().globalSize(),
                                    stepMillis,
                                    poison)),
                            progress,
                            stop,
                            watchdog,
                            facts,
                            line -> {
                                synchronized (log) {
                                    log.add(line);
                                }
                            },
                            faults,
                            profiledSteps))
                    .run();
        }
    }

    Path run() {
        return root.resolve("run");
    }

    /** The loss of each step, as written. */
    List<String> losses() throws IOException {
        List<String> losses = new ArrayList<>();
        for (String line : Files.readAllLines(run().resolve("metrics.jsonl"))) {
            losses.add(line.replaceAll(".*\"loss\":([^,}]*).*\"step\":(\\d+),.*", "$2:$1"));
        }
        return losses;
    }

    /** The exported weights, as a digest. */
    String weights() throws IOException {
        try (Stream<Path> exports = Files.list(run().resolve("exports"))) {
            Path newest = exports.sorted().reduce((a, b) -> b).orElseThrow();
            return HexFormat.of()
                    .formatHex(Json.sha256().digest(Files.readAllBytes(newest.resolve("model.safetensors"))));
        }
    }

    /**
     * Data that go wrong.
     *
     * @param pixels steps (from 0) one row of which has pixels that are no numbers
     * @param labels steps whose answers are other ones than always
     */
    record Poison(Set<Long> pixels, Set<Long> labels) {
        static final Poison NONE = new Poison(Set.of(), Set.of());
    }

    /** Rows that are a function of step and place only. */
    record MadeUp(int tokensPerImage, int globalSize, int stepMillis, Poison poison) implements RowSource {
        @Override
        public long rows() {
            return ROWS;
        }

        @Override
        public long tokens() {
            return ROWS * (tokensPerImage + 3L);
        }

        @Override
        public Batch rows(long step, int from, int to) {
            pause(stepMillis);
            int rows = to - from;
            int length = tokensPerImage + 3;
            int[] ids = new int[rows * length];
            int[] labels = new int[rows * length];
            int[] positions = new int[rows * length];
            int[] starts = new int[rows + 1];
            float[] pixels = new float[rows * 3 * IMAGE_SIZE * IMAGE_SIZE];
            for (int r = 0; r < rows; r++) {
                SplittableRandom random = new SplittableRandom(step * globalSize + from + r);
                int shade = random.nextInt(CLASSES);
                for (int p = 0; p < 3 * IMAGE_SIZE * IMAGE_SIZE; p++) {
                    pixels[r * 3 * IMAGE_SIZE * IMAGE_SIZE + p] =
                            shade * 0.6f - 0.9f + 0.05f * (float) random.nextGaussian();
                }
                for (int t = 0; t < length; t++) {
                    int at = r * length + t;
                    boolean image = t >= 1 && t <= tokensPerImage;
                    boolean answer = t == tokensPerImage + 1;
                    int right = poison.labels().contains(step) ? 1900 + r : 100 + shade;
                    ids[at] = image ? Batch.IMAGE : answer ? right : t == 0 ? 1 : 2;
                    // Some rows have one target more, so that micro-batches are uneven.
                    labels[at] = answer || (t == length - 1 && shade == 0) ? ids[at] : Batch.IGNORE;
                    positions[at] = t;
                }
                starts[r + 1] = (r + 1) * length;
                if (from + r == globalSize - 1 && poison.pixels().contains(step)) {
                    pixels[r * 3 * IMAGE_SIZE * IMAGE_SIZE + 5] = Float.NaN;
                }
            }
            return new Batch(ids, labels, positions, starts, pixels, rows, IMAGE_SIZE);
        }

        private static void pause(int millis) {
            if (millis > 0) {
                try {
                    Thread.sleep(millis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
        }

        @Override
        public void close() {}
    }

    /** For the test that kills: arguments are the folder, the attempt, and the pause in milliseconds before each micro-batch. */
    public static void main(String[] arguments) throws IOException {
        TinyRun run = new TinyRun(Path.of(arguments[0]));
        run.attempt = Integer.parseInt(arguments[1]);
        run.stepMillis = Integer.parseInt(arguments[2]);
        run.everySteps = 3;
        int code = 0;
        try {
            run.train();
        } catch (TrainerException e) {
            System.out.println(e.code() + ": " + e.getMessage());
            code = e.code().code();
        }
        System.exit(code);
    }
}
