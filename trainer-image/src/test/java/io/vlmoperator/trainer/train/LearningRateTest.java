package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.spec.Schedule;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class LearningRateTest {
    @Test
    void cosineIsThatOfTheGolden() throws IOException {
        JsonNode rows = new ObjectMapper()
                .readTree(LearningRateTest.class.getResourceAsStream("/train/schedule.json"))
                .path("rows");
        assertThat(rows.size()).isPositive();
        for (JsonNode row : rows) {
            long total = row.path("total").asLong();
            LearningRate rate = new LearningRate(0.03, Schedule.Decay.Cosine, total);
            assertThat(rate.warmup())
                    .as("warm-up of %d", total)
                    .isEqualTo(row.path("warmup").asLong());
            for (JsonNode pair : row.path("factor")) {
                assertThat(rate.factor(pair.get(0).asLong()))
                        .as("update %s of %d", pair.get(0), total)
                        .isEqualTo(pair.get(1).asDouble(), offset(1e-15));
            }
        }
    }

    @Test
    void linearAndConstant() {
        LearningRate linear = new LearningRate(0.1, Schedule.Decay.Linear, 110);
        assertThat(linear.factor(0)).isZero();
        assertThat(linear.factor(11)).isEqualTo(1);
        assertThat(linear.factor(11 + 33)).isEqualTo(1 - 33 / 99.0, offset(1e-15));
        assertThat(linear.factor(110)).isZero();
        LearningRate constant = new LearningRate(0, Schedule.Decay.Constant, 10);
        assertThat(constant.factor(0)).isEqualTo(1);
        assertThat(constant.factor(9)).isEqualTo(1);
    }
}
