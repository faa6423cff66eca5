package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.DATASET;
import static io.vlmoperator.operator.Fixtures.EVAL;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.SFT;
import static io.vlmoperator.operator.Fixtures.subject;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ValidityTest {
    @ParameterizedTest
    @ValueSource(strings = {DATASET, PRETRAIN, SFT, EVAL})
    void soundSpecsPass(String yaml) {
        assertThat(Validity.check(subject(yaml).work())).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {DATASET, PRETRAIN, SFT, EVAL})
    void objectStorageIsALocationLikeAnother(String yaml) {
        assertThat(Validity.check(subject(yaml.replace("pvc://", "s3://")).work()))
                .isEmpty();
    }

    @Test
    void whatIsNotBuiltIsNamedWithWhatToWriteInstead() {
        String endpoint = "checkpoint: {endpoint: \"http://server:8000/v1\"}";
        String eval = EVAL.replace("checkpoint: {sftJob: {name: emoji}}", endpoint);
        assertThat(Validity.check(subject(eval).work())).hasValueSatisfying(blocked -> {
            assertThat(blocked.reason()).isEqualTo(Reason.InvalidSpec);
            assertThat(blocked.needsPerson()).isTrue();
            assertThat(blocked.message()).contains("spec.checkpoint.endpoint", "not built yet");
        });
    }
}
