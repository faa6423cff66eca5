package io.vlmoperator.e2e;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Pod;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.local.Proc;
import io.vlmoperator.local.node.NodeFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The local cluster with the operator, for {@code soak}: one job in a namespace of its own, and what can go wrong around it. */
public final class SoakCluster implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofMinutes(20);

    private final Stage stage;

    private SoakCluster(Stage stage) {
        this.stage = stage;
    }

    /** Starts control plane, node and operator: a minute or two. */
    public static SoakCluster start() throws IOException, InterruptedException {
        return new SoakCluster(Stage.start());
    }

    /** The examples whose small copies are trained. */
    public Path examples() {
        return stage.examples();
    }

    /** A job that has begun, in its namespace. */
    public static final class Job {
        private final Space space;
        private final String name;

        private Job(Space space, String name) {
            this.space = space;
            this.name = name;
        }

        /** Its run folder. */
        public Path run() {
            return space.claim().resolve("runs").resolve(name);
        }

        /** Waits until so many steps are saved; looks at the storage, which is there whatever has gone. */
        public void awaitSaved(int steps) {
            space.await(
                    "a checkpoint of step " + steps + " or later in " + run(),
                    LIMIT,
                    () -> newest() >= steps || Files.exists(run().resolve("exports")),
                    reached -> reached);
        }

        private long newest() {
            try (var steps = Files.list(run().resolve("checkpoints"))) {
                return steps.map(step -> step.getFileName().toString())
                        .filter(step -> step.matches("step-\\d+"))
                        .mapToLong(step -> Long.parseLong(step.substring("step-".length())))
                        .max()
                        .orElse(0);
            } catch (IOException notYet) {
                return 0;
            }
        }

        /** Waits for the end and gives the number of attempts. */
        public int awaitComplete() {
            PretrainJob done = space.await(
                    PretrainJob.class,
                    name,
                    "complete",
                    LIMIT,
                    job -> job.getStatus().phase() == Phase.Complete);
            return done.getStatus().attempts().size();
        }
    }

    /** Packs the data and starts the job, which is called run, in a fresh namespace. */
    public Job begin(ObjectNode manifest) throws IOException, InterruptedException {
        Space space = stage.newSpace("soak");
        space.apply("Dataset");
        space.await(
                Dataset.class,
                "emoji-captions",
                "complete",
                LIMIT,
                dataset -> dataset.getStatus().phase() == Phase.Complete);
        ((ObjectNode) manifest.get("metadata")).put("name", "run");
        Manifests.spec(manifest).putObject("output").put("location", "pvc://emoji/runs/run");
        space.apply(manifest);
        return new Job(space, "run");
    }

    /** {@code kill -9} of the operator; gives the number of processes that got it. */
    public int killOperator() {
        List<Pod> pods = stage.client()
                .pods()
                .inNamespace(stage.operatorNamespace())
                .list()
                .getItems();
        return pods.stream()
                .mapToInt(pod -> stage.node()
                        .signalPod(stage.operatorNamespace(), pod.getMetadata().getName(), Proc.Signal.KILL))
                .sum();
    }

    /** {@code kill -9} of the API server, and the same program again after a while. */
    public void killApiServer(Duration away) throws IOException, InterruptedException {
        Path folder = stage.cluster().folder();
        Path record = folder.resolve("kube-apiserver.process");
        List<String> fields = List.of(Files.readString(record).strip().split(" ", 3));
        long pid = Long.parseLong(fields.getFirst());
        List<String> command =
                List.of(Files.readString(Path.of("/proc/" + pid + "/cmdline")).split("\0", -1));
        ProcessHandle process = ProcessHandle.of(pid).orElseThrow();
        process.destroyForcibly();
        process.onExit().join();
        Thread.sleep(away);
        Process again = new ProcessBuilder(command.subList(0, command.size() - 1))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(
                        folder.resolve("kube-apiserver.log").toFile()))
                .start();
        // So that the cluster ends this one, too.
        String stat = Files.readString(Path.of("/proc/" + again.pid() + "/stat"));
        List<String> afterName =
                List.of(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1));
        Files.writeString(record, again.pid() + " " + afterName.get(19) + " " + fields.getLast() + "\n");
        if (again.waitFor(5, TimeUnit.SECONDS)) {
            throw new IOException("the API server ended at once with " + again.exitValue() + "; see " + folder);
        }
    }

    /** The node with all its processes, the operator's among them, stands still for a while. */
    public void freezeNode(Duration away) throws InterruptedException {
        stage.node().lose(NodeFolder.Loss.FREEZE);
        try {
            Thread.sleep(away);
        } finally {
            stage.node().restore();
        }
    }

    @Override
    public void close() {
        stage.close();
    }
}
