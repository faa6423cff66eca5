package io.vlmoperator.trainer.fetch;

import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * The folder {@code fetching} beside what is brought: news for those who wait, and the pieces of files that go to a bucket. It is gone
 * when all is there.
 */
final class UnderWay {
    /** Its name in the target's folder. */
    static final String NAME = "fetching";

    private static final String NEWS = "progress.json";
    private static final long MAX_NEWS_BYTES = 64 << 10;

    private final Path folder;
    private final String run = UUID.randomUUID().toString();
    private long beat;

    /**
     * What those who wait look at: as long as it changes, something is done.
     *
     * @param run of the program that writes it
     * @param beat rises with each writing
     */
    record News(String run, Long beat, FetchProgress progress) {}

    UnderWay(Path target) {
        this.folder = target.resolve(NAME);
    }

    /** Throws away what an earlier program has left of files that are not wanted now. */
    void prepare(Set<String> keys) throws IOException {
        Buckets.abortUploads(folder);
        delete(keys);
    }

    /** Tells those who wait that something is done. */
    synchronized void tell(FetchProgress progress) throws IOException {
        Files.createDirectories(folder);
        Fetches.write(folder.resolve(NEWS), Json.bytes(new News(run, ++beat, progress)));
    }

    /** The newest news in a folder that is being filled. */
    static Optional<News> news(Path target) {
        Path file = target.resolve(NAME).resolve(NEWS);
        try {
            return Files.isRegularFile(file)
                    ? Optional.of(Json.read(file, MAX_NEWS_BYTES, News.class))
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty(); // no news is what it is then
        }
    }

    /** Everything is there. */
    void clear() throws IOException {
        delete(Set.of());
        Files.deleteIfExists(folder);
    }

    private void delete(Set<String> but) throws IOException {
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                String key = entry.getFileName().toString().replaceFirst("-\\d+$", "");
                if (!but.contains(key)) {
                    Files.deleteIfExists(entry);
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            return; // nothing was under way
        }
    }
}
