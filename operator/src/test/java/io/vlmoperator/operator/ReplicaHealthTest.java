package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import org.eclipse.microprofile.health.HealthCheckResponse.Status;
import org.junit.jupiter.api.Test;

class ReplicaHealthTest {
    private static Status status(boolean cached, boolean leads, boolean running, String... blind) {
        return ReplicaHealth.answer(cached, leads, running, Set.of(blind)).getStatus();
    }

    @Test
    void aStandbyIsReadyWhenItCanTakeReports() {
        assertThat(status(true, false, false)).isEqualTo(Status.UP);
        assertThat(status(false, false, false)).isEqualTo(Status.DOWN);
    }

    @Test
    void aLeaderIsReadyWhenItsControllersRunAndSee() {
        assertThat(status(true, true, true)).isEqualTo(Status.UP);
        assertThat(status(true, true, false)).isEqualTo(Status.DOWN);
        assertThat(status(true, true, true, "pretrainjob/pod")).isEqualTo(Status.DOWN);
        assertThat(ReplicaHealth.answer(true, true, true, Set.of("pretrainjob/pod"))
                        .getData()
                        .orElseThrow())
                .containsEntry("role", "leader")
                .containsEntry("unhealthy event sources", "pretrainjob/pod");
    }
}
