package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * {@code prepare-emoji OUT}: writes the demo's data.
 *
 * <pre>
 * OUT/captions/emoji-00000.tar ...     WebDataset shards: Google's and Twitter's drawings with their names, also as quizzes
 * OUT/conversations.jsonl  OUT/images/ LLaVA-style conversations about the same drawings
 * OUT/benchmark/*.tsv                  VLMEvalKit tables of Facebook's drawings
 * OUT/tokenizer/                       the small tokenizer
 * OUT/manifest.json                    what was written, with digests; written last
 * </pre>
 *
 * The same packages, seed and limit give the same bytes. A folder that holds anything else under these names is left alone.
 */
public final class PrepareEmoji {
    /** Grows when the content changes for the same packages, seed and limit. */
    static final int FORMAT = 2;

    static final String MANIFEST = "manifest.json";
    private static final List<String> OWN =
            List.of("captions", "conversations.jsonl", "images", "benchmark", "tokenizer");
    private static final long DEFAULT_SEED = 7;
    private static final ObjectMapper JSON = new ObjectMapper()
            .enable(SerializationFeature.INDENT_OUTPUT, SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS);

    private PrepareEmoji() {}

    /**
     * What is written.
     *
     * @param tokenizer the folder that is copied to OUT/tokenizer
     * @param limit how many emoji; all when empty
     * @param seed of the multiple choice questions
     */
    record Options(Path out, Path tokenizer, OptionalInt limit, long seed, Path cache) {}

    /** Exit codes: 0 done, 1 failed with a message, 2 wrong usage. */
    public static void main(String[] args) {
        System.exit(run(args));
    }

    private static int run(String[] args) {
        Options options;
        try {
            options = parse(args);
        } catch (IllegalArgumentException e) {
            System.err.println("prepare-emoji: " + e.getMessage());
            System.err.println("usage: prepare-emoji OUT [--limit N] [--seed N] [--cache FOLDER]");
            return 2;
        }
        try {
            Map<String, Object> counts =
                    prepare(options, EmojiCatalog.read(new NpmPackages(options.cache()).fetchAll()));
            System.out.println("prepare-emoji: " + counts + " in " + options.out());
            return 0;
        } catch (EmojiException e) {
            System.err.println("prepare-emoji: " + e.getMessage());
        } catch (IOException e) {
            System.err.println("prepare-emoji: cannot write " + options.out() + ": " + e
                    + ". Check its owner and the free space (250 MB).");
        }
        return 1;
    }

    static Options parse(String[] args) {
        Path out = null;
        Path tokenizer = Path.of("examples/emoji/tokenizer");
        Path cache = NpmPackages.defaultCache();
        OptionalInt limit = OptionalInt.empty();
        long seed = DEFAULT_SEED;
        for (int i = 0; i < args.length; i++) {
            switch (args[i]) {
                case "--limit" -> limit = OptionalInt.of(Math.toIntExact(number(args, ++i, 1, 1_000_000)));
                case "--seed" -> seed = number(args, ++i, Long.MIN_VALUE, Long.MAX_VALUE);
                case "--cache" -> cache = Path.of(value(args, ++i));
                case "--tokenizer" -> tokenizer = Path.of(value(args, ++i));
                default -> {
                    if (args[i].startsWith("-") || out != null) {
                        throw new IllegalArgumentException("'" + args[i] + "' is not understood.");
                    }
                    out = Path.of(args[i]);
                }
            }
        }
        if (out == null) {
            throw new IllegalArgumentException("the folder to write is missing.");
        }
        return new Options(out, tokenizer, limit, seed, cache.toAbsolutePath());
    }

    private static String value(String[] args, int at) {
        if (at >= args.length) {
            throw new IllegalArgumentException(args[at - 1] + " needs a value.");
        }
        return args[at];
    }

    private static long number(String[] args, int at, long least, long most) {
        String text = value(args, at);
        try {
            long number = Long.parseLong(text);
            if (number >= least && number <= most) {
                return number;
            }
        } catch (NumberFormatException e) {
            // answered below, like a number out of range
        }
        throw new IllegalArgumentException(
                args[at - 1] + " needs a whole number from " + least + " to " + most + ", not '" + text + "'.");
    }

    /** Writes everything. @return the counts of the manifest */
    static Map<String, Object> prepare(Options options, EmojiCatalog whole) throws IOException {
        EmojiCatalog catalog =
                options.limit().isPresent() ? whole.limitedTo(options.limit().getAsInt()) : whole;
        List<Emoji> emoji = catalog.emoji();
        Path out = options.out();
        claim(out);

        Map<String, Object> counts = new LinkedHashMap<>();
        counts.put("emoji", emoji.size());
        Files.createDirectories(out.resolve("captions"));
        counts.put("captionShards", CaptionShards.write(emoji, options.seed(), out.resolve("captions")));
        counts.put(
                "captions",
                emoji.size() * CaptionShards.trainedSets().size() * (CaptionShards.NAMES + CaptionShards.QUIZZES));
        for (DrawingSet set : CaptionShards.trainedSets()) {
            Files.createDirectories(out.resolve("images").resolve(set.id()));
            for (Emoji e : emoji) {
                Files.write(
                        out.resolve("images").resolve(Conversations.imagePath(e, set)),
                        e.drawing(set).png());
            }
        }
        counts.put("conversations", Conversations.write(emoji, options.seed(), out.resolve("conversations.jsonl")));
        Path benchmark = Files.createDirectories(out.resolve("benchmark"));
        counts.put("emoji-names", Benchmarks.writeNames(emoji, options.seed(), benchmark.resolve("emoji-names.tsv")));
        counts.put(
                "emoji-same-category",
                Benchmarks.writeSameCategory(emoji, options.seed(), benchmark.resolve("emoji-same-category.tsv")));
        copyTokenizer(options.tokenizer(), out.resolve("tokenizer"));

        Map<String, Object> manifest = new LinkedHashMap<>();
        manifest.put("format", FORMAT);
        manifest.put("complete", true);
        manifest.put("seed", options.seed());
        manifest.put("packages", packages());
        manifest.put("leftOut", catalog.leftOut());
        manifest.put("counts", counts);
        manifest.put("files", digests(out));
        writeManifest(out, manifest);
        return counts;
    }

    /** Empties what an earlier run wrote, and marks the folder as half done until the manifest says otherwise. */
    private static void claim(Path out) throws IOException {
        Path manifest = out.resolve(MANIFEST);
        boolean ours = Files.isRegularFile(manifest) && isOurs(manifest);
        for (String name : OWN) {
            Path path = out.resolve(name);
            if (Files.exists(path) && !ours) {
                throw new EmojiException(path
                        + " is there already and was not made by prepare-emoji. Name another folder, or remove it.");
            }
        }
        if (Files.exists(manifest) && !ours) {
            throw new EmojiException(manifest
                    + " is there already and was not made by prepare-emoji. Name another folder, or remove it.");
        }
        Files.createDirectories(out);
        writeManifest(out, Map.of("format", FORMAT, "complete", false));
        for (String name : OWN) {
            deleteTree(out.resolve(name));
        }
    }

    private static boolean isOurs(Path manifest) {
        try {
            JsonNode node = JSON.readTree(manifest.toFile());
            return node.path("format").isInt() && node.path("complete").isBoolean();
        } catch (IOException e) {
            return false;
        }
    }

    private static void writeManifest(Path out, Map<String, Object> manifest) throws IOException {
        Path half = out.resolve(MANIFEST + ".tmp");
        Files.write(half, JSON.writeValueAsBytes(manifest));
        Files.move(half, out.resolve(MANIFEST), StandardCopyOption.REPLACE_EXISTING);
    }

    private static Map<String, String> packages() {
        Map<String, String> packages = new LinkedHashMap<>();
        for (DrawingSet set : DrawingSet.values()) {
            packages.put(NpmPackages.packageOf(set), NpmPackages.sha256Of(set));
        }
        return packages;
    }

    /** The digest of every file but the images, which are summed up in one digest per folder. */
    private static Map<String, String> digests(Path out) throws IOException {
        Map<String, String> digests = new LinkedHashMap<>();
        for (String name : OWN) {
            if (name.equals("images")) {
                StringBuilder all = new StringBuilder();
                for (Path file : files(out.resolve(name))) {
                    all.append(Digests.sha256(file))
                            .append("  ")
                            .append(out.relativize(file))
                            .append('\n');
                }
                digests.put("images/", Digests.sha256(all.toString()));
            } else {
                for (Path file : files(out.resolve(name))) {
                    digests.put(out.relativize(file).toString(), Digests.sha256(file));
                }
            }
        }
        return digests;
    }

    private static void copyTokenizer(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        for (String name : List.of(TrainTokenizer.TOKENIZER, TrainTokenizer.CONFIG)) {
            if (!Files.isRegularFile(from.resolve(name))) {
                throw new EmojiException(from.resolve(name)
                        + " is missing; it belongs to the checkout. Run 'git checkout -- examples/emoji/tokenizer'.");
            }
            Files.copy(from.resolve(name), to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static List<Path> files(Path path) throws IOException {
        try (Stream<Path> walk = Files.walk(path)) {
            return walk.filter(Files::isRegularFile).sorted().toList();
        }
    }

    private static void deleteTree(Path path) throws IOException {
        if (!Files.exists(path)) {
            return;
        }
        List<Path> paths = new ArrayList<>();
        try (Stream<Path> walk = Files.walk(path)) {
            walk.sorted(Comparator.reverseOrder()).forEach(paths::add);
        }
        for (Path each : paths) {
            Files.delete(each);
        }
    }
}
