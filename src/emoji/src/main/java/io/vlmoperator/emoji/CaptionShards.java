package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;

/**
 * Writes WebDataset shards: {@code KEY.png}, {@code KEY.txt} (the caption) and {@code KEY.json} ({@code uid}, {@code key} and
 * where the sample comes from), side by side. The bytes depend on the emoji and the seed alone: members have neither a time nor an
 * owner.
 *
 * <p>A drawing is there {@code NAMES + QUIZZES} times: its caption is the name, or a quiz, which lists four names and then
 * repeats the right one. A model that only ever sees names learns to recite them and never to look one up in the text before it, which is what
 * a multiple choice question asks for. Every quiz has names of its own, so that there is less to learn by heart than if fewer were read more often.
 */
final class CaptionShards {
    static final int SAMPLES_PER_SHARD = 1_000;

    /** Plain names per drawing. */
    static final int NAMES = 2;

    /** Quizzes per drawing, by turns with random names and with names of the same category. */
    static final int QUIZZES = 4;

    private CaptionShards() {}

    /**
     * @param seed of the quizzes' wrong names and their order
     * @param folder an existing folder; receives {@code emoji-00000.tar} and so on
     * @return how many shards were written
     */
    static int write(List<Emoji> emoji, long seed, Path folder) throws IOException {
        Map<String, List<Emoji>> byCategory = emoji.stream().collect(Collectors.groupingBy(Emoji::category));
        Random random = new Random(Digests.seed(seed, "quizzes"));
        List<Sample> samples = new ArrayList<>();
        for (Emoji e : emoji) {
            for (DrawingSet set : trainedSets()) {
                for (int i = 0; i < NAMES; i++) {
                    samples.add(new Sample(e, set, "-name" + i, e.name()));
                }
                for (int i = 0; i < QUIZZES; i++) {
                    List<Emoji> pool = i % 2 == 0 ? emoji : byCategory.get(e.category());
                    samples.add(new Sample(
                            e,
                            set,
                            "-quiz" + i,
                            Questions.choice(e, pool, random).quiz()));
                }
            }
        }
        int shards = 0;
        for (int from = 0; from < samples.size(); from += SAMPLES_PER_SHARD) {
            Path shard = folder.resolve(String.format("emoji-%05d.tar", shards++));
            writeShard(samples.subList(from, Math.min(samples.size(), from + SAMPLES_PER_SHARD)), shard);
        }
        return shards;
    }

    static List<DrawingSet> trainedSets() {
        return List.of(DrawingSet.values()).stream().filter(DrawingSet::trained).toList();
    }

    private record Sample(Emoji emoji, DrawingSet set, String suffix, String caption) {
        String key() {
            return set.id() + "-" + emoji.id() + suffix;
        }

        /** 128 bits that name the pair of picture and caption, as DataComp's uids do. */
        String uid() {
            return Digests.sha256(NpmPackages.packageOf(set) + "/" + emoji.id() + suffix)
                    .substring(0, 32);
        }
    }

    private static void writeShard(List<Sample> samples, Path shard) throws IOException {
        ObjectMapper json = new ObjectMapper();
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(shard));
                TarArchiveOutputStream tar = new TarArchiveOutputStream(out, StandardCharsets.UTF_8.name())) {
            for (Sample sample : samples) {
                Map<String, Object> facts = new LinkedHashMap<>();
                facts.put("uid", sample.uid());
                facts.put("key", sample.key());
                facts.put("width", Drawing.SIDE);
                facts.put("height", Drawing.SIDE);
                facts.put("category", sample.emoji().category());
                facts.put("source", NpmPackages.packageOf(sample.set()));
                add(
                        tar,
                        sample.key() + ".png",
                        sample.emoji().drawing(sample.set()).png());
                add(tar, sample.key() + ".txt", sample.caption().getBytes(StandardCharsets.UTF_8));
                add(tar, sample.key() + ".json", json.writeValueAsBytes(facts));
            }
        }
    }

    private static void add(TarArchiveOutputStream tar, String name, byte[] bytes) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name);
        entry.setSize(bytes.length);
        entry.setModTime(FileTime.fromMillis(0));
        entry.setIds(0, 0);
        entry.setNames("", "");
        entry.setMode(0100644);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }
}
