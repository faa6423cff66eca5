package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.TcpRing;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(600)
class TrainerTest {
    @TempDir
    Path folder;

    private TinyRun tiny(String name) throws IOException {
        return new TinyRun(Files.createDirectories(folder.resolve(name)));
    }

    @Test
    void profilesSteps() throws IOException {
        TinyRun run = tiny("a");
        run.steps = 5;
        run.profiledSteps = 2;
        run.train();
        Path folder = run.run().resolve("profile");
        var events = new com.fasterxml.jackson.databind.ObjectMapper()
                .readTree(folder.resolve("steps-2-3.rank-0.json").toFile())
                .path("traceEvents");
        assertThat(events.findValuesAsText("name"))
                .contains("step 2", "step 3", "linear", "adamw")
                .doesNotContain("step 4");
        events.forEach(event -> assertThat(event.path("dur").asDouble()).isNotNegative());
        assertThat(folder.resolve("steps-2-3.rank-0.txt"))
                .content()
                .contains("linear", "outside of operators", "100.0%");
        assertThat(run.log).anyMatch(line -> line.startsWith("profile of steps 2 to 3"));
    }

    @Test
    void learnsAndExports() throws IOException {
        TinyRun run = tiny("a");
        run.steps = 60;
        run.train();
        List<Double> losses = run.losses().stream()
                .map(l -> Double.parseDouble(l.split(":")[1]))
                .toList();
        assertThat(losses).hasSize(60);
        assertThat(losses.getLast())
                .as("loss after 60 steps; it began with %s", losses.getFirst())
                .isLessThan(1.0);
        assertThat(run.log).anyMatch(l -> l.startsWith("step 60/60  loss ")).anyMatch(l -> l.startsWith("MFU = "));
        assertThat(run.facts.export()).isPresent();
        assertThat(run.facts.checkpoints().getFirst().step()).isEqualTo(60);
        Path export = RunFolder.at(run.run()).export(60);
        try (Scope scope = Scope.open()) {
            ModelLoader.Loaded exported =
                    ModelLoader.open(ModelLoader.find(export, Optional.empty()), Set.of(), OptionalInt.empty(), scope);
            ModelLoader.Loaded saved = ModelLoader.open(
                    ModelLoader.find(run.run(), Optional.empty()), Set.of(), OptionalInt.empty(), scope);
            var batch = new TinyRun.MadeUp(1, 8, 0, TinyRun.Poison.NONE).rows(1000, 0, 8);
            float loss = exported.model().lossSum(batch, scope).item();
            assertThat(loss).isEqualTo(saved.model().lossSum(batch, scope).item());
            assertThat(loss / batch.targets()).isLessThan(1.0f);
        }
    }

    @Test
    void leavesNoTensorBehind() throws IOException {
        tiny("warm").train();
        long before = Torch.start().liveTensors();
        TinyRun run = tiny("b");
        run.train();
        assertThat(Torch.start().liveTensors()).isEqualTo(before);
    }

    /** On a GPU every read waits for all work before it: a step has one, whatever the number of micro-batches. */
    @Test
    void aStepReadsTheDeviceOnce() throws IOException {
        long few = reads(3);
        assertThat(reads(8) - few).isEqualTo(5);
    }

    private long reads(int steps) throws IOException {
        TinyRun run = tiny("reads-" + steps);
        run.steps = steps;
        run.everySteps = 100;
        run.microSize = 2; // 4 micro-batches
        long before = Torch.start().hostReads();
        run.train();
        return Torch.start().hostReads() - before;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 19})
    void resumeIsBitIdentical(int stopAfter) throws IOException {
        TinyRun straight = tiny("straight");
        straight.train();
        TinyRun broken = tiny("broken");
        broken.everySteps = 1;
        broken.faults = (call, path) -> {
            if (call.equals("write") && path.toString().contains("step-%09d".formatted(stopAfter + 1))) {
                throw new IOException("No space left on device");
            }
        };
        assertThatThrownBy(broken::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StorageFailed))
                .hasMessageContaining("no space left on the device");
        TinyRun again = tiny("broken");
        again.attempt = 2;
        again.train();
        assertThat(again.facts.resumedFrom()).contains((long) stopAfter);
        assertThat(again.losses()).isEqualTo(straight.losses());
        assertThat(again.weights()).isEqualTo(straight.weights());
    }

    @ParameterizedTest
    @CsvSource({"Tokens, 2", "Tokens, 3", "MicroBatch, 2"})
    void manyRanksAreOneRank(String normalization, int world) throws Exception {
        TinyRun one = tiny("one");
        one.normalization = normalization;
        one.microSize = normalization.equals("Tokens") ? 8 : 4;
        one.train();
        TinyRun many = tiny("many");
        many.normalization = normalization;
        many.microSize = normalization.equals("Tokens") ? 3 : 4;
        ranks(many, many.job(world));
        List<String> expected = one.losses();
        List<String> found = many.losses();
        assertThat(found).hasSameSizeAs(expected);
        for (int i = 0; i < expected.size(); i++) {
            assertThat(Double.parseDouble(found.get(i).split(":")[1]))
                    .as("loss of step %d", i + 1)
                    .isEqualTo(Double.parseDouble(expected.get(i).split(":")[1]), offset(1e-5));
        }
        // What several ranks wrote, one reads.
        TinyRun after = tiny("many");
        after.normalization = normalization;
        after.microSize = many.microSize;
        after.attempt = 2;
        after.train();
        assertThat(after.facts.resumedFrom()).contains(20L);
    }

    private static void ranks(TinyRun run, FrozenJob job) throws Exception {
        PeerSecret secret = PeerSecret.random();
        int port = 22_000 + (int) (System.nanoTime() % 500) * 8;
        try (var threads = Executors.newCachedThreadPool()) {
            List<Future<?>> all = new ArrayList<>();
            for (int r = 0; r < job.nodes(); r++) {
                int rank = r;
                all.add(threads.submit(() -> {
                    try (Communicator ring = TcpRing.connect(
                            new Membership(
                                    "uid-1",
                                    run.attempt,
                                    rank,
                                    job.nodes(),
                                    secret,
                                    "127.0.0.1",
                                    port,
                                    Duration.ofSeconds(30),
                                    Duration.ofSeconds(300)),
                            Optional.of("127.0.0.1"),
                            Optional.empty())) {
                        run.train(job, ring);
                    }
                }));
            }
            for (Future<?> future : all) {
                future.get(100, TimeUnit.SECONDS);
            }
        }
    }

    @Test
    void damagedCheckpointIsNamedAndSkipped() throws IOException {
        TinyRun straight = tiny("straight");
        straight.train();
        TinyRun run = tiny("damaged");
        run.everySteps = 5;
        run.train();
        Path newest = RunFolder.at(run.run()).stepFolder(20);
        try (var files = Files.list(newest)) {
            Path part = files.filter(f -> f.getFileName().toString().startsWith("rank-"))
                    .findFirst()
                    .orElseThrow();
            byte[] bytes = Files.readAllBytes(part);
            bytes[bytes.length - 7] ^= 1;
            Files.write(part, bytes, StandardOpenOption.TRUNCATE_EXISTING);
        }
        TinyRun again = tiny("damaged");
        again.attempt = 2;
        again.everySteps = 5;
        again.train();
        assertThat(again.facts.resumedFrom())
                .as("the one before step 20 that is kept")
                .contains(15L);
        assertThat(again.facts.warnings()).anyMatch(w -> w.contains("step 20 is skipped") && w.contains("damaged"));
        assertThat(again.weights()).isEqualTo(straight.weights());
    }

    @Test
    void replacedAttemptPublishesNothing() throws IOException {
        TinyRun run = tiny("fenced");
        run.everySteps = 5;
        run.faults = (call, path) -> {
            if (call.equals("publish") && path.toString().contains("step-000000010")) {
                RunFolder.at(run.run()).acquire(2, "uid-1", "now");
            }
        };
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.Fenced));
        assertThat(RunFolder.at(run.run()).complete())
                .extracting(RunFolder.Complete::step)
                .containsExactly(5L);
        TinyRun same = tiny("fenced");
        same.attempt = 2;
        assertThatThrownBy(same::train).hasMessageContaining("attempt 2 owns");
    }

    @Test
    void notFiniteEndsBeforeTheUpdate() throws IOException {
        TinyRun run = tiny("nan");
        run.everySteps = 1;
        run.optimizer = "{\"learningRate\":1e38,\"gradientClip\":1e30}";
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.NonFinite))
                .hasMessageContaining("the weights were not changed");
        assertThat(RunFolder.at(run.run()).complete()).isNotEmpty();
    }

    @Test
    void signalSavesAndEnds() throws Exception {
        TinyRun run = tiny("signal");
        run.steps = 2000;
        run.stepMillis = 5;
        Thread signal = Thread.ofPlatform().start(() -> {
            while (run.facts.step() < 3) {
                Thread.onSpinWait();
            }
            run.stop.request("SIGTERM", Duration.ofSeconds(20));
        });
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.PreemptedAfterSaving));
        signal.join();
        assertThat(run.facts.checkpoints().getFirst().step()).isEqualTo(run.facts.step());
        TinyRun hurried = tiny("hurried");
        hurried.steps = 2000;
        hurried.stepMillis = 5;
        Thread second = Thread.ofPlatform().start(() -> {
            while (hurried.facts.step() < 3) {
                Thread.onSpinWait();
            }
            hurried.stop.request("SIGTERM", Duration.ZERO);
        });
        assertThatThrownBy(hurried::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.Terminated))
                .hasMessageContaining("will be done again");
        second.join();
        assertThat(RunFolder.at(hurried.run()).complete()).isEmpty();
    }

    @Test
    void finetunesFromACheckpointWithMoreVisualTokens() throws IOException {
        TinyRun run = tiny("sft");
        run.train();
        assertThat(ModelLoader.find(run.run(), Optional.empty())
                        .manifest()
                        .orElseThrow()
                        .computed())
                .isEqualTo(new Manifest.Computed("CPU", "Float32", "Fast"));
        assertThat(run.log).contains("determinism Fast on cpu");
        TinyRun sft = new TinyRun(run.root);
        sft.train(sft.sft(), new io.vlmoperator.trainer.dist.Single());
        ModelLoader.Source source = ModelLoader.find(run.root.resolve("sft"), Optional.empty());
        assertThat(source.config().projector().tokensPerImage()).isEqualTo(4);
        assertThat(source.manifest().orElseThrow().files())
                .anyMatch(f -> f.name().startsWith("frozen-"));
        TinyRun resumed = new TinyRun(run.root);
        FrozenJob first = sft.sft();
        FrozenJob second = new FrozenJob(
                1,
                first.kind(),
                "local",
                "tiny",
                "uid-2",
                2,
                1,
                1,
                null,
                null,
                first.sft(),
                null,
                List.of(),
                first.checkpoint());
        resumed.train(second, new io.vlmoperator.trainer.dist.Single());
        assertThat(resumed.facts.resumedFrom()).contains(3L);
    }

    @Test
    void refusesAFolderOfAnotherRun() throws IOException {
        TinyRun run = tiny("same");
        run.train();
        TinyRun other = tiny("same");
        other.attempt = 2;
        other.normalization = "MicroBatch";
        assertThatThrownBy(other::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining("checkpoints of another spec");
        assertThat(run.run().resolve("attempt-00001")).exists();
        assertThat(run.run().resolve("attempt-00002"))
                .as("what may not write here does not throw out the attempt that does")
                .doesNotExist();
    }

    @Test
    void retentionKeepsNewestBestAndPinned() throws IOException {
        TinyRun run = tiny("keep");
        run.everySteps = 2;
        run.train();
        List<Long> left = RunFolder.at(run.run()).complete().stream()
                .map(RunFolder.Complete::step)
                .toList();
        long best = run.facts.best().orElseThrow().step();
        assertThat(left).contains(20L, 18L, best).hasSizeBetween(2, 3);
        assertThat(run.facts.checkpoints()).extracting(c -> c.step()).containsExactlyElementsOf(left);
    }
}
