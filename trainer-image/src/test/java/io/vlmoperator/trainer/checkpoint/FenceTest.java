package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who owns a run, also on a file system without links, where the file of a fence may be empty. */
class FenceTest {
    private static final String TIME = "2026-01-01T00:00:00Z";

    @TempDir
    Path folder;

    private List<String> names() throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void withoutLinksOneOfSeveralSucceedsAndTheFileIsWhole() throws IOException {
        Path file = folder.resolve("fence");
        // What Linux says on FAT, SMB and most file systems in user space.
        Durable.Naming none = (name, existing) -> {
            throw new FileSystemException(name.toString(), existing.toString(), "Operation not permitted");
        };
        Durable.create(file, "first".getBytes(StandardCharsets.UTF_8), none);
        assertThat(file).hasContent("first");
        assertThatThrownBy(() -> Durable.create(file, "second".getBytes(StandardCharsets.UTF_8), none))
                .isInstanceOf(FileAlreadyExistsException.class);
        assertThat(file).hasContent("first");
        assertThat(names()).as("nothing is left behind").containsExactly("fence");
    }

    private void publish(long step, int attempt) throws IOException {
        Path step10 = Files.createDirectories(RunFolder.at(folder).stepFolder(step));
        Files.createFile(step10.resolve("manifest-%05d.json".formatted(attempt)));
    }

    @Test
    void anAttemptThatEndedWhileItTookTheFenceOwnedNothing() throws IOException {
        RunFolder run = RunFolder.at(folder);
        run.acquire(1, "uid", TIME);
        publish(10, 1);
        Files.createFile(folder.resolve("attempt-00002"));
        publish(20, 7); // of nobody who ever owned the run

        assertThat(run.complete()).extracting(RunFolder.Complete::step).containsExactly(10L);
        assertThatThrownBy(() -> run.acquire(2, "uid", TIME))
                .isInstanceOf(TrainerException.class)
                .hasMessageContaining("attempt 2 owns");
        RunFolder.Fence third = run.acquire(3, "uid", TIME);
        third.check();
        assertThat(run.complete()).extracting(RunFolder.Complete::step).containsExactly(10L);
        publish(20, 3);
        assertThat(run.complete()).extracting(RunFolder.Complete::step).containsExactly(20L, 10L);
    }
}
