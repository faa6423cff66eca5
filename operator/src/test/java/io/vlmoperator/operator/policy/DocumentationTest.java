package io.vlmoperator.operator.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Reasons and policies are documented, and nothing is documented that does not exist. */
class DocumentationTest {
    private static final Path DOCS = Path.of("../src/docs");
    private static final Path SOURCES = Path.of("src/main/java/io/vlmoperator/operator/policy");
    /** Files of the package that are no policy. */
    private static final List<String> HELPERS = List.of("Reason", "Deadline", "package-info");

    @Test
    void everyReasonHasARunbookEntryAndEveryEntryAReason() throws IOException {
        var headings = Pattern.compile("(?m)^### (\\w+)\\n\\n?(\\S.*)")
                .matcher(Files.readString(DOCS.resolve("runbook.md")))
                .results()
                .map(match -> match.group(1))
                .toList();
        assertThat(headings)
                .as("src/docs/runbook.md: a heading '### REASON' with text for each constant of Reason, in any order")
                .doesNotHaveDuplicates()
                .containsExactlyInAnyOrderElementsOf(
                        Arrays.stream(Reason.values()).map(Enum::name).toList());
    }

    @Test
    void everyReasonHasADocumentationLine() throws IOException {
        var source = Files.readString(SOURCES.resolve("Reason.java"));
        for (Reason reason : Reason.values()) {
            assertThat(source)
                    .as("Reason.%s needs a javadoc line", reason)
                    .containsPattern("\\*/\\s+" + reason.name() + "[,;(]");
        }
    }

    @Test
    void everyPolicyHasARow() throws IOException {
        var rows = Files.readString(DOCS.resolve("policies.md"));
        try (var files = Files.list(SOURCES)) {
            files.map(file -> file.getFileName().toString().replace(".java", ""))
                    .filter(name -> !HELPERS.contains(name))
                    .forEach(name -> assertThat(rows)
                            .as("src/docs/policies.md: a row for %s", name)
                            .contains("| `" + name + "` |"));
        }
    }

    @Test
    void everyExitCodeIsAReasonOfTheSameClass() {
        for (ExitCode code : ExitCode.values()) {
            if (code != ExitCode.Completed && code != ExitCode.PeerLost) {
                assertThat(Reason.valueOf(code.name()).failureClass())
                        .as(code.name())
                        .isEqualTo(code.failureClass());
            }
        }
    }
}
