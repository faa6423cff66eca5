package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExpansionTest {
    @ParameterizedTest(name = "{0} -> {1}")
    @CsvSource({
        "$(A), 1",
        "x$(A)y$(B), x1y$2",
        "$$(A), $(A)",
        "$$$(A), $1",
        "$(UNKNOWN), $(UNKNOWN)",
        "$(A, $(A",
        "$A ${A} $, $A ${A} $",
        "'', ''",
    })
    void referencesAreReplacedAsKubernetesDoes(String text, String expected) {
        assertThat(Expansion.expand(text, Map.of("A", "1", "B", "$2"))).isEqualTo(expected);
    }
}
