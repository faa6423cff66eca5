package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.local.node.StatusBuilder.ContainerView;
import io.vlmoperator.local.node.StatusBuilder.PodView;
import io.vlmoperator.local.node.StatusBuilder.RestartPolicy;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class StatusBuilderTest {
    private static final Instant T = Instant.parse("2026-01-01T00:00:00Z");
    private static final ContainerState WAITING = new ContainerState.Waiting("ContainerCreating", "");
    private static final ContainerState RUNNING = new ContainerState.Running(
            new ContainerProcess(java.nio.file.Path.of("/none"), new io.vlmoperator.local.Proc.Identity(1, 1)), T);

    private static ContainerState.Ended ended(int code) {
        return new ContainerState.Ended(code, code == 0 ? "Completed" : "Error", "", T, T, 0);
    }

    private static ContainerView view(ContainerState state, boolean ready) {
        return new ContainerView("main", "img", state, Optional.empty(), 0, true, ready, "process://u/main/0");
    }

    private static PodView pod(RestartPolicy policy, List<ContainerView> init, ContainerView... containers) {
        return new PodView(
                init, List.of(containers), policy, false, Optional.empty(), true, "127.9.9.1", "10.9.9.2", T);
    }

    private static String phase(RestartPolicy policy, ContainerState... states) {
        return StatusBuilder.phase(pod(
                policy,
                List.of(),
                java.util.Arrays.stream(states).map(state -> view(state, true)).toArray(ContainerView[]::new)));
    }

    @Test
    void thePhaseIsThatOfTheKubelet() {
        assertThat(phase(RestartPolicy.NEVER, WAITING)).isEqualTo("Pending");
        assertThat(phase(RestartPolicy.NEVER, RUNNING, WAITING)).isEqualTo("Pending");
        assertThat(phase(RestartPolicy.NEVER, RUNNING, ended(1))).isEqualTo("Running");
        assertThat(phase(RestartPolicy.NEVER, ended(0), ended(0))).isEqualTo("Succeeded");
        assertThat(phase(RestartPolicy.NEVER, ended(0), ended(1))).isEqualTo("Failed");
        assertThat(phase(RestartPolicy.ON_FAILURE, ended(0), ended(1))).isEqualTo("Running");
        assertThat(phase(RestartPolicy.ON_FAILURE, ended(0))).isEqualTo("Succeeded");
        assertThat(phase(RestartPolicy.ALWAYS, ended(0))).isEqualTo("Running");
    }

    @Test
    void initContainersComeFirst() {
        assertThat(StatusBuilder.phase(pod(RestartPolicy.ALWAYS, List.of(view(RUNNING, false)), view(WAITING, false))))
                .isEqualTo("Pending");
        assertThat(StatusBuilder.phase(pod(RestartPolicy.NEVER, List.of(view(ended(1), false)), view(WAITING, false))))
                .isEqualTo("Failed");
        assertThat(StatusBuilder.phase(pod(RestartPolicy.ALWAYS, List.of(view(ended(1), false)), view(WAITING, false))))
                .as("it is tried again")
                .isEqualTo("Pending");
        assertThat(StatusBuilder.phase(pod(RestartPolicy.ALWAYS, List.of(view(ended(0), false)), view(RUNNING, true))))
                .isEqualTo("Running");
    }

    @Test
    void aPodThatIsEndedIsOverWhateverItsRestartPolicy() {
        PodView ending = new PodView(
                List.of(),
                List.of(view(ended(143), false)),
                RestartPolicy.ALWAYS,
                true,
                Optional.empty(),
                true,
                "127.9.9.1",
                "10.9.9.2",
                T);
        assertThat(StatusBuilder.phase(ending)).isEqualTo("Failed");
    }

    @Test
    void aMergeOfTheStatusLeavesOneStateOnly() {
        ObjectNode status =
                StatusBuilder.build(pod(RestartPolicy.NEVER, List.of(), view(ended(3), false)), Map.of(), T);
        var state = status.at("/containerStatuses/0/state");
        assertThat(state.get("waiting").isNull()).isTrue();
        assertThat(state.get("running").isNull()).isTrue();
        assertThat(state.at("/terminated/exitCode").asInt()).isEqualTo(3);
        assertThat(status.at("/podIP").asText()).isEqualTo("10.9.9.2");
    }

    @Test
    void aTransitionTimeChangesWithItsStatusOnly() {
        ObjectNode first = StatusBuilder.build(pod(RestartPolicy.ALWAYS, List.of(), view(RUNNING, false)), Map.of(), T);
        Instant later = T.plusSeconds(60);
        ObjectNode second = StatusBuilder.build(
                pod(RestartPolicy.ALWAYS, List.of(), view(RUNNING, true)), StatusBuilder.conditionsOf(first), later);
        var conditions = StatusBuilder.conditionsOf(second);
        assertThat(conditions.get("Ready").path("status").asText()).isEqualTo("True");
        assertThat(conditions.get("Ready").path("lastTransitionTime").asText()).isEqualTo("2026-01-01T00:01:00Z");
        assertThat(conditions.get("Initialized").path("lastTransitionTime").asText())
                .isEqualTo("2026-01-01T00:00:00Z");
    }
}
