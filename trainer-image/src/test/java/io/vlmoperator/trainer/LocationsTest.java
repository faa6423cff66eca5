package io.vlmoperator.trainer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LocationsTest {
    @TempDir
    Path folder;

    @Test
    void claimsAndFilesBecomePaths() throws IOException {
        Path data = Files.createDirectory(folder.resolve("data"));
        Locations pod = Locations.under(folder);
        assertThat(pod.resolve("pvc://data/a/b.tar")).isEqualTo(data.resolve("a/b.tar"));
        assertThat(pod.resolve("pvc://data")).isEqualTo(data);
        Locations laptop = Locations.of(Map.of("models", folder));
        assertThat(laptop.resolve("pvc://models/x")).isEqualTo(folder.resolve("x"));
        assertThat(laptop.resolve(Locations.fileLocation(data))).isEqualTo(data);
    }

    @Test
    void rangesAndStarsBecomeSortedFiles() throws IOException {
        for (String name : new String[] {"s-08.tar", "s-09.tar", "s-10.tar", "s-10.txt", "other.tar"}) {
            Files.createFile(folder.resolve(name));
        }
        Locations locations = Locations.of(Map.of("d", folder));
        assertThat(locations.expand("pvc://d/s-{08..10}.tar"))
                .extracting(p -> p.getFileName().toString())
                .containsExactly("s-08.tar", "s-09.tar", "s-10.tar");
        assertThat(locations.expand("pvc://d/s-*.tar")).hasSize(3);
        assertThat(locations.expand("pvc://d/s-{09..10}.*"))
                .extracting(p -> p.getFileName().toString())
                .containsExactly("s-09.tar", "s-10.tar", "s-10.txt");
        assertThatThrownBy(() -> locations.expand("pvc://d/s-{08..11}.tar"))
                .hasMessageContaining("s-11.tar does not exist");
        assertThatThrownBy(() -> locations.expand("pvc://d/none-*.tar")).hasMessageContaining("matches no file");
    }

    @ParameterizedTest
    @CsvSource({
        "pvc://elsewhere/x,                 claim elsewhere is not here",
        "s3:/bucket/key,                    is no location",
        "/abs/path,                         is no location",
        "pvc://d/a/../b,                    is not allowed in a location",
        "pvc://d/a/*.tar,                   one file or folder is wanted",
        "'pvc://d/{0..3}.tar',              one file or folder is wanted"
    })
    void refusesWithWhatToWrite(String location, String message) {
        assertThatThrownBy(() -> Locations.of(Map.of("d", folder)).resolve(location))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining(message);
    }

    @Test
    void refusesEndlessRanges() {
        assertThatThrownBy(() -> Locations.of(Map.of("d", folder)).expand("pvc://d/{0..99999999}.tar"))
                .hasMessageContaining("more than");
    }
}
