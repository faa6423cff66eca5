package io.vlmoperator.local;

import io.fabric8.kubernetes.api.model.Quantity;
import io.vlmoperator.local.node.Images;
import io.vlmoperator.local.node.LocalNode;
import io.vlmoperator.local.node.NodeFolder;
import io.vlmoperator.local.node.NodeOptions;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code vlm-local node}: a node as a process of its own, in the foreground or detached. */
@Command(name = "node", description = "Run a node that runs pods as processes of this machine.", sortOptions = false)
final class NodeCommand implements Callable<Integer> {
    private static final int READY_SECONDS = 180;
    // They tell of every reconnection while the API server is away. Held here, or a logger is forgotten with its level.
    private static final List<Logger> QUIET = List.of(Logger.getLogger("io.fabric8"), Logger.getLogger("io.vertx"));

    @Mixin
    private Main.RunFolder run = new Main.RunFolder();

    @Option(names = "--name", defaultValue = "local-1", description = "the node's name (${DEFAULT-VALUE})")
    private String name = "";

    @Option(
            names = "--program",
            paramLabel = "IMAGE=EXECUTABLE",
            description = "what an image runs; the image without tag and digest; may be given often")
    private List<String> programs = List.of();

    @Option(names = "--cpu", paramLabel = "N", description = "CPUs to offer (those of this machine)")
    private Integer cpus = null;

    @Option(
            names = "--memory",
            paramLabel = "QUANTITY",
            description = "memory to offer, such as 16Gi (that of this machine)")
    private String memory = "";

    @Option(names = "--gpus", defaultValue = "0", paramLabel = "N", description = "nvidia.com/gpu to offer (none)")
    private int gpus;

    @Option(names = "--detach", description = "go on in the background; returns when the node is ready")
    private boolean detach;

    @Override
    public Integer call() throws Exception {
        ControlPlane controlPlane = ControlPlane.in(run.path());
        controlPlane.requireRunFolder();
        if (!controlPlane.isRunning()) {
            throw new LocalClusterException("the control plane in " + run.path()
                    + " does not run; start it with: vlm-local start --dir " + run.path());
        }
        NodeOptions options = options();
        if (detach) {
            launch();
            return 0;
        }
        QUIET.forEach(logger -> logger.setLevel(Level.SEVERE));
        CountDownLatch end = new CountDownLatch(1);
        LocalNode node = LocalNode.start(run.path(), controlPlane.server(), controlPlane.pki(), options);
        Files2.writeAtomically(readyFile(), ProcessHandle.current().pid() + "\n");
        System.err.println("node " + name + " is ready");
        // SIGTERM ends the node and leaves its pods; `stop` ends those too.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            node.detach();
            end.countDown();
        }));
        end.await();
        return 0;
    }

    private NodeOptions options() {
        Images images = new Images();
        for (String program : programs) {
            int equals = program.indexOf('=');
            if (equals < 1) {
                throw new LocalClusterException("--program " + program + " is not of the form IMAGE=EXECUTABLE");
            }
            Path executable = Path.of(program.substring(equals + 1)).toAbsolutePath();
            if (!Files.isExecutable(executable)) {
                throw new LocalClusterException(
                        "--program " + program + ": " + executable + " is not an executable file");
            }
            images.put(program.substring(0, equals), List.of(executable.toString()));
        }
        try {
            return new NodeOptions(
                    name,
                    images,
                    cpus == null ? OptionalInt.empty() : OptionalInt.of(cpus),
                    memory.isEmpty()
                            ? OptionalLong.empty()
                            : OptionalLong.of(Quantity.getAmountInBytes(new Quantity(memory))
                                    .longValue()),
                    gpus);
        } catch (IllegalArgumentException e) {
            throw new LocalClusterException(e.getMessage(), e);
        }
    }

    private Path readyFile() {
        return NodeFolder.of(run.path(), name).path().resolve("ready");
    }

    private void launch() throws Exception {
        Component component = new Component(run.path(), "node-" + name);
        component.running().ifPresent(process -> {
            throw new LocalClusterException("node " + name + " already runs (process " + process.pid() + ")");
        });
        Files.deleteIfExists(readyFile());
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(option -> !option.equals("-XX:+AutoCreateSharedArchive")) // it would delay the node's end
                .forEach(command::add);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName(), "node"));
        command.addAll(List.of("--dir", run.path().toString(), "--name", name, "--gpus", Integer.toString(gpus)));
        programs.forEach(program -> {
            int equals = program.indexOf('=');
            command.add("--program");
            command.add(program.substring(0, equals + 1)
                    + Path.of(program.substring(equals + 1)).toAbsolutePath());
        });
        Optional.ofNullable(cpus).ifPresent(count -> command.addAll(List.of("--cpu", count.toString())));
        if (!memory.isEmpty()) {
            command.addAll(List.of("--memory", memory));
        }
        Process process = component.launch(command);
        long deadline = System.nanoTime() + READY_SECONDS * 1_000_000_000L;
        while (!Files.exists(readyFile())) {
            if (!process.isAlive() || System.nanoTime() > deadline) {
                component.end(2);
                throw new LocalClusterException(
                        "node " + name + " did not start; the end of " + component.log() + ":\n" + component.logTail());
            }
            Thread.sleep(50);
        }
    }

    /** The nodes of a run that were detached. */
    static List<Component> detached(Path run) {
        return NodeFolder.all(run).stream()
                .map(node -> new Component(run, "node-" + node.name()))
                .toList();
    }
}
