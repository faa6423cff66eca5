package io.vlmoperator.local;

import io.vlmoperator.local.node.NodeFolder;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The command line {@code vlm-local}. Exit codes: 0 done, 1 not possible (the message says why), 2 wrong usage. */
@Command(
        name = "vlm-local",
        description = "A real Kubernetes control plane on loopback, and a node that runs pods as processes.",
        mixinStandardHelpOptions = true)
public final class Main {
    private Main() {}

    public static void main(String... arguments) {
        System.exit(run(arguments));
    }

    static int run(String... arguments) {
        CommandLine line =
                new CommandLine(new Main()).addSubcommand(new NodeCommand()).addSubcommand(FaultCommand.create());
        line.setExecutionExceptionHandler((e, command, result) -> {
            if (e instanceof LocalClusterException || e instanceof java.io.UncheckedIOException) {
                command.getErr().println("vlm-local: " + e.getMessage());
                return 1;
            }
            throw e;
        });
        return line.execute(arguments);
    }

    /** The option that all commands share. */
    static final class RunFolder {
        @Option(
                names = "--dir",
                required = true,
                paramLabel = "RUN",
                description = "the run folder; all state of the cluster lies in it")
        private Path folder;

        Path path() {
            return folder.toAbsolutePath().normalize();
        }
    }

    @Command(description = "Start etcd, kube-apiserver, kube-controller-manager and kube-scheduler.")
    void start(
            @CommandLine.Mixin RunFolder run,
            @Option(
                            names = "--port",
                            paramLabel = "BASE",
                            description = "first of five ports; free ones are chosen otherwise")
                    Integer port,
            @Option(
                            names = "--controllers",
                            defaultValue = "*",
                            paramLabel = "LIST",
                            description = "the controllers to run, default all")
                    String controllers)
            throws InterruptedException {
        long began = System.nanoTime();
        ControlPlane controlPlane = ControlPlane.in(run.path());
        controlPlane.start(
                Tools.locate(),
                Optional.ofNullable(port).map(OptionalInt::of).orElse(OptionalInt.empty()),
                controllers,
                Map.of());
        System.err.printf("ready after %.1f s at %s%n", (System.nanoTime() - began) / 1e9, controlPlane.server());
        System.out.println("export KUBECONFIG=" + controlPlane.kubeconfig());
    }

    @Command(description = "Stop everything that runs from the folder; its data stays.")
    void stop(@CommandLine.Mixin RunFolder run) throws InterruptedException {
        ControlPlane controlPlane = ControlPlane.in(run.path());
        controlPlane.requireRunFolder();
        List<Component> all = Stream.concat(
                        NodeCommand.detached(run.path()).stream(), controlPlane.components().reversed().stream())
                .toList();
        List<String> running = all.stream()
                .filter(component -> component.running().isPresent())
                .map(Component::name)
                .toList();
        for (Component node : NodeCommand.detached(run.path())) {
            node.end(10);
        }
        NodeFolder.all(run.path()).forEach(NodeFolder::killPods);
        controlPlane.stopAll();
        System.err.println(
                running.isEmpty()
                        ? "nothing ran from " + run.path()
                        : "stopped " + String.join(", ", running) + " and all pods; the data stays in " + run.path());
    }

    @Command(description = "Show what runs, with its memory. Exit code 1 when something does not run.")
    int status(@CommandLine.Mixin RunFolder run) {
        ControlPlane controlPlane = ControlPlane.in(run.path());
        controlPlane.requireRunFolder();
        List<String> lines = controlPlane.status();
        lines.forEach(System.out::println);
        NodeCommand.detached(run.path()).forEach(node -> System.out.println(ControlPlane.describe(node)));
        return controlPlane.isRunning() ? 0 : 1;
    }

    @Command(description = "Print the path of the administrator's kubeconfig.")
    void kubeconfig(@CommandLine.Mixin RunFolder run) {
        ControlPlane controlPlane = ControlPlane.in(run.path());
        controlPlane.requireRunFolder();
        System.out.println(controlPlane.kubeconfig());
    }
}
