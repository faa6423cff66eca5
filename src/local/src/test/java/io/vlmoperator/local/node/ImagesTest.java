package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImagesTest {
    @ParameterizedTest(name = "{0} is of {1}")
    @CsvSource({
        "busybox, busybox",
        "busybox:1.2, busybox",
        "localhost:5000/a/b, localhost:5000/a/b",
        "localhost:5000/a/b:v1, localhost:5000/a/b",
        "ghcr.io/a/b@sha256:0123, ghcr.io/a/b",
        "ghcr.io/a/b:v1@sha256:0123, ghcr.io/a/b",
    })
    void tagAndDigestAreLeftOut(String image, String repository) {
        assertThat(Images.repository(image)).isEqualTo(repository);
    }

    @Test
    void anUnknownImageIsAnsweredWithTheKnownOnes() {
        Images images = new Images().put("b:1", List.of("/bin/true")).put("a", List.of("/bin/false", "x"));
        assertThat(images.find("a:9")).contains(List.of("/bin/false", "x"));
        assertThat(images.find("c")).isEmpty();
        assertThat(images.unknown("c")).contains("\"c\"", "[a, b]", "--program");
        assertThatThrownBy(() -> images.put("d", List.of("relative")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("absolute");
    }
}
