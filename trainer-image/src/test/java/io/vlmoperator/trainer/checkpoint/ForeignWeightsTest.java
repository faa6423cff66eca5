package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.Mutations;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Files of weights that are nearly good: their readers name what is wrong, soon and in little memory. */
class ForeignWeightsTest {
    private static final long MIB = 1 << 20;
    private static final Set<Class<? extends Exception>> OWN = Set.of(SafetensorsException.class);

    private static Path folder;

    @BeforeContainer
    static void make() throws IOException {
        folder = Files.createTempDirectory("weights");
    }

    @AfterContainer
    static void delete() throws IOException {
        for (String name : List.of("w.safetensors", "w.pt", "pickle.pt")) {
            Files.deleteIfExists(folder.resolve(name));
        }
        Files.delete(folder);
    }

    @Provide
    Arbitrary<byte[]> safetensors() {
        byte[] header =
                ("{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                + "\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]}}")
                        .getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocate(8 + header.length + 32).order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(header.length).put(header);
        return Mutations.of(List.of(file.array()));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void safetensors(@ForAll("safetensors") byte[] bytes) throws IOException {
        Path file = Files.write(folder.resolve("w.safetensors"), bytes);
        Mutations.read(16 * MIB, OWN, () -> {
            try (Safetensors tensors = Safetensors.open(file)) {
                for (Safetensors.Entry entry : tensors.entries().values()) {
                    assertThat(entry.data().byteSize()).isLessThanOrEqualTo(bytes.length);
                    entry.floats();
                }
            }
        });
    }

    /** A pickle as torch writes it, of one tensor of two numbers under the name a. */
    private static byte[] pickle() {
        String text =
                "\u0080\u0002}q\u0000X\u0001\u0000\u0000\u0000aq\u0001ctorch._utils\n_rebuild_tensor_v2\nq\u0002(("
                        + "X\u0007\u0000\u0000\u0000storageq\u0003ctorch\nFloatStorage\nq\u0004X\u0001\u0000\u0000\u00000q\u0005"
                        + "X\u0003\u0000\u0000\u0000cpuq\u0006K\u0002tq\u0007QK\u0000K\u0002\u0085q\bK\u0001\u0085q\t\u0089"
                        + "ccollections\nOrderedDict\nq\n)Rq\u000btq\fRq\rs.";
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static Path archive(byte[] pickle) throws IOException {
        Path file = folder.resolve("pickle.pt");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            put(zip, "w/data.pkl", pickle);
            put(zip, "w/data/0", new byte[8]);
        }
        return file;
    }

    private static void put(ZipOutputStream zip, String name, byte[] content) throws IOException {
        CRC32 crc = new CRC32();
        crc.update(content);
        ZipEntry entry = new ZipEntry(name);
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(content.length);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(content);
        zip.closeEntry();
    }

    @Provide
    Arbitrary<byte[]> pickles() {
        return Mutations.of(List.of(pickle()));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void pickle(@ForAll("pickles") byte[] bytes) throws IOException {
        readArchive(archive(bytes));
    }

    @Provide
    Arbitrary<byte[]> archives() throws IOException {
        return Mutations.of(List.of(Files.readAllBytes(archive(pickle()))));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void damagedArchive(@ForAll("archives") byte[] bytes) throws IOException {
        readArchive(Files.write(folder.resolve("w.pt"), bytes));
    }

    private static void readArchive(Path file) {
        Mutations.read(16 * MIB, OWN, () -> {
            try (TorchArchive archive = TorchArchive.open(file)) {
                archive.entries().values().forEach(Safetensors.Entry::floats);
            }
        });
    }

    @Property(tries = 1)
    void theGoodOnesAreRead() throws IOException {
        try (TorchArchive archive = TorchArchive.open(archive(pickle()))) {
            assertThat(archive.entries()).containsOnlyKeys("a");
        }
    }
}
