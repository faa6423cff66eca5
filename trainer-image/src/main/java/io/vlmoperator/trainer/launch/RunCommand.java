package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.launch.ManifestFiles.Resource;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.RunFacts;
import io.vlmoperator.trainer.train.StopSignal;
import io.vlmoperator.trainer.train.Watchdog;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** {@code vlm-trainer run}: the manifests of a folder on this machine, one after the other, in order of dependence. */
final class RunCommand {
    private static final Duration GRACE = Duration.ofSeconds(30);
    private static final int MAX_PROCESSES = 64;

    private final Arguments arguments;
    private final Map<String, String> environment;
    private final PrintStream out;
    private final PrintStream err;
    private final StopSignal stop = new StopSignal();

    RunCommand(List<String> words, Map<String, String> environment, PrintStream out, PrintStream err) {
        this.arguments = Arguments.parse(words, List.of("--only", "--processes", "--profile"), List.of("--mount"));
        this.environment = environment;
        this.out = out;
        this.err = err;
    }

    private record Line(Resource resource, String outcome, double seconds, List<String> facts) {}

    int run() {
        if (arguments.words().isEmpty()) {
            throw TrainerException.configuration("name at least one folder or file with manifests");
        }
        Map<String, Path> mounts = Mounts.parse(arguments.many("--mount"));
        int processes = arguments.number("--processes", MAX_PROCESSES).orElse(1);
        Places places = Places.of(arguments, environment);
        List<Resource> resources =
                ManifestFiles.read(arguments.words().stream().map(places::path).toList(), out::println);
        List<Resource> order = Order.of(resources, arguments.one("--only"));
        Locations locations = Locations.of(mounts).in(environment);
        requireMounts(order, locations);
        Signals.onTermination(stop, GRACE, () -> {
            err.println("Terminated: the work did not end within " + GRACE.toSeconds()
                    + " s; run the same command to go on");
            err.flush();
            Runtime.getRuntime().halt(ExitCode.Terminated.code());
        });
        Freezer freezer = new Freezer();
        List<Line> lines = new ArrayList<>();
        ExitCode code = ExitCode.Completed;
        for (Resource resource : order) {
            if (stop.requested().isPresent()) {
                code = ExitCode.Terminated;
                err.println("Terminated: " + stop.requested().get().why() + "; run the same command to go on");
                break;
            }
            long start = System.nanoTime();
            out.println("== " + resource.kind() + " " + resource.name());
            Outcome outcome = stage(resource, freezer, locations, mounts, processes);
            freezer.finished(resource, outcome.words());
            lines.add(new Line(
                    resource,
                    outcome.words().reason() + (outcome.before() ? " (before)" : ""),
                    (System.nanoTime() - start) / 1e9,
                    Summaries.lines(outcome.words())));
            code = ExitCode.valueOf(outcome.words().reason());
            if (code != ExitCode.Completed) {
                err.println(code.name() + ": " + resource.kind() + " " + resource.name() + ": "
                        + outcome.words().message());
                break;
            }
        }
        table(lines, order.size());
        return code.code();
    }

    /** @param before finished by an earlier run */
    private record Outcome(TerminationMessage words, boolean before) {}

    private Outcome stage(
            Resource resource, Freezer freezer, Locations locations, Map<String, Path> mounts, int processes) {
        try {
            Path folder = locations.resolve(output(resource));
            FrozenJob draft = freezer.freeze(resource, 1, 1);
            String key = Completed.key(draft);
            Optional<TerminationMessage> before = Completed.read(folder, key);
            if (before.isPresent()) {
                out.println("   finished before, skipped (" + folder + ")");
                return new Outcome(before.get(), true);
            }
            int attempt = resource.spec() instanceof TrainingSpec
                    ? RunFolder.at(folder).owner().orElse(0) + 1
                    : 1;
            int nodes =
                    resource.spec() instanceof TrainingSpec || resource.spec() instanceof EvalJobSpec ? processes : 1;
            FrozenJob job = freezer.freeze(resource, attempt, nodes);
            TerminationMessage words = nodes == 1
                    ? inProcess(job, locations)
                    : Children.run(job, mounts, childEnvironment(), stop, out::println);
            if (words.reason().equals(ExitCode.Completed.name())) {
                Completed.write(folder, key, words);
            }
            return new Outcome(words, false);
        } catch (IOException | TrainerException e) {
            return new Outcome(
                    new TerminationMessage(
                            Ending.code(e).name(), Ending.message(e), null, null, null, null, null, null, null, null),
                    false);
        }
    }

    private int profiledSteps() {
        return arguments.number("--profile", 10_000).orElse(0);
    }

    private Map<String, String> childEnvironment() {
        Map<String, String> child = new HashMap<>(environment);
        child.put(Worker.PROFILED_STEPS, Integer.toString(profiledSteps()));
        return child;
    }

    private TerminationMessage inProcess(FrozenJob job, Locations locations) {
        RunFacts own = new RunFacts();

        int threads = Runtime.getRuntime().availableProcessors();
        if (job.kind() != Kind.Dataset) {
            Torch.start().threads(threads);
        }
        try (Watchdog watchdog =
                        new Watchdog(Duration.ofSeconds(FrozenJobs.failure(job).activeDeadlineSeconds()), late -> {
                            err.println(ExitCode.StepDeadlineExceeded + ": " + late);
                            err.flush();
                            Runtime.getRuntime().halt(ExitCode.StepDeadlineExceeded.code());
                        });
                EndsAtOnce interrupted = job.kind() == Kind.Dataset ? new EndsAtOnce(stop, this::interrupted) : null) {
            return new Stage(
                            job,
                            locations,
                            0,
                            Single::new,
                            Progress.NONE,
                            stop,
                            watchdog,
                            own,
                            threads,
                            line -> out.println("   " + line),
                            profiledSteps())
                    .end();
        }
    }

    private void interrupted(StopSignal.Request request) {
        err.println("Terminated: " + request.why() + "; what is finished stays, run the same command to go on");
        err.flush();
        Runtime.getRuntime().halt(ExitCode.Terminated.code());
    }

    private static String output(Resource resource) {
        return switch (resource.spec()) {
            case DatasetSpec dataset -> dataset.output().location();
            case TrainingSpec training -> training.output().location();
            case EvalJobSpec eval -> eval.output().location();
            default -> throw new IllegalStateException(resource.key());
        };
    }

    /** What is missing of the mounts is said before the first hour of work. */
    private static void requireMounts(List<Resource> order, Locations locations) {
        for (Resource resource : order) {
            try {
                locations.resolve(output(resource));
            } catch (TrainerException e) {
                throw TrainerException.configuration(
                        resource.file() + ": " + resource.key() + ": spec.output.location: " + e.getMessage());
            }
        }
    }

    private void table(List<Line> lines, int all) {
        out.println();
        out.printf("%-12s %-24s %-22s %9s  %s%n", "KIND", "NAME", "OUTCOME", "SECONDS", "RESULT");
        for (Line line : lines) {
            out.printf(
                    "%-12s %-24s %-22s %9.1f  %s%n",
                    line.resource().kind(),
                    line.resource().name(),
                    line.outcome(),
                    line.seconds(),
                    line.facts().isEmpty() ? "" : line.facts().getFirst());
            line.facts().stream()
                    .skip(1)
                    .forEach(fact -> out.printf("%-12s %-24s %-22s %9s  %s%n", "", "", "", "", fact));
        }
        if (lines.size() < all) {
            out.println((all - lines.size()) + " more were not begun");
        }
    }
}
