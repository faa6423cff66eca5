package io.vlmoperator.trainer.verify;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * The model against torch and transformers: small cases of the kinds described in the reference goldens, computed by transformers 4.53.3 on
 * torch 2.7.1. One test a case.
 */
class ReferenceTest {
    private static final Path REFERENCE = Path.of("src/test/resources/reference");

    @TestFactory
    Stream<DynamicTest> decoder() throws IOException {
        return cases("decoder", 5);
    }

    @TestFactory
    Stream<DynamicTest> vision() throws IOException {
        return cases("vision", 2);
    }

    @TestFactory
    Stream<DynamicTest> projector() throws IOException {
        return cases("projector", 4);
    }

    @TestFactory
    Stream<DynamicTest> vlm() throws IOException {
        return cases("vlm", 7);
    }

    private static Stream<DynamicTest> cases(String kind, int expected) throws IOException {
        List<String> names = Case.names(REFERENCE.resolve(kind));
        assertThat(names).as("cases in %s/%s", REFERENCE, kind).hasSize(expected);
        List<Comparison> all = Verify.run(REFERENCE.resolve(kind), Optional.empty(), Optional.empty());
        Stream<DynamicTest> each = names.stream()
                .map(name -> DynamicTest.dynamicTest(name, () -> {
                    String prefix = kind + "/" + name + "/";
                    List<Comparison> own = all.stream()
                            .filter(c -> c.what().startsWith(prefix))
                            .toList();
                    try (Case golden = Case.open(REFERENCE.resolve(kind), name)) {
                        long gradients = golden.golden().names("grad.").count();
                        assertThat(own.stream()
                                        .filter(c -> c.what().contains("/grad."))
                                        .count())
                                .as("gradients compared")
                                .isEqualTo(gradients);
                    }
                    assertThat(own).isNotEmpty().allMatch(Comparison::passed, "within its limit");
                    assertThat(own).anyMatch(c -> !(c.measure() instanceof Comparison.LeftOut));
                }));
        return Stream.concat(
                each,
                Stream.of(DynamicTest.dynamicTest(
                        "all of " + kind,
                        () -> assertThat(all.stream()
                                        .filter(c -> !c.passed())
                                        .map(Comparison::line)
                                        .toList())
                                .isEmpty())));
    }
}
