package io.vlmoperator.local.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Builds a pod's status, as the kubelet writes it, from what its containers do. Pure. */
final class StatusBuilder {
    private StatusBuilder() {}

    /** When a pod's containers are started again. */
    enum RestartPolicy {
        ALWAYS,
        ON_FAILURE,
        NEVER;

        static RestartPolicy of(String text) {
            return switch (text == null ? "Always" : text) {
                case "Never" -> NEVER;
                case "OnFailure" -> ON_FAILURE;
                default -> ALWAYS;
            };
        }

        boolean restarts(int exitCode) {
            return this == ALWAYS || (this == ON_FAILURE && exitCode != 0);
        }
    }

    /**
     * One container now.
     *
     * @param last how the start before ended
     * @param started its start-up probe has passed, or it has none
     * @param ready its readiness probe passes, or it has none
     */
    record ContainerView(
            String name,
            String image,
            ContainerState state,
            Optional<ContainerState.Ended> last,
            int restarts,
            boolean started,
            boolean ready,
            String id) {}

    /**
     * A pod now.
     *
     * @param ending no container is started any more: the pod is being deleted, was evicted or ran out of time
     * @param failure reason and message of a pod that ended by no fault of a container's exit code
     * @param hasAddress its processes could have been reached: its volumes are there and it has begun
     */
    record PodView(
            List<ContainerView> init,
            List<ContainerView> containers,
            RestartPolicy policy,
            boolean ending,
            Optional<Failure> failure,
            boolean hasAddress,
            String hostAddress,
            String podAddress,
            Instant startTime) {}

    /** Why a whole pod failed. */
    record Failure(String reason, String message) {}

    /** The phase: Pending, Running, Succeeded or Failed. */
    static String phase(PodView pod) {
        boolean initDone = initialized(pod);
        boolean initFailed = pod.init().stream().anyMatch(c -> endedForGood(c, initPolicy(pod)) && !succeeded(c));
        if (pod.failure().isPresent() && pod.containers().stream().noneMatch(StatusBuilder::isRunning)) {
            return "Failed";
        }
        if (initFailed) {
            return "Failed";
        }
        if (!initDone && !pod.ending()) {
            return "Pending";
        }
        boolean allEnded =
                pod.containers().stream().allMatch(c -> endedForGood(c, pod.policy()) || pod.ending() && hasEnded(c));
        if (allEnded) {
            return pod.containers().stream().allMatch(StatusBuilder::succeeded) ? "Succeeded" : "Failed";
        }
        boolean begun = pod.containers().stream()
                .anyMatch(c -> isRunning(c) || hasEnded(c) || c.last().isPresent());
        boolean waitsForFirst = pod.containers().stream()
                .anyMatch(c ->
                        c.state() instanceof ContainerState.Waiting && c.last().isEmpty());
        return begun && !waitsForFirst ? "Running" : "Pending";
    }

    private static RestartPolicy initPolicy(PodView pod) {
        // An init container that has succeeded is never run again.
        return pod.policy() == RestartPolicy.ALWAYS ? RestartPolicy.ON_FAILURE : pod.policy();
    }

    static boolean initialized(PodView pod) {
        return pod.init().stream().allMatch(c -> hasEnded(c) && succeeded(c));
    }

    private static boolean isRunning(ContainerView c) {
        return c.state() instanceof ContainerState.Running;
    }

    private static boolean hasEnded(ContainerView c) {
        return c.state() instanceof ContainerState.Ended;
    }

    private static boolean succeeded(ContainerView c) {
        return c.state() instanceof ContainerState.Ended ended && ended.succeeded();
    }

    private static boolean endedForGood(ContainerView c, RestartPolicy policy) {
        return c.state() instanceof ContainerState.Ended ended && !policy.restarts(ended.exitCode());
    }

    /** Whether nothing of this pod will run again. */
    static boolean terminal(String phase) {
        return phase.equals("Succeeded") || phase.equals("Failed");
    }

    /**
     * The whole status, without what others own (scheduling, disruption).
     *
     * @param before the conditions as written last, by type: a transition time changes with the status only
     */
    static ObjectNode build(PodView pod, Map<String, JsonNode> before, Instant now) {
        String phase = phase(pod);
        ObjectNode status = NodeClient.object();
        status.put("phase", phase);
        pod.failure()
                .ifPresent(failure -> status.put("reason", failure.reason()).put("message", failure.message()));
        status.put("startTime", time(pod.startTime()));
        status.put("hostIP", pod.hostAddress());
        status.putArray("hostIPs").addObject().put("ip", pod.hostAddress());
        if (pod.hasAddress()) {
            status.put("podIP", pod.podAddress());
            status.putArray("podIPs").addObject().put("ip", pod.podAddress());
        }
        ArrayNode conditions = status.putArray("conditions");
        conditions(pod, phase).forEach((type, condition) -> {
            ObjectNode node =
                    conditions.addObject().put("type", type).put("status", condition.holds() ? "True" : "False");
            if (!condition.reason().isEmpty()) {
                node.put("reason", condition.reason()).put("message", condition.message());
            } else {
                node.putNull("reason").putNull("message"); // a patch leaves out nothing by itself
            }
            JsonNode old = before.get(type);
            boolean same = old != null && old.path("status").equals(node.path("status"));
            node.put("lastTransitionTime", same ? old.path("lastTransitionTime").asText(time(now)) : time(now));
        });
        if (!pod.init().isEmpty()) {
            ArrayNode list = status.putArray("initContainerStatuses");
            pod.init().forEach(c -> list.add(container(c, true)));
        }
        ArrayNode list = status.putArray("containerStatuses");
        pod.containers().forEach(c -> list.add(container(c, false)));
        return status;
    }

    private record Condition(boolean holds, String reason, String message) {
        static final Condition TRUE = new Condition(true, "", "");
    }

    private static Map<String, Condition> conditions(PodView pod, String phase) {
        Map<String, Condition> all = new java.util.LinkedHashMap<>();
        all.put(
                "PodReadyToStartContainers",
                pod.hasAddress() && !terminal(phase) ? Condition.TRUE : new Condition(false, "", ""));
        all.put(
                "Initialized",
                initialized(pod)
                        ? Condition.TRUE
                        : new Condition(
                                false,
                                "ContainersNotInitialized",
                                "containers with incomplete status: " + names(pod.init(), false)));
        Condition ready;
        if (phase.equals("Succeeded")) {
            ready = new Condition(false, "PodCompleted", "");
        } else if (phase.equals("Failed")) {
            ready = new Condition(false, "PodFailed", "");
        } else if (pod.containers().stream().allMatch(c -> isRunning(c) && c.ready())) {
            ready = Condition.TRUE;
        } else {
            ready = new Condition(
                    false, "ContainersNotReady", "containers with unready status: " + names(pod.containers(), true));
        }
        all.put("ContainersReady", ready);
        all.put("Ready", ready);
        return all;
    }

    private static List<String> names(List<ContainerView> containers, boolean unready) {
        return containers.stream()
                .filter(c -> unready ? !(isRunning(c) && c.ready()) : !(hasEnded(c) && succeeded(c)))
                .map(ContainerView::name)
                .toList();
    }

    private static ObjectNode container(ContainerView c, boolean init) {
        ObjectNode node = NodeClient.object();
        node.put("name", c.name()).put("image", c.image()).put("imageID", "");
        boolean running = isRunning(c);
        node.put("ready", init ? hasEnded(c) && succeeded(c) : running && c.ready());
        node.put("started", running && c.started());
        node.put("restartCount", c.restarts());
        node.put("containerID", running || hasEnded(c) ? c.id() : "");
        node.set("state", state(c.state(), c.id()));
        c.last().ifPresent(last -> node.set("lastState", state(last, c.id())));
        return node;
    }

    /** All three alternatives are written, two of them as null: a merge would keep the old one beside the new. */
    private static ObjectNode state(ContainerState state, String id) {
        ObjectNode node = NodeClient.object();
        node.putNull("waiting").putNull("running").putNull("terminated");
        switch (state) {
            case ContainerState.Waiting(String reason, String message) -> {
                ObjectNode waiting = node.putObject("waiting").put("reason", reason);
                if (message.isEmpty()) {
                    waiting.putNull("message");
                } else {
                    waiting.put("message", message);
                }
            }
            case ContainerState.Running running ->
                node.putObject("running").put("startedAt", time(running.startedAt()));
            case ContainerState.Ended ended -> {
                ObjectNode terminated = node.putObject("terminated")
                        .put("exitCode", ended.exitCode())
                        .put("reason", ended.reason())
                        .put("startedAt", time(ended.startedAt()))
                        .put("finishedAt", time(ended.finishedAt()))
                        .put("containerID", id);
                if (ended.message().isEmpty()) {
                    terminated.putNull("message");
                } else {
                    terminated.put("message", ended.message());
                }
            }
        }
        return node;
    }

    /** The conditions of a status by type. */
    static Map<String, JsonNode> conditionsOf(JsonNode status) {
        Map<String, JsonNode> all = new HashMap<>();
        status.path("conditions")
                .forEach(condition -> all.put(condition.path("type").asText(), condition));
        return all;
    }

    static String time(Instant instant) {
        return instant.truncatedTo(ChronoUnit.SECONDS).toString();
    }
}
