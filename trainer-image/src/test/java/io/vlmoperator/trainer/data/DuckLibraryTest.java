package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class DuckLibraryTest {
    @Test
    @EnabledOnOs(OS.LINUX)
    void theLoadedLibraryLeavesNoFileBehind(@TempDir Path spill) throws Exception {
        try (Duck duck = Duck.open(spill);
                Statement statement = duck.connection().createStatement();
                ResultSet answer = statement.executeQuery("SELECT 6 * 7")) {
            assertThat(answer.next()).isTrue();
            assertThat(answer.getInt(1)).isEqualTo(42);

            List<String> maps = Files.readAllLines(Path.of("/proc/self/maps"));
            assertThat(maps).anyMatch(line -> line.contains("libduckdb_java") && line.endsWith("(deleted)"));
            assertThat(DuckLibrary.loaded(maps, Path.of(System.getProperty("java.io.tmpdir"))))
                    .isEmpty();
        }
    }

    @Test
    void onlyTheDriversLibraryInTheFolderForTemporaryFilesIsMeant() {
        String range = "7f00-7f01 r-xp 00000000 fe:00 1234                      ";

        assertThat(DuckLibrary.loaded(
                        List.of(
                                range + "/tmp/libduckdb_java12.so",
                                range + "/tmp/libduckdb_java12.so",
                                range + "/opt/libduckdb_java.so",
                                range + "/tmp/libother.so",
                                range + "/tmp/libduckdb_java13.so (deleted)",
                                "7f00-7f01 rw-p 00000000 00:00 0"),
                        Path.of("/tmp")))
                .containsExactly(Path.of("/tmp/libduckdb_java12.so"));
    }
}
