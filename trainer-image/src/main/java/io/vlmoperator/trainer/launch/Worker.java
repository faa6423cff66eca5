package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.NcclCommunicator;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.dist.TcpRing;
import io.vlmoperator.trainer.metric.HttpProgress;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.RunFacts;
import io.vlmoperator.trainer.train.StopSignal;
import io.vlmoperator.trainer.train.Watchdog;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** {@code vlm-trainer worker}: one process of a pod. Everything it needs stands in its environment. */
final class Worker {
    private static final long MAX_JOB_BYTES = 2 << 20;
    private static final Duration DEFAULT_GRACE = Duration.ofSeconds(30);
    private static final Duration AFTER_STEP_LIMIT = Duration.ofSeconds(15);

    /** How many steps to profile. */
    static final String PROFILED_STEPS = "VLM_PROFILE_STEPS";

    private final Map<String, String> environment;
    private final Consumer<String> log;
    private final PrintStream err;
    private final StopSignal stop = new StopSignal();
    private final RunFacts facts = new RunFacts();
    private final AtomicBoolean ended = new AtomicBoolean();

    Worker(Map<String, String> environment, PrintStream out, PrintStream err) {
        this.environment = environment;
        this.log = line -> out.println(Ending.inLocations(line, mountRoot()));
        this.err = err;
    }

    /** Runs the job and returns the exit code. */
    int run() {
        FrozenJob job;
        int pod;
        OptionalInt local;
        try {
            pod = index();
            job = job();
            local = LocalRanks.of(environment, job.processesPerNode());
        } catch (TrainerException e) {
            return finish(new TerminationMessage(
                    e.code().name(), Ending.message(e), null, null, null, null, null, null, null, null));
        }
        int index = pod * job.processesPerNode() + local.orElse(0);
        if (job.processesPerNode() > 1 && local.isEmpty()) {
            return launch(job, pod, index);
        }
        switch (job.kind()) {
            case PretrainJob, SFTJob ->
                Signals.onTermination(
                        stop,
                        grace(),
                        () -> halt(
                                ExitCode.Terminated,
                                "no time was left to save; "
                                        + facts.lost().orElse("no step of this attempt was completed"),
                                index));
            // Whatever they have finished is on the disk, and the rest is done again.
            case Dataset, EvalJob ->
                Signals.onTermination(
                        stop,
                        Duration.ZERO,
                        () -> halt(ExitCode.Terminated, "ended by a signal; what is finished stays", index));
        }
        Thread.setDefaultUncaughtExceptionHandler((thread, e) -> halt(thread, e, index));
        Duration limit = stepLimit(job);
        try (Watchdog watchdog = new Watchdog(
                        startLimit(job),
                        late -> halt(ExitCode.StepDeadlineExceeded, situated(late + " on rank " + index), index));
                Progress progress = progress(job, index)) {
            int threads = threads(job);
            log.accept("vlm-trainer worker: %s %s/%s, attempt %d, rank %d of %d, %d threads"
                    .formatted(job.kind(), job.namespace(), job.name(), job.attempt(), index, world(job), threads));
            if (job.kind() != Kind.Dataset) {
                Torch.start().threads(threads);
            }
            Stage stage = new Stage(
                    job,
                    Locations.under(mountRoot()).in(environment),
                    index,
                    () -> communicator(job, index, limit),
                    progress,
                    stop,
                    watchdog,
                    facts,
                    threads,
                    log,
                    profiledSteps());
            return finish(stage.end());
        } catch (RuntimeException e) {
            return finish(words(Ending.code(e), Ending.message(e), index));
        }
    }

    /** With where all workers are: who waited for whom, and at what. */
    private String situated(String message) {
        return message + facts.situation().map(here -> " (" + here + ")").orElse("");
    }

    /** The pod's processes; this one only waits for them. */
    private int launch(FrozenJob job, int pod, int index) {
        // It has done no step itself: what is lost, the processes say, whose time is over a little before.
        Signals.onTerminationOfAll(
                stop,
                grace(),
                () -> halt(
                        ExitCode.Terminated,
                        "the processes of this pod did not end in time; their logs say what was saved",
                        index));
        log.accept("vlm-trainer worker: pod %d of %d starts %d processes"
                .formatted(pod, job.nodes(), job.processesPerNode()));
        try {
            return finish(LocalRanks.run(job, pod, environment, stop, grace(), log));
        } catch (IOException | RuntimeException e) {
            return finish(words(Ending.code(e), Ending.message(e), index));
        }
    }

    private TerminationMessage words(ExitCode code, String message, int index) {
        return new TerminationMessage(
                code.name(),
                message,
                facts.resumedFrom().isEmpty() ? null : facts.step(),
                facts.resumedFrom().orElse(null),
                facts.checkpoints().isEmpty() ? null : facts.checkpoints().getFirst(),
                facts.best().orElse(null),
                index,
                null,
                null,
                facts.export().orElse(null));
    }

    private Path mountRoot() {
        return Path.of(environment.getOrDefault(PodEnvironment.MOUNT_ROOT, PodEnvironment.DEFAULT_MOUNT_ROOT));
    }

    private int finish(TerminationMessage words) {
        TerminationMessage message = Ending.inLocations(words, mountRoot());
        ExitCode code = ExitCode.valueOf(message.reason());
        if (ended.compareAndSet(false, true)) {
            if (code != ExitCode.Completed) {
                err.println(message.reason() + ": " + message.message());
                err.flush();
            }
            Path file = Path.of(
                    environment.getOrDefault(PodEnvironment.TERMINATION_LOG, PodEnvironment.DEFAULT_TERMINATION_LOG));
            try {
                Ending.write(file, message);
            } catch (IOException e) {
                err.println("the termination message could not be written to " + file + ": " + e.getMessage());
            }
        }
        return code.code();
    }

    private void halt(ExitCode code, String message, int index) {
        try {
            finish(words(code, message, index));
        } finally {
            // Also where there is no memory left to say why.
            Runtime.getRuntime().halt(code.code());
        }
    }

    /** The end of a thread that nobody waits for. */
    private void halt(Thread thread, Throwable e, int index) {
        ExitCode code = Ending.code(e);
        try {
            halt(code, Ending.message(e) + " (in " + thread.getName() + ")", index);
        } finally {
            Runtime.getRuntime().halt(code.code());
        }
    }

    private FrozenJob job() {
        String file = environment.get(PodEnvironment.JOB_FILE);
        if (file == null) {
            throw TrainerException.configuration(
                    PodEnvironment.JOB_FILE
                            + " is not set. 'worker' runs inside the operator's pods; to run manifests here use 'vlm-trainer run'");
        }
        try {
            FrozenJob job = Json.read(Path.of(file), MAX_JOB_BYTES, FrozenJob.class);
            if (job.schemaVersion() == null || job.schemaVersion() > FrozenJob.SCHEMA_VERSION) {
                throw TrainerException.configuration(file + " has schemaVersion " + job.schemaVersion()
                        + ", this trainer reads up to " + FrozenJob.SCHEMA_VERSION + "; use a newer trainer image");
            }
            FrozenJobs.requireComplete(job);
            return FrozenJobs.admitted(job, environment.get(PodEnvironment.NODES));
        } catch (IOException e) {
            throw TrainerException.configuration("the frozen job can't be read: " + e.getMessage());
        }
    }

    private int index() {
        String text = environment.getOrDefault(PodEnvironment.COMPLETION_INDEX, "0");
        if (!text.matches("\\d{1,5}")) {
            throw TrainerException.configuration(PodEnvironment.COMPLETION_INDEX + "='" + text + "' is no index");
        }
        return Integer.parseInt(text);
    }

    private Duration grace() {
        String text = environment.getOrDefault(PodEnvironment.GRACE_SECONDS, "");
        return text.matches("\\d{1,6}") ? Duration.ofSeconds(Long.parseLong(text)) : DEFAULT_GRACE;
    }

    private static Duration stepLimit(FrozenJob job) {
        return Duration.ofSeconds(FrozenJobs.failure(job).stepDeadlineSeconds());
    }

    /** Until the first step, or for the whole of a job that has no steps, which the operator watches. */
    private static Duration startLimit(FrozenJob job) {
        return switch (job.kind()) {
            case PretrainJob, SFTJob ->
                Duration.ofSeconds(FrozenJobs.failure(job).startupDeadlineSeconds())
                        .plus(AFTER_STEP_LIMIT);
            case Dataset, EvalJob ->
                Duration.ofSeconds(FrozenJobs.failure(job).activeDeadlineSeconds())
                        .plus(AFTER_STEP_LIMIT);
        };
    }

    /** Set by {@code vlm-trainer run --profile}, or by hand for {@code vlm-trainer worker}. */
    private int profiledSteps() {
        String text = environment.getOrDefault(PROFILED_STEPS, "0");
        if (!text.matches("\\d{1,6}")) {
            throw TrainerException.configuration(PROFILED_STEPS + " is '" + text + "'; a number of steps is needed");
        }
        return Integer.parseInt(text);
    }

    private int threads(FrozenJob job) {
        String cpus = environment.getOrDefault(PodEnvironment.CPUS, "");
        int processors = Runtime.getRuntime().availableProcessors();
        int own = cpus.matches("[1-9]\\d{0,4}") ? Math.min(Integer.parseInt(cpus), processors) : processors;
        return Math.max(1, own / job.processesPerNode());
    }

    private static int world(FrozenJob job) {
        return job.nodes() * job.processesPerNode();
    }

    private Communicator communicator(FrozenJob job, int index, Duration limit) {
        int world = world(job);
        if (world == 1) {
            return new Single();
        }
        String meeting = environment.getOrDefault(PodEnvironment.RENDEZVOUS, "");
        int colon = meeting.lastIndexOf(':');
        if (colon < 1 || !meeting.substring(colon + 1).matches("\\d{1,5}")) {
            throw TrainerException.configuration(PodEnvironment.RENDEZVOUS + "='" + meeting + "', but a job of " + world
                    + " workers needs HOST:PORT of worker 0");
        }
        Membership membership = new Membership(
                job.uid(),
                job.attempt(),
                index,
                world,
                secret(),
                meeting.substring(0, colon),
                Integer.parseInt(meeting.substring(colon + 1)),
                Duration.ofSeconds(FrozenJobs.failure(job).startupDeadlineSeconds()),
                limit.multipliedBy(3).dividedBy(4));
        Communicator ring = TcpRing.connect(
                membership,
                Optional.ofNullable(environment.get("VLM_POD_ADDRESS")),
                Optional.ofNullable(environment.get("HOSTNAME")),
                facts.whereabouts());
        // Between processors the ring itself adds up; between GPUs it only carries the host's messages.
        return Torch.start().device().isHost()
                ? ring
                : NcclCommunicator.over(ring, membership.connectLimit(), membership.operationLimit(), log);
    }

    private PeerSecret secret() {
        String text = environment.get(PodEnvironment.PEER_SECRET);
        if (text == null) {
            throw TrainerException.configuration(PodEnvironment.PEER_SECRET
                    + " is not set; several workers need one secret, which the operator or 'vlm-trainer run' makes");
        }
        return PeerSecret.parse(text, PodEnvironment.PEER_SECRET);
    }

    private Progress progress(FrozenJob job, int index) {
        String url = environment.getOrDefault(PodEnvironment.PROGRESS_URL, "");
        if (url.isEmpty() || index != 0) {
            return Progress.NONE;
        }
        try {
            return HttpProgress.start(
                    URI.create(url),
                    Optional.ofNullable(environment.get(PodEnvironment.PROGRESS_CA))
                            .map(Path::of),
                    Optional.ofNullable(environment.get(PodEnvironment.PROGRESS_TOKEN))
                            .map(Path::of),
                    job.uid(),
                    job.attempt(),
                    log);
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration(PodEnvironment.PROGRESS_URL + "='" + url + "' is no url");
        }
    }
}
