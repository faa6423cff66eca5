package io.vlmoperator.emoji;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Fetching, with programs of our own in npm's place. */
class NpmPackagesTest {
    @TempDir
    Path temp;

    private NpmPackages packages(String script) throws IOException {
        Path npm = temp.resolve("npm");
        Files.writeString(npm, "#!/bin/sh\n" + script + "\n");
        Files.setPosixFilePermissions(npm, PosixFilePermissions.fromString("rwxr-xr-x"));
        return new NpmPackages(temp.resolve("cache"), npm.toString());
    }

    private void assertCacheIsEmpty() throws IOException {
        try (Stream<Path> files = Files.list(temp.resolve("cache"))) {
            assertThat(files).as("files in the cache").isEmpty();
        }
    }

    @Test
    void aFailedFetchSaysWhatNpmSaidAndWhereToPutTheFile() throws IOException {
        NpmPackages packages = packages("echo 'npm error network ENOTFOUND' >&2; exit 1");
        assertThatThrownBy(packages::fetchAll)
                .isInstanceOf(EmojiException.class)
                .hasMessageContaining("emoji-datasource-google@16.0.0")
                .hasMessageContaining("ENOTFOUND")
                .hasMessageContaining("copy emoji-datasource-google-16.0.0.tgz");
        assertCacheIsEmpty();
    }

    @Test
    void otherBytesAreNotKept() throws IOException {
        NpmPackages packages = packages("echo other > emoji-datasource-google-16.0.0.tgz");
        assertThatThrownBy(packages::fetchAll)
                .hasMessageContaining(NpmPackages.sha256Of(DrawingSet.GOOGLE))
                .hasMessageContaining("nothing was kept");
        assertCacheIsEmpty();
    }

    @Test
    void aDamagedCacheIsFetchedAnew() throws IOException {
        NpmPackages packages = packages("echo fetching again; exit 7");
        Files.createDirectories(temp.resolve("cache"));
        Files.writeString(packages.file(DrawingSet.GOOGLE), "cut");
        assertThatThrownBy(packages::fetchAll).hasMessageContaining("code 7").hasMessageContaining("fetching again");
    }

    @Test
    void aMissingNpmIsNamed() {
        NpmPackages packages = new NpmPackages(
                temp.resolve("cache"), temp.resolve("no-such-npm").toString());
        assertThatThrownBy(packages::fetchAll).hasMessageContaining("Install npm");
    }
}
