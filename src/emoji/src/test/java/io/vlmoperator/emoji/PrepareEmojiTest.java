package io.vlmoperator.emoji;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole program on hand-made drawings: no network. {@link RealDataTest} does the same on the real packages. */
class PrepareEmojiTest {
    @TempDir
    Path temp;

    private EmojiCatalog catalog;

    @BeforeEach
    void readFixture() throws IOException {
        catalog = EmojiCatalog.read(Fixture.packages(temp));
    }

    private PrepareEmoji.Options options(Path out) {
        return new PrepareEmoji.Options(out, RealDataTest.tokenizer(), OptionalInt.empty(), 7, temp);
    }

    private Prepared prepare(String name) throws IOException {
        return Prepared.make(catalog, temp.resolve(name), options(temp.resolve(name)));
    }

    @Test
    void keepsCompleteEmojiAndCountsTheOthersByReason() {
        assertThat(catalog.emoji()).hasSize(10);
        assertThat(catalog.emoji().getFirst().name()).isEqualTo("Shape number a");
        assertThat(catalog.emoji().getFirst().category()).isEqualTo("food & drink");
        assertThat(catalog.leftOut())
                .isEqualTo(Map.of("SkinToneSwatch", 1, "LacksADrawing", 1, "SameDrawingAsAnOlderEmoji", 1));
        assertThat(catalog.emoji()).extracting(Emoji::name).doesNotContain("Twin");
    }

    @Test
    void blendsWithWhite() throws IOException {
        Drawing drawing = catalog.emoji().getFirst().drawing(DrawingSet.GOOGLE);
        var image = javax.imageio.ImageIO.read(new java.io.ByteArrayInputStream(drawing.png()));
        assertThat(image.getColorModel().hasAlpha()).isFalse();
        assertThat(image.getRGB(0, 0) & 0xffffff).as("transparent pixel").isEqualTo(0xffffff);
        // (0, 255, 100) at alpha 180: 0 * 180 + 255 * 75, and so on, over 255.
        assertThat(image.getRGB(20, 20) & 0xffffff).as("half transparent pixel").isEqualTo(75 << 16 | 255 << 8 | 146);
    }

    @Test
    void everyShardSampleHasPictureCaptionAndUid() throws IOException {
        Map<String, byte[]> members = prepare("out").captionMembers();
        assertThat(members).hasSize(10 * 2 * 3 * 6);
        Set<String> uids = new HashSet<>();
        for (Emoji emoji : catalog.emoji()) {
            for (DrawingSet set : List.of(DrawingSet.GOOGLE, DrawingSet.TWITTER)) {
                for (String kind : List.of("-name0", "-name1", "-quiz0", "-quiz1", "-quiz2", "-quiz3")) {
                    String key = set.id() + "-" + emoji.id() + kind;
                    assertThat(members.get(key + ".png"))
                            .isEqualTo(emoji.drawing(set).png());
                    JsonNode facts = new ObjectMapper().readTree(members.get(key + ".json"));
                    assertThat(facts.path("key").asText()).isEqualTo(key);
                    assertThat(facts.path("uid").asText()).matches("[0-9a-f]{32}");
                    uids.add(facts.path("uid").asText());
                }
                String key = set.id() + "-" + emoji.id();
                assertThat(text(members, key + "-name0")).isEqualTo(emoji.name());
                assertThat(text(members, key + "-name1")).isEqualTo(emoji.name());
                List<String> sameCategory = catalog.emoji().stream()
                        .filter(e -> e.category().equals(emoji.category()))
                        .map(Emoji::name)
                        .toList();
                for (int i = 0; i < 4; i++) {
                    Set<String> quizOptions = quizOptions(text(members, key + "-quiz" + i), emoji);
                    assertThat(quizOptions).hasSize(4);
                    if (i % 2 == 1) {
                        assertThat(sameCategory).containsAll(quizOptions);
                    }
                }
            }
        }
        assertThat(uids).as("distinct uids").hasSize(10 * 2 * 6);
    }

    private static String text(Map<String, byte[]> members, String key) {
        return new String(members.get(key + ".txt"), StandardCharsets.UTF_8);
    }

    /** The options of a quiz, after a look at its form: a heading, one line per letter, the right name. */
    private static Set<String> quizOptions(String caption, Emoji right) {
        List<String> lines = caption.lines().toList();
        assertThat(lines).hasSize(6);
        assertThat(lines.getFirst()).isEqualTo("Options:");
        assertThat(lines.getLast()).isEqualTo(right.name());
        Set<String> options = new HashSet<>();
        for (int i = 0; i < 4; i++) {
            String letter = "ABCD".charAt(i) + ". ";
            assertThat(lines.get(1 + i)).startsWith(letter);
            options.add(lines.get(1 + i).substring(letter.length()));
        }
        assertThat(options).contains(right.name());
        return options;
    }

    @Test
    void conversationsAskAboutTrainingDrawingsAndAnswerRightly() throws IOException {
        Prepared prepared = prepare("out");
        List<JsonNode> lines = prepared.conversations();
        assertThat(lines).hasSize(10 * 2 * Conversations.KINDS.total());
        assertThat(lines.stream().map(l -> l.path("id").asText()).distinct()).hasSameSizeAs(lines);
        Set<Character> letters = new HashSet<>();
        for (JsonNode line : lines) {
            String path = line.path("image").asText();
            assertThat(prepared.out().resolve("images").resolve(path)).isRegularFile();
            Emoji emoji = catalog.emoji().stream()
                    .filter(e -> path.equals("google/" + e.id() + ".png") || path.equals("twitter/" + e.id() + ".png"))
                    .findFirst()
                    .orElseThrow(() -> new AssertionError(path + " is no training drawing"));
            JsonNode turns = line.path("conversations");
            assertThat(turns.size()).isIn(2, 4);
            assertThat(turns.path(0).path("value").asText()).startsWith("<image>\n");
            for (int i = 0; i < turns.size(); i += 2) {
                assertThat(turns.path(i).path("from").asText()).isEqualTo("human");
                assertThat(turns.path(i + 1).path("from").asText()).isEqualTo("gpt");
                String question = turns.path(i).path("value").asText();
                String answer = turns.path(i + 1).path("value").asText();
                if (question.contains("Options:")) {
                    assertThat(answer).isEqualTo(emoji.name());
                    letters.add(question.charAt(question.indexOf(". " + answer + "\n") - 1));
                } else if (question.endsWith(Questions.GROUP)) {
                    assertThat(answer).isEqualTo(emoji.category());
                } else {
                    assertThat(answer).isEqualTo(emoji.name());
                }
            }
        }
        assertThat(letters).containsExactlyInAnyOrder('A', 'B', 'C', 'D');
    }

    @Test
    void benchmarkTablesHaveVlmEvalKitsColumnsAndOneRightAnswer() throws IOException {
        Prepared prepared = prepare("out");
        for (String name : List.of("emoji-names", "emoji-same-category")) {
            List<Map<String, String>> rows = prepared.benchmark(name);
            assertThat(rows).hasSize(10);
            for (int i = 0; i < rows.size(); i++) {
                Map<String, String> row = rows.get(i);
                Emoji emoji = catalog.emoji().get(i);
                assertThat(row.keySet())
                        .containsExactly(
                                "index", "image", "question", "A", "B", "C", "D", "answer", "category", "split");
                assertThat(row.get(row.get("answer"))).isEqualTo(emoji.name());
                List<String> options = List.of(row.get("A"), row.get("B"), row.get("C"), row.get("D"));
                assertThat(options).doesNotHaveDuplicates();
                if (name.equals("emoji-same-category")) {
                    assertThat(catalog.emoji().stream().filter(e -> options.contains(e.name())))
                            .allMatch(e -> e.category().equals(emoji.category()));
                }
            }
        }
    }

    @Test
    void noBenchmarkPictureIsTrainedOn() throws IOException {
        RealDataTest.assertNoLeak(prepare("out"));
    }

    @Test
    void sameInputGivesTheSameBytesAlsoOverAnEarlierRun() throws IOException {
        Prepared first = prepare("first");
        Prepared second = prepare("second");
        Files.writeString(second.out().resolve("captions").resolve("stale.tar"), "left by an older version");
        prepare("second");
        assertThat(second.digests()).isEqualTo(first.digests());
    }

    @Test
    void anotherSeedAsksOtherQuestionsAboutTheSamePictures() throws IOException {
        Prepared first = prepare("first");
        Path out = temp.resolve("other");
        PrepareEmoji.prepare(
                new PrepareEmoji.Options(out, RealDataTest.tokenizer(), OptionalInt.empty(), 8, temp), catalog);
        Map<String, String> other = new Prepared(out).digests();
        assertThat(other.get("conversations.jsonl"))
                .isNotEqualTo(first.digests().get("conversations.jsonl"));
        assertThat(other.get("captions/emoji-00000.tar"))
                .as("quizzes")
                .isNotEqualTo(first.digests().get("captions/emoji-00000.tar"));
        Map<String, byte[]> before = first.captionMembers();
        new Prepared(out).captionMembers().forEach((name, bytes) -> {
            if (!name.endsWith(".txt") || !name.contains("-quiz")) {
                assertThat(bytes).as(name).isEqualTo(before.get(name));
            }
        });
    }

    @Test
    void aLimitKeepsCategoriesEvenAndRefusesTooFew() {
        assertThat(catalog.limitedTo(8).emoji().stream()
                        .filter(e -> e.category().equals("objects")))
                .hasSize(4);
        assertThatThrownBy(() -> catalog.limitedTo(7)).hasMessageContaining("at least 8");
    }

    @Test
    void leavesForeignFoldersAlone() throws IOException {
        Path out = Files.createDirectories(temp.resolve("mine"));
        Path photo = Files.createDirectories(out.resolve("images")).resolve("photo.png");
        Files.writeString(photo, "precious");
        assertThatThrownBy(() -> prepare("mine")).hasMessageContaining("was not made by prepare-emoji");
        assertThat(photo).hasContent("precious");
    }

    @Test
    void aHalfWrittenFolderIsWrittenAnew() throws IOException {
        Path out = Files.createDirectories(temp.resolve("half"));
        Files.writeString(out.resolve(PrepareEmoji.MANIFEST), "{\"format\": 1, \"complete\": false}");
        Files.createDirectories(out.resolve("captions"));
        assertThat(new ObjectMapper()
                        .readTree(prepare("half")
                                .out()
                                .resolve(PrepareEmoji.MANIFEST)
                                .toFile())
                        .path("complete")
                        .asBoolean())
                .isTrue();
    }

    @Test
    void aCutPackageIsNamed() throws IOException {
        Map<DrawingSet, Path> packages = Fixture.packages(temp);
        Path twitter = packages.get(DrawingSet.TWITTER);
        byte[] bytes = Files.readAllBytes(twitter);
        Files.write(twitter, java.util.Arrays.copyOf(bytes, bytes.length / 2));
        assertThatThrownBy(() -> EmojiCatalog.read(packages))
                .isInstanceOf(EmojiException.class)
                .hasMessageContaining("twitter.tgz");
    }

    @Test
    void wrongUsageSaysWhatIsWrong() {
        assertThatThrownBy(() -> PrepareEmoji.parse(new String[] {})).hasMessageContaining("folder");
        assertThatThrownBy(() -> PrepareEmoji.parse(new String[] {"out", "--limit"}))
                .hasMessageContaining("--limit needs a value");
        assertThatThrownBy(() -> PrepareEmoji.parse(new String[] {"out", "--limit", "no"}))
                .hasMessageContaining("'no'");
        assertThatThrownBy(() -> PrepareEmoji.parse(new String[] {"out", "--frob"}))
                .hasMessageContaining("--frob");
        assertThat(PrepareEmoji.parse(new String[] {"out", "--limit", "40"}).limit())
                .hasValue(40);
    }
}
