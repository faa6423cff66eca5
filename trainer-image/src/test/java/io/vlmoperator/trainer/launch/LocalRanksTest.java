package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.launch.ManifestFiles.Resource;
import io.vlmoperator.trainer.op.Device;
import io.vlmoperator.trainer.op.Gpus;
import io.vlmoperator.trainer.train.StopSignal;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A pod that runs several processes, as one with several GPUs does; here they compute on the processor. */
@Timeout(900)
class LocalRanksTest {
    private static final String MANIFESTS = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: captions}
            spec:
              sources: [{name: s, conversations: {location: "pvc://c/questions.jsonl", images: "pvc://c/images"}}]
              pack: {contextLength: 64, tokensPerImage: 1, algorithm: None, tokenizer: "pvc://c/tokenizer"}
              output: {location: "pvc://c/packed"}
            ---
            apiVersion: vlm-operator.io/v1alpha1
            kind: PretrainJob
            metadata: {name: p}
            spec:
              model:
                language:
                  tokenizer: "pvc://c/tokenizer"
                  config: {hiddenSize: 16, intermediateSize: 32, numHiddenLayers: 1, numAttentionHeads: 2, numKeyValueHeads: 1, vocabSize: 2048}
                vision:
                  config: {imageSize: 16, patchSize: 8, hiddenSize: 16, intermediateSize: 32, numHiddenLayers: 2, numAttentionHeads: 2}
                projector: {tokensPerImage: 1}
                train: [Vision, Projector, Language]
              data: [{dataset: captions}]
              batch: {globalSize: 4, microSize: 2, contextLength: 64}
              schedule: {stopAfter: {steps: STEPS}}
              precision: Float32
              workers: {nodes: 1, gpusPerNode: GPUS}
              output: {location: "pvc://c/STEPS"}
            """;

    @TempDir
    Path folder;

    private final List<String> log = Collections.synchronizedList(new ArrayList<>());
    private final StopSignal stop = new StopSignal();

    /** The frozen job as the operator writes it for one pod with two processes, with its data made. */
    private FrozenJob job(int steps, int gpus) throws IOException {
        Path claim = Files.createDirectories(folder.resolve("claim"));
        Path manifest = folder.resolve("all.yaml");
        Files.writeString(
                manifest, MANIFESTS.replace("STEPS", Integer.toString(steps)).replace("GPUS", Integer.toString(gpus)));
        if (!Files.exists(claim.resolve("questions.jsonl"))) {
            try (var in = LocalRanksTest.class.getResourceAsStream("/tokenizer/small/tokenizer.json")) {
                Files.copy(
                        in, Files.createDirectories(claim.resolve("tokenizer")).resolve("tokenizer.json"));
            }
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            ImageIO.write(new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB), "png", png);
            Files.write(Files.createDirectories(claim.resolve("images")).resolve("0.png"), png.toByteArray());
            List<String> lines = new ArrayList<>();
            for (int i = 0; i < 16; i++) {
                lines.add("""
                        {"id":"%d","image":"0.png","conversations":[{"from":"human","value":"<image>\\nNumber?"},{"from":"gpt","value":"%d"}]}""".formatted(i, i));
            }
            Files.write(claim.resolve("questions.jsonl"), lines);
        }
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);
        int code = Main.run(
                List.of("run", manifest.toString(), "--mount", "c=" + claim, "--only", "Dataset/captions"),
                Map.of(),
                out,
                out);
        assertThat(code).as(said.toString(StandardCharsets.UTF_8)).isZero();
        List<Resource> resources = ManifestFiles.read(List.of(manifest), line -> {});
        Freezer freezer = new Freezer();
        freezer.finished(
                resources.getFirst(),
                new TerminationMessage("Completed", "", null, null, null, null, null, null, null, null));
        FrozenJob one = freezer.freeze(resources.getLast(), 1, 1);
        return new FrozenJob(
                one.schemaVersion(),
                one.kind(),
                one.namespace(),
                one.name(),
                one.uid(),
                one.attempt(),
                1,
                2,
                null,
                one.pretrain(),
                null,
                null,
                one.datasets(),
                null);
    }

    private TerminationMessage run(FrozenJob job, Consumer<String> hear) throws IOException {
        Path file = folder.resolve("job.json");
        Files.write(file, Json.bytes(job));
        Path root = Files.createDirectories(folder.resolve("mnt"));
        if (!Files.exists(root.resolve("c"))) {
            Files.createSymbolicLink(root.resolve("c"), folder.resolve("claim"));
        }
        Map<String, String> environment = new HashMap<>(System.getenv());
        environment.put(PodEnvironment.JOB_FILE, file.toString());
        environment.put(PodEnvironment.MOUNT_ROOT, root.toString());
        environment.put(PodEnvironment.RENDEZVOUS, "127.0.0.1:" + Children.freePorts(2));
        environment.put(PodEnvironment.PEER_SECRET, PeerSecret.random().text());
        environment.put(PodEnvironment.COMPLETION_INDEX, "0");
        environment.put(PodEnvironment.GRACE_SECONDS, "120");
        environment.put("VLM_POD_ADDRESS", "127.0.0.1");
        return LocalRanks.run(job, 0, environment, stop, Duration.ofSeconds(120), line -> {
            log.add(line);
            hear.accept(line);
        });
    }

    @Test
    void theProcessesAreRanksOfOneJobAndEndTogether() throws IOException {
        FrozenJob short_ = job(3, 0);
        TerminationMessage words = run(short_, line -> {});
        assertThat(words.reason()).as("%s", log).isEqualTo(ExitCode.Completed.name());
        assertThat(log).anyMatch(line -> line.startsWith("   [0] ") && line.contains("rank 0 of 2"));
        assertThat(log).anyMatch(line -> line.startsWith("   [1] ") && line.contains("rank 1 of 2"));
        assertThat(log).anyMatch(line -> line.contains("step 3/3"));

        // A wish to stop reaches both as SIGTERM: they save, and none is the cause of the other's end.
        log.clear();
        FrozenJob long_ = job(3000, 0);
        words = run(long_, line -> {
            if (line.contains("step 2/")) {
                stop.request("SIGTERM", Duration.ofSeconds(120));
            }
        });
        assertThat(words.reason()).as("%s", log).isEqualTo(ExitCode.PreemptedAfterSaving.name());
    }

    @Test
    void oneThatIsKilledEndsTheOtherAndIsTheCause() throws IOException {
        AtomicReference<Optional<ProcessHandle>> killed = new AtomicReference<>(Optional.empty());
        FrozenJob job = job(3000, 0);
        Set<Long> before = children();
        TerminationMessage words = run(job, line -> {
            if (line.contains("step 2/") && killed.get().isEmpty()) {
                killed.set(ProcessHandle.current()
                        .children()
                        .filter(child -> !before.contains(child.pid()))
                        .max(Comparator.comparingLong(ProcessHandle::pid)));
                killed.get().ifPresent(ProcessHandle::destroyForcibly);
            }
        });
        assertThat(killed.get()).isPresent();
        assertThat(words.reason()).as("%s", log).isEqualTo(ExitCode.Killed.name());
        assertThat(words.message()).contains("worker 1 ended with code 137");
        assertThat(children()).isSubsetOf(before);
    }

    @Test
    void aWorkerWhoseJavaHeapIsTooSmallSaysSo() throws Exception {
        FrozenJob one = job(3, 0);
        Path file = folder.resolve("job.json");
        // Rows of 16 images of 480 x 480 take 44 MB as FLOAT32.
        Files.writeString(
                file,
                new String(Json.bytes(one), StandardCharsets.UTF_8)
                        .replace("\"processesPerNode\":2", "\"processesPerNode\":1")
                        .replace("\"imageSize\":16", "\"imageSize\":480")
                        .replace("\"patchSize\":8", "\"patchSize\":240")
                        .replace("\"globalSize\":4", "\"globalSize\":16")
                        .replace("\"microSize\":2", "\"microSize\":16"));
        Path root = Files.createDirectories(folder.resolve("mnt"));
        Files.createSymbolicLink(root.resolve("c"), folder.resolve("claim"));
        Path words = folder.resolve("words.json");
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-Xmx40m",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Main.class.getName(),
                        "worker")
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("out.txt").toFile());
        builder.environment().put(PodEnvironment.JOB_FILE, file.toString());
        builder.environment().put(PodEnvironment.MOUNT_ROOT, root.toString());
        builder.environment().put(PodEnvironment.TERMINATION_LOG, words.toString());
        Process process = builder.start();
        try {
            assertThat(process.waitFor(600, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        String out = Files.readString(folder.resolve("out.txt"));
        assertThat(process.exitValue()).as(out).isEqualTo(ExitCode.DoesNotFit.code());
        TerminationMessage last = Ending.read(words);
        assertThat(last.reason()).isEqualTo(ExitCode.DoesNotFit.name());
        assertThat(last.message())
                .startsWith("out of memory in the Java heap, which may have ")
                .contains("raise it by the variable TRAINER_HEAP in workers.env")
                .contains("workers.resources.limits.memory");
        assertThat(RunFolder.at(folder.resolve("claim/3")).complete())
                .as("checkpoints")
                .isEmpty();
    }

    private static Set<Long> children() {
        return ProcessHandle.current().children().map(ProcessHandle::pid).collect(Collectors.toSet());
    }

    @Test
    void jobsThatAskForWhatIsNotThereAreRefused() throws IOException {
        FrozenJob wants = job(3, 2);
        Gpus none = new Gpus(List.of(), Optional.of("libtorch is built for processors only"));
        assertThatThrownBy(() -> Gpu.require(wants, Device.HOST, none))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining("workers.gpusPerNode 2, but this process has no GPU")
                .hasMessageContaining("built for processors only")
                .hasMessageContaining("gpusPerNode: 0");
        Gpus old = new Gpus(List.of(new Gpus.Gpu("Old", 7, 0, 16L << 30)), Optional.empty());
        Gpu.require(wants, Device.CUDA, old); // Float32
        Gpu.require(job(3, 0), Device.HOST, none);

        exactNeedsWhatLibrariesRead(wants);
        assertThat(LocalRanks.visible(null, 3)).isEqualTo("3");
        assertThat(LocalRanks.visible("4,GPU-abc", 1)).isEqualTo("GPU-abc");
        assertThatThrownBy(() -> LocalRanks.visible("4,5", 2)).hasMessageContaining("names 2 devices");
        assertThat(LocalRanks.of(Map.of(), 2)).isEmpty();
        assertThat(LocalRanks.of(Map.of(LocalRanks.LOCAL_RANK, "1"), 2)).hasValue(1);
        assertThatThrownBy(() -> LocalRanks.of(Map.of(LocalRanks.LOCAL_RANK, "2"), 2))
                .hasMessageContaining("has 2 processes");
    }

    private void exactNeedsWhatLibrariesRead(FrozenJob fast) throws IOException {
        Path file = folder.resolve("exact.json");
        Files.writeString(
                file,
                new String(Json.bytes(fast), StandardCharsets.UTF_8)
                        .replace("\"determinism\":\"Fast\"", "\"determinism\":\"Exact\""));
        FrozenJob exact = Json.read(file, 1 << 20, FrozenJob.class);
        assertThat(Gpu.exact(exact)).isTrue();
        assertThat(Gpu.exact(fast)).isFalse();
        Gpu.requireExact(exact, Device.CUDA, 2, PodEnvironment.EXACT);
        Gpu.requireExact(exact, Device.CUDA, 1, Map.of("CUBLAS_WORKSPACE_CONFIG", ":16:8"));
        Gpu.requireExact(exact, Device.HOST, 2, Map.of());
        Gpu.requireExact(fast, Device.CUDA, 2, Map.of());
        assertThatThrownBy(() -> Gpu.requireExact(exact, Device.CUDA, 1, Map.of()))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining("CUBLAS_WORKSPACE_CONFIG=:4096:8, but it is ''");
        Map<String, String> open = new TreeMap<>(PodEnvironment.EXACT);
        open.put("NCCL_ALGO", "Ring,Tree");
        assertThatThrownBy(() -> Gpu.requireExact(exact, Device.CUDA, 2, open))
                .hasMessageContaining("NCCL_ALGO=Ring, but it is 'Ring,Tree'")
                .hasMessageContaining("workers.env");
    }
}
