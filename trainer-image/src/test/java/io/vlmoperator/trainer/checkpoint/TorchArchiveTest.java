package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Archives of torch.save: one that torch 2.7.1 wrote, and ones that nobody should open. */
class TorchArchiveTest {
    private static final Path TINY = Path.of("src/test/resources/released/tiny.pt");
    private static final Path DECODER = Path.of("src/test/resources/reference/vlm/model/decoder");

    @TempDir
    private Path folder;

    @Test
    void tensorsAreThoseThatTorchWrote() throws IOException {
        try (TorchArchive archive = TorchArchive.open(TINY);
                Safetensors decoder = Safetensors.open(DECODER)) {
            String prefix = "model.llm_backbone.llm.";
            assertThat(archive.entries()).hasSize(decoder.entries().size() + 1 + 4);
            for (Safetensors.Entry expected : decoder.entries().values()) {
                Safetensors.Entry found = archive.entries().get(prefix + expected.name());
                assertThat(found).as(expected.name()).isNotNull();
                assertThat(found.shape()).isEqualTo(expected.shape());
                assertThat(found.data().mismatch(expected.data()))
                        .as(expected.name())
                        .isEqualTo(-1);
            }
            assertThat(archive.entries()
                            .get(prefix + "lm_head.weight")
                            .data()
                            .mismatch(decoder.get("model.embed_tokens.weight").data()))
                    .isEqualTo(-1);
        }
    }

    /** Protocol 2, a dictionary, a key, and what is to be its value. */
    private static byte[] pickle(byte[] value) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(new byte[] {(byte) 0x80, 2, '}', 'X', 1, 0, 0, 0, 'a'});
        out.write(value);
        out.write(new byte[] {'s', '.'});
        return out.toByteArray();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private Path archive(byte[] pickle, boolean compressed) throws IOException {
        Path file = folder.resolve("bad.pt");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            for (Map.Entry<String, byte[]> member :
                    Map.of("bad/data.pkl", pickle, "bad/data/0", new byte[16]).entrySet()) {
                ZipEntry entry = new ZipEntry(member.getKey());
                if (!compressed) {
                    CRC32 crc = new CRC32();
                    crc.update(member.getValue());
                    entry.setMethod(ZipEntry.STORED);
                    entry.setSize(member.getValue().length);
                    entry.setCrc(crc.getValue());
                }
                zip.putNextEntry(entry);
                zip.write(member.getValue());
                zip.closeEntry();
            }
        }
        return file;
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            cposix\\nsystem\\n(X\\004\\000\\000\\000truetR   | names posix.system at byte 9
            cbuiltins\\neval\\n                                      | names builtins.eval at byte 9
            ctorch._utils\\n_rebuild_device_tensor_from_numpy\\n      | names torch._utils._rebuild_device_tensor_from_numpy
            ctorch\\nHalfStorage\\n                                   | names torch.HalfStorage
            iposix\\nsystem\\n                                        | instruction 0x69 at byte 9
            ccollections\\nOrderedDict\\n(K\\001tR                   | makes a dictionary of arguments
            ccollections\\nOrderedDict\\nctorch\\nFloatStorage\\nR      | damaged near byte
            h\\007                                                 | recalls what was not kept
            X\\377\\377\\377\\177ab                              | cut off inside a text
            t                                                       | a mark is missing
            ctorch\\nFloatStorage                                    | cut off
            )K\\001a                                               | appends to a tuple
            K\\001                                                 | holds no tensors
            """)
    void nothingButTensorsIsRead(String value, String message) throws IOException {
        byte[] bytes = value.translateEscapes().getBytes(StandardCharsets.ISO_8859_1);
        assertThatThrownBy(() -> TorchArchive.open(archive(pickle(bytes), false)))
                .isInstanceOf(SafetensorsException.class)
                .hasMessageContaining("bad.pt")
                .hasMessageContaining(message);
    }

    /** ("storage", class, "0", "cpu", count) as a persistent id, then the arguments of a tensor. */
    private static byte[] tensor(int count, String sizes, String strides, int offset) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(ascii("ctorch._utils\n_rebuild_tensor_v2\n(("));
        out.write(text("storage"));
        out.write(ascii("ctorch\nFloatStorage\n"));
        out.write(text("0"));
        out.write(text("cpu"));
        out.write(new byte[] {'K', (byte) count, 't', 'Q', 'K', (byte) offset});
        for (String list : new String[] {sizes, strides}) {
            out.write('(');
            for (String number : list.split(" ", -1)) {
                out.write('J');
                int value = Integer.parseInt(number);
                out.write(new byte[] {(byte) value, (byte) (value >> 8), (byte) (value >> 16), (byte) (value >> 24)});
            }
            out.write('t');
        }
        out.write(new byte[] {(byte) 0x89, ')', 't', 'R'});
        return out.toByteArray();
    }

    private static byte[] text(String text) {
        byte[] bytes = new byte[5 + text.length()];
        bytes[0] = 'X';
        bytes[1] = (byte) text.length();
        System.arraycopy(ascii(text), 0, bytes, 5, text.length());
        return bytes;
    }

    @Test
    void aTensorMadeByHandIsRead() throws IOException {
        try (TorchArchive archive = TorchArchive.open(archive(pickle(tensor(4, "1 3", "9 1", 1)), false))) {
            assertThat(archive.entries().get("a").shape()).containsExactly(1L, 3L);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            5 | 5     | 1   | 0 | lies at bytes 0 to 20 of a member of 16
            4 | 2     | 1   | 3 | lies at bytes 12 to 20 of a member of 16
            4 | 2 2   | 1 2 | 0 | does not lie in one piece
            4 | -1    | 1   | 0 | has the size -1
            4 | 2 2   | 1   | 0 | no usable shape
            4 | 65536 65536 65536 65536 65536 | 1 1 1 1 1 | 0 | does not lie in one piece
            """)
    void tensorsOutsideOfTheirStorageAreRefused(int count, String sizes, String strides, int offset, String message)
            throws IOException {
        assertThatThrownBy(() -> TorchArchive.open(archive(pickle(tensor(count, sizes, strides, offset)), false)))
                .isInstanceOf(SafetensorsException.class)
                .hasMessageContaining("tensor a")
                .hasMessageContaining(message);
    }

    @Test
    void otherFilesAreNamed() throws IOException {
        Path file = folder.resolve("x");
        Files.writeString(file, "no archive at all, but long enough for one");
        assertThatThrownBy(() -> TorchArchive.open(file)).hasMessageContaining("is no zip archive");
        assertThatThrownBy(() -> TorchArchive.open(folder.resolve("none"))).hasMessageContaining("no such file");
        assertThatThrownBy(() -> TorchArchive.open(archive(pickle(tensor(4, "4", "1", 0)), true)))
                .hasMessageContaining("is compressed");
        // A value that contains itself unfolds without end.
        byte[] endless = {(byte) 0x80, 2, '}', 'q', 0, 'X', 1, 0, 0, 0, 'a', 'h', 0, 's', '.'};
        assertThatThrownBy(() -> TorchArchive.open(archive(endless, false))).hasMessageContaining("16 deep");
    }

    @Test
    void damageIsAlwaysANamedError() throws IOException {
        byte[] good = Files.readAllBytes(TINY);
        Random random = new Random(11);
        Path file = folder.resolve("damaged.pt");
        int refused = 0;
        for (int i = 0; i < 400; i++) {
            byte[] bad = i % 4 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
            // The directory at the end and the pickle at the start are what can be wrong.
            int from = i % 2 == 0 ? 0 : Math.max(0, bad.length - 6000);
            for (int k = 0; k < 1 + random.nextInt(6) && bad.length > 0; k++) {
                bad[from + random.nextInt(Math.min(bad.length - from, 6000))] = (byte) random.nextInt(256);
            }
            Files.write(file, bad);
            try (TorchArchive archive = TorchArchive.open(file)) {
                assertThat(archive.entries()).isNotEmpty();
            } catch (SafetensorsException e) {
                assertThat(e).hasMessageContaining("damaged.pt");
                refused++;
            }
        }
        assertThat(refused).isGreaterThan(100);
    }
}
