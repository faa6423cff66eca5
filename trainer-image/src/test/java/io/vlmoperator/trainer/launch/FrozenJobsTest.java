package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.trainer.TrainerException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FrozenJobsTest {
    private static final FrozenJob FOUR =
            new FrozenJob(1, Kind.PretrainJob, "team", "emoji", "u-1", 1, 4, 1, null, null, null, null, null, null);

    @Test
    void aQueueMayAdmitFewerPods() {
        assertThat(FrozenJobs.admitted(FOUR, null).nodes()).isEqualTo(4);
        assertThat(FrozenJobs.admitted(FOUR, "3").nodes()).isEqualTo(3);
        assertThat(FrozenJobs.admitted(FOUR, "4")).isEqualTo(FOUR);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "5", "", "two", "99999999999", "-1"})
    void noOtherNumberIsTaken(String nodes) {
        assertThatThrownBy(() -> FrozenJobs.admitted(FOUR, nodes))
                .isInstanceOf(TrainerException.class)
                .hasMessageContaining("VLM_NODES")
                .hasMessageContaining("1 to 4 pods");
    }
}
