package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PayloadTest {
    @TempDir
    Path folder;

    private static Payload of(String... pathsAndTexts) {
        Payload payload = new Payload();
        for (int i = 0; i < pathsAndTexts.length; i += 2) {
            payload.add(pathsAndTexts[i], pathsAndTexts[i + 1].getBytes(StandardCharsets.UTF_8), 0640);
        }
        return payload;
    }

    @Test
    void anUpdateReplacesAllFilesWithOneLinkAndLeavesNoOldVersion() throws Exception {
        assertThat(of("a", "1", "deep/b", "2").writeTo(folder)).isTrue();
        assertThat(folder.resolve("a")).hasContent("1").isSymbolicLink();
        assertThat(folder.resolve("deep/b")).hasContent("2");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder.resolve("a"))))
                .isEqualTo("rw-r-----");

        assertThat(of("a", "1", "deep/b", "2").writeTo(folder)).as("no change").isFalse();

        assertThat(of("a", "3", "c", "4").writeTo(folder)).isTrue();
        assertThat(folder.resolve("a")).hasContent("3");
        assertThat(folder.resolve("c")).hasContent("4");
        assertThat(folder.resolve("deep")).doesNotExist();
        try (var entries = Files.list(folder)) {
            assertThat(entries.filter(entry -> Files.isDirectory(entry, java.nio.file.LinkOption.NOFOLLOW_LINKS)))
                    .as("versions")
                    .hasSize(1);
        }
    }
}
