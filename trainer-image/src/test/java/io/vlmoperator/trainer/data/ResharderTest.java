package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResharderTest {
    @TempDir
    Path root;

    private DatasetSummary build(Locations locations, Select select) {
        DatasetSpec plain = TestData.captions("pvc://data/{0..1}.tar", 64, 4);
        DatasetSpec spec = new DatasetSpec(
                plain.sources(),
                select,
                plain.reject(),
                plain.pack(),
                new DatasetSpec.Output("pvc://out/pairs", true, null),
                null,
                null,
                null,
                null);
        return TestData.build(spec, locations);
    }

    private static Map<String, byte[]> members(Path tar) throws IOException, RejectedException {
        Map<String, byte[]> members = new TreeMap<>();
        try (FileChannel channel = FileChannel.open(tar)) {
            TarReader reader = new TarReader(channel);
            for (Optional<TarReader.Member> m = reader.next(); m.isPresent(); m = reader.next()) {
                members.put(m.get().name(), Storage.read(channel, m.get().offset(), (int)
                        m.get().size()));
            }
        }
        return members;
    }

    @Test
    void keptSamplesAsOftenAsSelectedWithStatistics() throws Exception {
        Locations locations = TestData.locations(root);
        String uid = "00112233445566778899aabbccddeeff";
        byte[] image = TestData.png(8, 8, 1);
        Tar first = new Tar()
                .sample("a", image, "one")
                .file("a.json", "{\"key\": \"a\", \"uid\": \"" + uid + "\", \"extra\": 5}")
                .sample("b", TestData.png(8, 8, 2), "two");
        Tar second = new Tar().sample("c", new byte[3], "broken").sample("d", TestData.png(8, 8, 3), "four");
        Files.write(root.resolve("data/0.tar"), first.bytes());
        Files.write(root.resolve("data/1.tar"), second.bytes());
        DatasetSummary all = build(locations, null);
        Path folder = root.resolve("out/pairs/shards");
        Map<String, byte[]> members = members(folder.resolve("00000000.tar"));
        assertThat(members).hasSize(9);
        assertThat(members.get(uid + "-0.png")).isEqualTo(image);
        assertThat(members.get(uid + "-0.txt")).asString(StandardCharsets.UTF_8).isEqualTo("one");
        assertThat(new ObjectMapper()
                        .readTree(members.get(uid + "-0.json"))
                        .get("extra")
                        .asInt())
                .isEqualTo(5);
        JsonNode stats = new ObjectMapper()
                .readTree(folder.resolve("00000000_stats.json").toFile());
        assertThat(stats.get("samples").asInt()).isEqualTo(3);
        assertThat(stats.get("tokens").asLong()).isEqualTo(all.tokens());
        assertThat(stats.get("rows").asLong()).isEqualTo(all.rows());
        assertThat(stats.get("digest").asText()).isEqualTo(Digests.ofFile(folder.resolve("00000000.tar")));
        assertThat(stats.get("bytes").asLong()).isEqualTo(Files.size(folder.resolve("00000000.tar")));

        // A second run leaves the tar alone; without its statistics it is written again, the same to the byte.
        FileTime old = FileTime.fromMillis(1_000_000_000_000L);
        Files.setLastModifiedTime(folder.resolve("00000000.tar"), old);
        byte[] bytes = Files.readAllBytes(folder.resolve("00000000.tar"));
        build(locations, null);
        assertThat(Files.getLastModifiedTime(folder.resolve("00000000.tar"))).isEqualTo(old);
        Files.delete(folder.resolve("00000000_stats.json"));
        Files.write(folder.resolve("00000007.tar"), new byte[1]);
        build(locations, null);
        assertThat(Files.getLastModifiedTime(folder.resolve("00000000.tar"))).isNotEqualTo(old);
        assertThat(Files.readAllBytes(folder.resolve("00000000.tar"))).isEqualTo(bytes);
        assertThat(folder.resolve("00000007.tar")).doesNotExist();

        // Selected three times: three keys.
        Files.writeString(root.resolve("data/u.txt"), (uid + "\n").repeat(3));
        build(
                locations,
                new Select(List.of(new Select.Rule(new Select.UidList("pvc://data/u.txt"), null)), null, null));
        assertThat(members(folder.resolve("00000000.tar")).keySet())
                .filteredOn(name -> name.endsWith(".txt"))
                .containsExactly(uid + "-0.txt", uid + "-1.txt", uid + "-2.txt");
    }

    @Test
    void otherProgramsReadTheTars() throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (TarWriter tar = new TarWriter(out)) {
            tar.file("a.txt", "x".repeat(512).getBytes(StandardCharsets.US_ASCII));
            tar.file("b.txt", new byte[0]);
            assertThat(tar.written()).isEqualTo(3 * 512);
        }
        Path file = Files.write(root.resolve("a.tar"), out.toByteArray());
        assertThat(members(file)).containsOnlyKeys("a.txt", "b.txt");
        assertThat(out.size() % 512).isZero();
        // The header as POSIX has it: magic, version, octal size, checksum over blanks.
        byte[] header = java.util.Arrays.copyOf(out.toByteArray(), 512);
        assertThat(new String(header, 257, 8, StandardCharsets.US_ASCII)).isEqualTo("ustar\00000");
        assertThat(new String(header, 124, 11, StandardCharsets.US_ASCII)).isEqualTo("00000001000");
    }
}
