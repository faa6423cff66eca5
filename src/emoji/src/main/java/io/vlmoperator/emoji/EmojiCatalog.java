package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;

/**
 * The emoji that the demo uses, in Unicode's order.
 *
 * <p>Kept: every emoji with all three drawings, in its base form (skin tones show the same thing under the same name, so they
 * add nothing to tell apart). Left out, and counted by reason: emoji that lack a drawing; the skin tone swatches; and an emoji
 * that some set draws pixel by pixel like an older one (twenty families in Twitter's set, Clipperton Island's flag, which
 * is France's), because no question about such a picture has one right answer.
 */
public final class EmojiCatalog {
    static final String REASON_NO_DRAWING = "LacksADrawing";
    static final String REASON_COMPONENT = "SkinToneSwatch";
    static final String REASON_SAME_DRAWING = "SameDrawingAsAnOlderEmoji";

    private static final long MAX_MEMBER_BYTES = 64L << 20;
    private static final int MAX_EMOJI = 20_000;

    private final List<Emoji> emoji;
    private final Map<String, Integer> leftOut;

    private EmojiCatalog(List<Emoji> emoji, Map<String, Integer> leftOut) {
        this.emoji = List.copyOf(emoji);
        this.leftOut = leftOut;
    }

    List<Emoji> emoji() {
        return emoji;
    }

    /** How many emoji were left out, by reason. */
    Map<String, Integer> leftOut() {
        return leftOut;
    }

    /**
     * At most {@code limit} emoji with the categories as even as possible, in the same order.
     *
     * @throws EmojiException when the limit leaves a category with fewer than the four that a question needs
     */
    EmojiCatalog limitedTo(int limit) {
        Map<String, List<Emoji>> byCategory = new TreeMap<>();
        emoji.forEach(e ->
                byCategory.computeIfAbsent(e.category(), c -> new ArrayList<>()).add(e));
        int least = byCategory.size() * Benchmarks.OPTIONS;
        if (limit < least) {
            throw new EmojiException("--limit " + limit + " is too small: " + byCategory.size() + " categories with "
                    + Benchmarks.OPTIONS + " options each need at least " + least + ".");
        }
        Set<Emoji> kept = new HashSet<>();
        for (int round = 0; kept.size() < Math.min(limit, emoji.size()); round++) {
            for (List<Emoji> ofCategory : byCategory.values()) {
                if (round < ofCategory.size() && kept.size() < limit) {
                    kept.add(ofCategory.get(round));
                }
            }
        }
        return new EmojiCatalog(emoji.stream().filter(kept::contains).toList(), leftOut);
    }

    /**
     * Reads the packages in place.
     *
     * @throws EmojiException when a package is cut, lacks emoji.json, or holds something that is not expected of it
     */
    public static EmojiCatalog read(Map<DrawingSet, Path> packages) {
        Map<DrawingSet, Map<String, byte[]>> images = new EnumMap<>(DrawingSet.class);
        byte[] table = null;
        for (DrawingSet set : DrawingSet.values()) {
            Map<String, byte[]> members = new HashMap<>();
            byte[] json = readPackage(packages.get(set), set, members);
            images.put(set, members);
            table = table == null ? json : table;
        }
        return choose(entries(table, packages.get(DrawingSet.GOOGLE)), images);
    }

    private record Entry(
            String file,
            String unified,
            String name,
            String category,
            double addedIn,
            int order,
            Set<DrawingSet> drawn) {}

    private static byte[] readPackage(Path file, DrawingSet set, Map<String, byte[]> images) {
        String folder = "package/img/" + set.id() + "/64/";
        byte[] table = null;
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file));
                TarArchiveInputStream tar = new TarArchiveInputStream(new GZIPInputStream(raw))) {
            for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                String name = entry.getName();
                boolean isTable = name.equals("package/emoji.json");
                boolean isImage = name.startsWith(folder) && name.endsWith(".png");
                if (!isTable && !isImage) {
                    continue;
                }
                if (entry.getSize() > MAX_MEMBER_BYTES || images.size() > MAX_EMOJI) {
                    throw new EmojiException(
                            file + ": " + name + " is larger, or there are more drawings, than such a package has.");
                }
                byte[] bytes = tar.readAllBytes();
                if (isTable) {
                    table = bytes;
                } else {
                    images.put(name.substring(folder.length()), bytes);
                }
            }
        } catch (IOException e) {
            throw new EmojiException(
                    "Cannot read " + file + ": " + e.getMessage() + ". Delete it, so that it is fetched again.", e);
        }
        if (table == null || images.isEmpty()) {
            throw new EmojiException(file + " holds " + images.size() + " drawings under " + folder + " and "
                    + (table == null ? "no" : "an") + " emoji.json: it is not emoji-datasource-" + set.id() + ".");
        }
        return table;
    }

    private static List<Entry> entries(byte[] table, Path file) {
        List<Entry> entries = new ArrayList<>();
        try {
            for (JsonNode node : new ObjectMapper().readTree(table)) {
                Set<DrawingSet> drawn = new HashSet<>();
                for (DrawingSet set : DrawingSet.values()) {
                    if (node.path("has_img_" + set.id()).asBoolean()) {
                        drawn.add(set);
                    }
                }
                entries.add(new Entry(
                        required(node, "image", file),
                        required(node, "unified", file).toLowerCase(Locale.ROOT),
                        required(node, "name", file),
                        cleaned(required(node, "category", file)),
                        node.path("added_in").asDouble(),
                        node.path("sort_order").asInt(),
                        drawn));
            }
        } catch (IOException e) {
            throw new EmojiException("emoji.json of " + file + " is no JSON: " + e.getMessage() + ".", e);
        }
        entries.sort(Comparator.comparingInt(Entry::order).thenComparing(Entry::unified));
        return entries;
    }

    private static String required(JsonNode node, String field, Path file) {
        String value = node.path(field).asText("");
        if (value.isBlank() || value.length() > 200) {
            throw new EmojiException(
                    "emoji.json of " + file + " has an entry without a usable '" + field + "': " + node);
        }
        return value;
    }

    private static EmojiCatalog choose(List<Entry> entries, Map<DrawingSet, Map<String, byte[]>> images) {
        Map<String, Integer> leftOut = new LinkedHashMap<>();
        List<Entry> complete = new ArrayList<>();
        for (Entry entry : entries) {
            if (entry.category().equals("component")) {
                leftOut.merge(REASON_COMPONENT, 1, Integer::sum);
            } else if (entry.drawn().size() < DrawingSet.values().length) {
                leftOut.merge(REASON_NO_DRAWING, 1, Integer::sum);
            } else {
                complete.add(entry);
            }
        }
        Map<Entry, Emoji> kept = new HashMap<>();
        Set<String> seen = new HashSet<>();
        // The older emoji keeps a picture that two share: France before Clipperton Island.
        List<Entry> byAge = complete.stream()
                .sorted(Comparator.comparingDouble(Entry::addedIn).thenComparingInt(Entry::order))
                .toList();
        for (Entry entry : byAge) {
            Emoji emoji = draw(entry, images);
            List<String> pictures = emoji.drawings().entrySet().stream()
                    .map(d -> d.getKey().id() + d.getValue().pixelDigest())
                    .toList();
            if (pictures.stream().anyMatch(seen::contains)) {
                leftOut.merge(REASON_SAME_DRAWING, 1, Integer::sum);
            } else {
                seen.addAll(pictures);
                kept.put(entry, emoji);
            }
        }
        List<Emoji> emoji =
                complete.stream().filter(kept::containsKey).map(kept::get).toList();
        Set<String> names = new HashSet<>();
        for (Emoji e : emoji) {
            if (!names.add(e.name())) {
                throw new EmojiException(
                        "Two emoji are called '" + e.name() + "': questions about them could not be answered.");
            }
        }
        return new EmojiCatalog(emoji, leftOut);
    }

    private static Emoji draw(Entry entry, Map<DrawingSet, Map<String, byte[]>> images) {
        Map<DrawingSet, Drawing> drawings = new EnumMap<>(DrawingSet.class);
        for (DrawingSet set : DrawingSet.values()) {
            byte[] bytes = images.get(set).get(entry.file());
            if (bytes == null) {
                throw new EmojiException("emoji-datasource-" + set.id() + " lacks img/" + set.id() + "/64/"
                        + entry.file() + ", which its emoji.json promises.");
            }
            drawings.put(set, Drawing.onWhite(bytes, "img/" + set.id() + "/64/" + entry.file()));
        }
        // Unicode 13 gave the man and the neutral person the same name in this table; the neutral one is the bare code
        // point.
        String name = entry.unified().equals("1f935") ? "person in tuxedo" : cleaned(entry.name());
        return new Emoji(entry.unified(), sentence(name), entry.category(), drawings);
    }

    /**
     * The first character in upper case, the rest as it is. Only the first word of a name begins with a capital: the tokenizer can then
     * have entries for words inside of a name that take the space before them, and none that joins a space with the beginning of a
     * name, so that a name has the same tokens after a space as at the start of a line (see {@link TrainTokenizer}).
     */
    private static String sentence(String name) {
        int first = name.offsetByCodePoints(0, 1);
        return name.substring(0, first).toUpperCase(Locale.ROOT) + name.substring(first);
    }

    /** NFC, lower case, single spaces. */
    private static String cleaned(String text) {
        return Normalizer.normalize(text, Normalizer.Form.NFC)
                .toLowerCase(Locale.ROOT)
                .strip()
                .replaceAll("\\s+", " ");
    }
}
