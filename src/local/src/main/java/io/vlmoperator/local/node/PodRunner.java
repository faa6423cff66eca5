package io.vlmoperator.local.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.Pod;
import io.vlmoperator.local.Files2;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;

/**
 * The life of one pod on this node, on a thread of its own: look at what is asked and what runs, do the next thing, write the status when
 * it changed, sleep until something happens.
 */
final class PodRunner {
    private static final Logger LOG = Logger.getLogger(PodRunner.class.getName());
    private static final int MOST_EVENTS = 60;
    private static final Duration RETRY = Duration.ofSeconds(1);
    private static final Duration REFRESH = Duration.ofSeconds(5);

    private final NodeAgent agent;
    private final PodFolder folder;
    private final String uid;
    private final String address;
    private final List<ContainerRunner> init = new ArrayList<>();
    private final List<ContainerRunner> containers = new ArrayList<>();
    private final StatusBuilder.RestartPolicy policy;
    private final Semaphore wake = new Semaphore(0);
    private final Set<String> reported = new HashSet<>();
    private final Thread thread;

    private volatile Pod pod;
    private volatile boolean removed;
    private volatile boolean closed;
    private Optional<Map<String, Path>> places = Optional.empty();
    private Optional<Volumes> volumes = Optional.empty();
    private Optional<StatusBuilder.Failure> failure = Optional.empty();
    private Instant startTime = Instant.now();
    private Instant notBefore = Instant.MIN;
    private Instant refreshAt = Instant.MIN;
    private Instant troubleSince = Instant.MAX;
    private boolean ending;
    private boolean over;
    private boolean deleted;
    private volatile boolean holdsAddress;
    private JsonNode written = NodeClient.object();

    PodRunner(NodeAgent agent, Pod pod, PodFolder folder, String address) {
        this.agent = agent;
        this.pod = pod;
        this.folder = folder;
        this.uid = pod.getMetadata().getUid();
        this.address = address;
        this.holdsAddress = !address.isEmpty();
        this.policy = StatusBuilder.RestartPolicy.of(pod.getSpec().getRestartPolicy());
        for (Container container :
                Optional.ofNullable(pod.getSpec().getInitContainers()).orElse(List.of())) {
            init.add(new ContainerRunner(container, folder, this::wake, this::warn));
        }
        for (Container container : pod.getSpec().getContainers()) {
            containers.add(new ContainerRunner(container, folder, this::wake, this::warn));
        }
        if (pod.getStatus() != null && pod.getStatus().getStartTime() != null) {
            startTime = Instant.parse(pod.getStatus().getStartTime());
        }
        written = agent.client()
                .tree(Optional.ofNullable(pod.getStatus()).orElseGet(io.fabric8.kubernetes.api.model.PodStatus::new));
        adopt();
        thread = Thread.ofVirtual()
                .name("pod " + pod.getMetadata().getNamespace() + "/"
                        + pod.getMetadata().getName())
                .unstarted(this::run);
    }

    /** Takes up what an earlier run of the node left. */
    private void adopt() {
        String phase = written.path("phase").asText("Pending");
        over = StatusBuilder.terminal(phase);
        boolean known = false;
        for (ContainerRunner container : all()) {
            known |= container.adopt();
        }
        if (!known && phase.equals("Running")) {
            init.forEach(ContainerRunner::adoptNothing);
            containers.forEach(ContainerRunner::adoptNothing);
        }
    }

    void start() {
        thread.start();
    }

    Pod pod() {
        return pod;
    }

    PodFolder folder() {
        return folder;
    }

    String address() {
        return address;
    }

    /** Gives the address up, once; says whether it was held. */
    boolean releaseAddress() {
        boolean held = holdsAddress;
        holdsAddress = false;
        return held;
    }

    List<ContainerRunner> all() {
        return Stream.concat(init.stream(), containers.stream()).toList();
    }

    Optional<ContainerRunner> container(String name) {
        return all().stream().filter(container -> container.name().equals(name)).findFirst();
    }

    /** A newer version of the pod. */
    void update(Pod newer) {
        pod = newer;
        wake();
    }

    /** The pod is gone from the API. */
    void removed() {
        removed = true;
        wake();
    }

    /** Ends this thread and leaves the processes alone. */
    void close() throws InterruptedException {
        closed = true;
        thread.interrupt();
        thread.join(Duration.ofSeconds(10));
    }

    void wake() {
        if (wake.availablePermits() < 4) {
            wake.release();
        }
    }

    private void run() {
        while (!closed) {
            try {
                if (!agent.lost()) {
                    if (removed) {
                        cleanUp();
                        return;
                    }
                    step();
                }
                long wait = Duration.between(Instant.now(), nextLook()).toMillis();
                if (wake.tryAcquire(Math.clamp(wait, 20, 1000), TimeUnit.MILLISECONDS)) {
                    wake.drainPermits();
                }
            } catch (NodeClient.ApiException e) {
                pause(e.getMessage());
            } catch (InterruptedException e) {
                return; // the node is closing
            } catch (RuntimeException e) {
                LOG.log(Level.WARNING, "pod " + pod.getMetadata().getName() + ": " + e, e);
                pause(e.toString());
            }
        }
    }

    private void pause(String why) {
        LOG.log(Level.FINE, () -> pod.getMetadata().getName() + ": " + why);
        try {
            Thread.sleep(500);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            closed = true;
        }
    }

    private Instant nextLook() {
        Instant next = Instant.now().plusSeconds(1);
        for (ContainerRunner container : containers) {
            Optional<Instant> rest = container.restsUntil();
            if (rest.isPresent() && rest.get().isBefore(next)) {
                next = rest.get();
            }
        }
        return notBefore.isAfter(Instant.now()) && notBefore.isBefore(next) ? notBefore : next;
    }

    private void step() throws NodeClient.ApiException, InterruptedException {
        Instant now = Instant.now();
        all().forEach(container -> container.poll(now));
        if (pod.getMetadata().getDeletionTimestamp() != null) {
            endAll(grace());
            finish();
            return;
        }
        if (over) {
            return;
        }
        if (!ending && pastDeadline(now)) {
            failure = Optional.of(new StatusBuilder.Failure(
                    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"));
            endAll(grace());
        }
        if (!ending && !now.isBefore(notBefore)) {
            advance(now);
        }
        restartUnhealthy();
        containers.forEach(container -> container.showBackoff(policy));
        writeStatus();
        if (over) {
            agent.podEnded(this); // as in a cluster, others may have its address from now on
        } else if (places.isPresent() && now.isAfter(refreshAt)) {
            refreshAt = now.plus(REFRESH);
            try {
                volumes.orElseThrow().refresh(pod);
            } catch (Unsupported e) {
                warn("FailedMount", "cannot bring up to date: " + e.getMessage());
            }
        }
    }

    private boolean pastDeadline(Instant now) {
        Long seconds = pod.getSpec().getActiveDeadlineSeconds();
        return seconds != null && now.isAfter(startTime.plusSeconds(seconds));
    }

    /** Makes the volumes, runs the init containers one after the other, then all containers. */
    private void advance(Instant now) throws NodeClient.ApiException {
        if (places.isEmpty()) {
            try {
                Volumes made = new Volumes(pod, folder, agent.client(), downward());
                places = Optional.of(made.prepare());
                volumes = Optional.of(made);
                refreshAt = now.plus(REFRESH);
                agent.names()
                        .add(
                                this,
                                hostname(),
                                Optional.ofNullable(pod.getSpec().getSubdomain())
                                        .orElse(""));
                adoptProbes();
                troubleSince = Instant.MAX;
            } catch (Unsupported e) {
                // The authorizer learns of a new pod's ConfigMaps a moment later than the node: no event for that.
                troubleSince = troubleSince.isBefore(now) ? troubleSince : now;
                if (now.isAfter(troubleSince.plusSeconds(2))) {
                    warn("FailedMount", "MountVolume.SetUp failed for " + e.getMessage());
                }
                notBefore = now.plus(now.isAfter(troubleSince.plusSeconds(2)) ? RETRY : Duration.ofMillis(100));
                return;
            }
        }
        for (ContainerRunner container : init) {
            if (container.state() instanceof ContainerState.Ended ended && ended.succeeded()) {
                continue;
            }
            if (container.due(
                    policy == StatusBuilder.RestartPolicy.ALWAYS ? StatusBuilder.RestartPolicy.ON_FAILURE : policy,
                    now)) {
                launch(container, now);
            }
            return; // the next one waits for this one
        }
        for (ContainerRunner container : containers) {
            if (container.due(policy, now)) {
                launch(container, now);
            }
        }
    }

    private void launch(ContainerRunner runner, Instant now) throws NodeClient.ApiException {
        Container container = runner.container();
        if (agent.images().find(container.getImage()).isEmpty()) {
            String message = agent.images().unknown(container.getImage());
            boolean first;
            synchronized (reported) {
                first = reported.add("pull " + container.getName());
            }
            runner.waiting(
                    first ? "ErrImagePull" : "ImagePullBackOff", (first ? "" : "Back-off pulling image: ") + message);
            warn("Failed", "Failed to pull image \"" + container.getImage() + "\": " + message);
            notBefore = now.plus(RETRY);
            return;
        }
        ContainerSetup setup = setup(container);
        try {
            if ("Always".equals(container.getRestartPolicy())) {
                throw new Unsupported("this node has no init containers with restartPolicy Always");
            }
            ContainerSetup.Invocation invocation = setup.prepare();
            runner.start(invocation, probes(setup, invocation));
            event("Normal", "Started", "Started container " + container.getName());
        } catch (Unsupported e) {
            runner.waiting("CreateContainerConfigError", e.getMessage());
            warn("Failed", "Error: " + e.getMessage());
            notBefore = now.plus(RETRY);
        } catch (IOException | java.io.UncheckedIOException e) {
            runner.waiting("RunContainerError", "cannot start: " + e.getMessage());
            warn("Failed", "Error: cannot start " + container.getName() + ": " + e.getMessage());
            notBefore = now.plus(RETRY);
        }
    }

    private void adoptProbes() throws NodeClient.ApiException {
        for (ContainerRunner runner : containers) {
            if (runner.state() instanceof ContainerState.Running) {
                ContainerSetup setup = setup(runner.container());
                runner.adoptProbes(new Probes(
                        runner.container(),
                        address,
                        Map.copyOf(System.getenv()),
                        folder.root(runner.name()),
                        setup.rewriter()));
            }
        }
    }

    private Probes probes(ContainerSetup setup, ContainerSetup.Invocation invocation) {
        return new Probes(
                setup.container(), address, invocation.environment(), invocation.workingFolder(), setup.rewriter());
    }

    private ContainerSetup setup(Container container) {
        boolean outside = "true"
                .equals(Optional.ofNullable(pod.getMetadata().getAnnotations())
                        .orElse(Map.of())
                        .get(NodeAgent.OUTSIDE_NAMES));
        return new ContainerSetup(
                pod,
                container,
                folder,
                places.orElse(Map.of()),
                downward(),
                agent.client(),
                agent.images(),
                new ContainerSetup.PodNetwork(
                        hostname(),
                        address,
                        outside ? "" : agent.names().javaOptions(folder),
                        agent.apiHost(),
                        agent.apiPort()));
    }

    private DownwardApi downward() {
        return new DownwardApi(pod, Addresses.statusAddress(address), agent.address(), agent.capacity());
    }

    private String hostname() {
        return Optional.ofNullable(pod.getSpec().getHostname())
                .filter(name -> !name.isEmpty())
                .orElse(pod.getMetadata().getName());
    }

    private void restartUnhealthy() throws InterruptedException {
        for (ContainerRunner container : containers) {
            if (container.unhealthy() && container.state() instanceof ContainerState.Running) {
                container.end(specGrace(), this::specGrace);
            }
        }
    }

    private Duration specGrace() {
        return Duration.ofSeconds(Optional.ofNullable(pod.getSpec().getTerminationGracePeriodSeconds())
                .orElse(30L));
    }

    /** What is left to the processes; a later deletion may shorten it. */
    private Duration grace() {
        return Optional.ofNullable(pod.getMetadata().getDeletionGracePeriodSeconds())
                .map(Duration::ofSeconds)
                .orElseGet(this::specGrace);
    }

    private void endAll(Duration grace) throws InterruptedException {
        ending = true;
        List<Thread> enders = new ArrayList<>();
        for (ContainerRunner container : all()) {
            if (container.state() instanceof ContainerState.Running) {
                event("Normal", "Killing", "Stopping container " + container.name());
                enders.add(Thread.ofVirtual().start(() -> {
                    try {
                        container.end(grace, () -> removed ? Duration.ZERO : grace());
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                }));
            }
        }
        try {
            for (Thread ender : enders) {
                ender.join();
            }
        } catch (InterruptedException e) {
            enders.forEach(Thread::interrupt);
            throw e;
        }
    }

    /** Writes the last word, then removes the pod: without the terminal phase a Job would wait for it for ever. */
    private void finish() throws NodeClient.ApiException {
        if (deleted) {
            return;
        }
        if (!over) {
            Instant now = Instant.now();
            boolean begun = containers.stream().anyMatch(ContainerRunner::begun);
            containers.forEach(container -> container.neverBegun(now));
            if (!begun) {
                init.forEach(container -> container.neverBegun(now));
            }
            writeStatus();
        }
        try {
            agent.client().deletePod(pod);
        } catch (NodeClient.ApiException e) {
            if (e.code() != 404 && e.code() != 409) {
                throw e;
            }
        }
        deleted = true;
    }

    private void writeStatus() throws NodeClient.ApiException {
        StatusBuilder.PodView view = new StatusBuilder.PodView(
                init.stream().map(container -> container.view(uid)).toList(),
                containers.stream().map(container -> container.view(uid)).toList(),
                policy,
                ending,
                failure,
                places.isPresent(),
                agent.address(),
                Addresses.statusAddress(address),
                startTime);
        ObjectNode status = StatusBuilder.build(view, StatusBuilder.conditionsOf(written), Instant.now());
        if (!status.equals(written)) {
            try {
                agent.client().patchPodStatus(pod, status);
            } catch (NodeClient.ApiException e) {
                if (e.code() != 404 && e.code() != 409) { // gone, or another pod of that name: its removal follows
                    throw e;
                }
            }
            written = status;
        }
        over = StatusBuilder.terminal(status.path("phase").asText());
    }

    private void cleanUp() {
        all().forEach(ContainerRunner::kill);
        folder.killAll();
        agent.names().remove(this);
        agent.podGone(this);
        try {
            Files2.deleteTree(Volumes.memoryFolder(uid));
            Files2.deleteTree(folder.path());
        } catch (java.io.UncheckedIOException e) {
            LOG.log(Level.WARNING, "pod " + pod.getMetadata().getName() + ": " + e.getMessage());
        }
    }

    private void warn(String reason, String message) {
        event("Warning", reason, message);
    }

    /** Each different thing is said once, and a pod says so many things at most. */
    private void event(String type, String reason, String message) {
        synchronized (reported) {
            boolean repeats = !reason.equals("Started") && !reason.equals("Killing") && !reported.add(reason + message);
            if (repeats || reported.size() > MOST_EVENTS) {
                return;
            }
        }
        agent.event(pod, type, reason, message);
    }

    /** What the pod's containers are, for others that look: name to state. */
    Map<String, ContainerState> states() {
        Map<String, ContainerState> all = new HashMap<>();
        all().forEach(container -> all.put(container.name(), container.state()));
        return all;
    }
}
