package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.data.TarReader.Member;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Forms of tars, and damage of every kind: a reader names it or reads on, and always ends. */
class ReadersFuzzTest {
    @TempDir
    Path temp;

    @Test
    void longNamesAndSizesOfAllThreeKinds() throws IOException {
        String longName = "folder/" + "n".repeat(150) + ".txt";
        byte[] pax = (record("path", longName) + record("mtime", "1.5")).getBytes(StandardCharsets.UTF_8);
        byte[] huge = Tar.header("base256.txt", '0', "", 0);
        huge[124] = (byte) 0x80;
        huge[135] = 5;
        byte[] split = Tar.header("name.txt", '0', "00000000003", 0);
        System.arraycopy("a/prefix".getBytes(StandardCharsets.US_ASCII), 0, split, 345, 8);
        Tar tar = new Tar()
                .member("PaxHeader", 'x', pax)
                .file("short.txt", "pax")
                .member("././@LongLink", 'L', (longName + "\0").getBytes(StandardCharsets.UTF_8))
                .file("short.txt", "gnu")
                .member("PaxGlobal", 'g', record("comment", "x").getBytes(StandardCharsets.UTF_8))
                .member("dir/", '5', new byte[0])
                .raw(Tar.checksum(huge))
                .raw(Arrays.copyOf("12345".getBytes(StandardCharsets.US_ASCII), 512))
                .raw(Tar.checksum(split))
                .raw(Arrays.copyOf("abc".getBytes(StandardCharsets.US_ASCII), 512))
                .member("PaxHeader", 'x', record("size", "4").getBytes(StandardCharsets.UTF_8))
                .raw(Tar.header("sized.txt", '0', "00000000000", 0))
                .raw(Arrays.copyOf("size".getBytes(StandardCharsets.US_ASCII), 512));
        List<String> found = new ArrayList<>();
        byte[] bytes = tar.bytes();
        List<RejectReason> complaints = walk(
                bytes,
                member -> found.add(member.name() + "="
                        + new String(bytes, (int) member.offset(), (int) member.size(), StandardCharsets.US_ASCII)));
        assertThat(complaints).isEmpty();
        assertThat(found)
                .containsExactly(
                        longName + "=pax",
                        longName + "=gnu",
                        "base256.txt=12345",
                        "a/prefix/name.txt=abc",
                        "sized.txt=size");
    }

    private static String record(String key, String value) {
        int length = key.length() + value.length() + 3;
        int digits = Integer.toString(length + 2).length();
        return (length + digits) + " " + key + "=" + value + "\n";
    }

    @Test
    void damagedTarsEndWithAReason() throws IOException {
        byte[] good = new Tar()
                .sample("a", TestData.png(8, 8, 1), "one")
                .member("PaxHeader", 'x', record("path", "b.png").getBytes(StandardCharsets.UTF_8))
                .file("x", TestData.png(8, 8, 2))
                .file("b.txt", "two")
                .bytes();
        Random random = new Random(11);
        for (int i = 0; i < 1_500; i++) {
            byte[] bad = i % 4 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
            for (int k = 0; k < i % 4 && bad.length > 0; k++) {
                int header = 512 * random.nextInt(Math.max(1, bad.length / 512));
                int at = Math.min(bad.length - 1, header + random.nextInt(i % 2 == 0 ? 512 : 160));
                bad[at] = (byte) random.nextInt(256);
                if (i % 3 == 0 && header + 512 <= bad.length) { // a right checksum over wrong content
                    byte[] block = Tar.checksum(Arrays.copyOfRange(bad, header, header + 512));
                    System.arraycopy(block, 0, bad, header, 512);
                }
            }
            byte[] file = bad;
            walk(file, member -> {
                assertThat(member.offset()).isNotNegative();
                assertThat(member.size()).isNotNegative();
                assertThat(member.offset() + member.size()).isLessThanOrEqualTo(file.length);
            });
        }
    }

    private interface Seen {
        void member(Member member);
    }

    private List<RejectReason> walk(byte[] bytes, Seen seen) throws IOException {
        Path file = temp.resolve("t.tar");
        Files.write(file, bytes);
        List<RejectReason> complaints = new ArrayList<>();
        try (FileChannel channel = FileChannel.open(file)) {
            TarReader reader = new TarReader(channel);
            for (int calls = 0; ; calls++) {
                assertThat(calls).as("the reader does not end").isLessThan(1_000);
                try {
                    Optional<Member> next = reader.next();
                    if (next.isEmpty()) {
                        return complaints;
                    }
                    seen.member(next.get());
                } catch (RejectedException e) {
                    assertThat(e.getMessage()).isNotEmpty();
                    complaints.add(e.reason());
                }
            }
        }
    }

    @Test
    void damagedConversationFilesEndWithAReason() throws IOException {
        String object = "{\"id\": \"a\\\"}{\", \"conversations\": [{\"from\": \"human\", \"value\": \"q [ }\"},"
                + " {\"from\": \"gpt\", \"value\": \"caf\u00e9\"}]}";
        Random random = new Random(3);
        for (String text :
                List.of("[" + object + " , " + object + "]", object + "\n" + object + "\n", "\ufeff[" + object + "]")) {
            byte[] good = text.getBytes(StandardCharsets.UTF_8);
            assertThat(parse(good)).as(text).isEqualTo(text.startsWith("\ufeff") ? 1 : 2);
            for (int i = 0; i < 1_500; i++) {
                byte[] bad = i % 3 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
                for (int k = 0; k < i % 3; k++) {
                    bad[random.nextInt(bad.length)] = random.nextBoolean()
                            ? (byte) random.nextInt(256)
                            : (byte) "{}[]\",\\:\n".charAt(random.nextInt(9));
                }
                parse(bad);
            }
        }
    }

    /** Number of good conversations; what is wrong must come as a rejection. */
    private static int parse(byte[] bytes) throws IOException {
        ConversationScanner scanner = new ConversationScanner(new ByteArrayInputStream(bytes));
        int good = 0;
        for (int calls = 0; ; calls++) {
            assertThat(calls).as("the scanner does not end").isLessThan(bytes.length + 2);
            try {
                Optional<ConversationScanner.Range> range = scanner.next();
                if (range.isEmpty()) {
                    return good;
                }
                int from = (int) range.get().offset();
                int to = (int) (range.get().offset() + range.get().size());
                assertThat(to).isLessThanOrEqualTo(bytes.length);
                ConversationParser.parse(Arrays.copyOfRange(bytes, from, to));
                good++;
            } catch (RejectedException e) {
                assertThat(e.getMessage()).isNotEmpty();
            }
        }
    }
}
