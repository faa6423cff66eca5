package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.Shard.Form;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** From the indexes to the plan, the reject file and {@code dataset.json}. */
final class Planner {
    private final DatasetSpec spec;
    private final Locations locations;
    private final Path out;
    private final List<Shard> shards;
    private final Scoring scoring;
    private final String tokenizerDigest;
    private final String specDigest;

    private final Map<String, long[]> perSource = new LinkedHashMap<>();
    private final Map<String, Long> rejected = new TreeMap<>();
    private final MessageDigest identity = Digests.sha256();
    private long samples;
    private long images;
    private long tokens;
    private long bytes;
    private long rows;
    private long padding;
    private long refused;
    private long kept;
    private long notSelected;
    private long unreadableScores;
    private long specialTokenLiterals;
    private long imageLiterals;

    Planner(
            DatasetSpec spec,
            Locations locations,
            List<Shard> shards,
            Scoring scoring,
            String tokenizerDigest,
            String specDigest) {
        this.scoring = scoring;
        this.spec = spec;
        this.locations = locations;
        out = locations.resolve(spec.output().location());
        this.shards = shards;
        this.tokenizerDigest = tokenizerDigest;
        this.specDigest = specDigest;
    }

    /** The summary, when the folder already holds this very Dataset and no shard has changed since. */
    Optional<DatasetSummary> complete(String indexSpec) throws IOException {
        if (!Files.isRegularFile(out.resolve(DatasetManifest.FILE))) {
            return Optional.empty();
        }
        DatasetManifest manifest;
        try {
            manifest = DatasetManifest.read(out);
        } catch (TrainerException e) {
            return Optional.empty(); // damaged or older: made again
        }
        if (!manifest.specDigest().equals(specDigest) || manifest.index().size() != shards.size()) {
            return Optional.empty();
        }
        try (Duck duck = Duck.open(out.resolve(".spill"))) {
            for (Shard shard : shards) {
                Path file = out.resolve(DatasetManifest.INDEX).resolve(shard.indexName());
                DatasetManifest.IndexEntry entry = manifest.index().get(shard.number());
                boolean same = shard.isThere(duck)
                        && entry.file().equals(shard.indexName())
                        && IndexFile.isOf(duck, file, IndexFile.Origin.of(indexSpec, shard))
                        && Digests.ofFile(file).equals(entry.digest());
                if (!same) {
                    return Optional.empty();
                }
            }
        }
        if (!manifest.planDigest().isEmpty()) {
            Path plan = out.resolve(DatasetManifest.PLAN);
            if (!Files.isRegularFile(plan) || !Digests.ofFile(plan).equals(manifest.planDigest())) {
                return Optional.empty();
            }
        }
        return Optional.of(manifest.summary());
    }

    /** @param progress hears of every shard that is in the plan */
    DatasetSummary plan(DatasetBuilder.Progress progress) throws IOException {
        Path folder = out.resolve(DatasetManifest.INDEX);
        Pack pack = spec.pack();
        boolean packed = shards.getFirst().form() != Form.Conversations;
        identity.update(Digests.utf8(String.join(
                "\n",
                "vlm-operator dataset " + DatasetManifest.FORMAT_VERSION,
                shards.getFirst().form().name(),
                tokenizerDigest,
                "context " + pack.contextLength(),
                "tokens per image " + pack.tokensPerImage(),
                "")));
        String planDigest = "";
        List<DatasetManifest.IndexEntry> entries = new ArrayList<>();
        try (Duck duck = Duck.open(out.resolve(".spill"))) {
            BitSet repeated = RepeatedUids.find(
                    duck,
                    shards.stream()
                            .map(shard -> folder.resolve(shard.indexName()))
                            .toList());
            try (PlanWriter plan = new PlanWriter(duck, identity)) {
                Packer packer = Packer.of(
                        packed ? pack.algorithm() : Pack.Algorithm.None,
                        pack.contextLength(),
                        packed ? plan : (row, count) -> {});
                Storage.publish(out.resolve(DatasetManifest.REJECTS), temporary -> {
                    try (BufferedWriter rejects = Files.newBufferedWriter(temporary, StandardCharsets.UTF_8);
                            Selection selection =
                                    Selection.open(spec.select(), locations, out.resolve(".select"), scoring)) {
                        collect(
                                duck,
                                folder,
                                new Sink(
                                        repeated,
                                        selection,
                                        new NearHashes(spec.reject().duplicateDistance()),
                                        rejects,
                                        packer),
                                entries,
                                progress);
                        unreadableScores = selection.unreadable();
                    }
                });
                packer.finish();
                requireEnough();
                Path file = out.resolve(DatasetManifest.PLAN);
                if (packed) {
                    planDigest = plan.publish(file);
                    rows = plan.rows();
                } else {
                    Storage.delete(file);
                    rows = samples;
                }
            }
        }
        padding = Math.max(0, rows * pack.contextLength() - tokens);
        DatasetSummary summary = new DatasetSummary(
                samples,
                images,
                tokens,
                rows,
                (double) tokens / ((double) rows * pack.contextLength()),
                bytes,
                Digests.named(identity),
                tokenizerDigest,
                perSource.entrySet().stream()
                        .map(e -> new DatasetStatus.SourceCount(
                                e.getKey(), e.getValue()[0], e.getValue()[1], e.getValue()[2]))
                        .toList(),
                rejected.entrySet().stream()
                        .map(e -> new DatasetStatus.Rejected(e.getKey(), e.getValue()))
                        .toList());
        new DatasetManifest(
                        DatasetManifest.FORMAT_VERSION,
                        shards.getFirst().form().name(),
                        specDigest,
                        pack.contextLength(),
                        pack.tokensPerImage(),
                        summary,
                        planDigest,
                        specialTokenLiterals,
                        imageLiterals,
                        notSelected,
                        padding,
                        unreadableScores,
                        entries)
                .publish(out);
        return summary;
    }

    private void collect(
            Duck duck,
            Path folder,
            Sink sink,
            List<DatasetManifest.IndexEntry> entries,
            DatasetBuilder.Progress progress)
            throws IOException {
        // Texts are slow to hand over: they are asked for where they are needed only.
        boolean texts = spec.reject().duplicateImages() != Reject.DuplicateImages.Keep
                || spec.select().hasRules()
                || !sink.repeated().isEmpty();
        List<Path> files =
                shards.stream().map(shard -> folder.resolve(shard.indexName())).toList();
        int base = 0;
        try (IndexFeed feed = new IndexFeed(files, texts, out.resolve(".spill"))) {
            for (Shard shard : shards) {
                long[] source = perSource.computeIfAbsent(shard.source(), name -> new long[3]);
                if (scoring.isNeeded()) {
                    sink.selection().shard(duck, folder.resolve(shard.indexName()));
                }
                int start = base;
                IndexFeed.Tail tail = feed.next(new IndexFeed.Reader() {
                    private Map<Integer, IndexFeed.Refusal> refusals = Map.of();

                    @Override
                    public void head(IndexFeed.Head head) {
                        // Complaints about a shard, too: what is read is what is kept, left out or refused.
                        source[0] += head.refusals().size();
                        refusals = head.refusals();
                        identity.update(Digests.utf8(head.identity()));
                    }

                    @Override
                    public void block(IndexFeed.Block block) throws IOException {
                        for (int row = 0; row < block.count; row++) {
                            int ordinal = block.first + row;
                            if (block.used[row]) {
                                int sample = Math.addExact(start, ordinal);
                                collect(shard, block, row, sample, source, sink);
                            } else {
                                refuse(shard, refusals.get(ordinal), sink.rejects());
                            }
                        }
                    }
                });
                base = Math.addExact(base, tail.rows());
                sink.packer().shardEnds();
                entries.add(new DatasetManifest.IndexEntry(
                        shard.indexName(),
                        shard.source(),
                        shard.location(),
                        shard.imagesLocation(),
                        tail.rows(),
                        tail.digest()));
                progress.shards(entries.size(), shards.size());
            }
        }
    }

    /** Where samples of all shards go. */
    private record Sink(
            BitSet repeated, Selection selection, NearHashes imageHashes, BufferedWriter rejects, Packer packer) {}

    private void collect(Shard shard, IndexFeed.Block block, int row, int sample, long[] source, Sink sink)
            throws IOException {
        source[0]++;
        source[1] += block.images[row];
        if (sink.repeated().get(sample)) {
            refuse(shard, again(block.key(row), RejectReason.DuplicateUid, "uid " + block.uid(row)), sink.rejects());
            return;
        }
        int copies = sink.selection().copies(block.uid(row), block.first + row);
        if (copies == 0) {
            notSelected++;
            return;
        }
        if (spec.reject().duplicateImages() != Reject.DuplicateImages.Keep) {
            NearHashes.Kind kind = sink.imageHashes().add(block.imageHashes[row]);
            if (kind != NearHashes.Kind.NEW) {
                refuse(
                        shard,
                        kind == NearHashes.Kind.EQUAL
                                ? again(block.key(row), RejectReason.DuplicateImage, "the image")
                                : again(
                                        block.key(row),
                                        RejectReason.NearDuplicateImage,
                                        "an image whose hash differs in at most "
                                                + spec.reject().duplicateDistance() + " bits"),
                        sink.rejects());
                return;
            }
        }
        kept++;
        source[2] += copies;
        samples += copies;
        images += (long) copies * block.images[row];
        tokens += (long) copies * block.lengths[row];
        bytes += block.bytes[row];
        specialTokenLiterals += block.specialTokenLiterals[row];
        imageLiterals += block.imageLiterals[row];
        for (int copy = 0; copy < copies; copy++) {
            sink.packer().add(sample, block.lengths[row]);
        }
    }

    private static IndexFeed.Refusal again(String key, RejectReason reason, String what) {
        return new IndexFeed.Refusal(key, reason.name(), what + " stands in an earlier place");
    }

    private void refuse(Shard shard, IndexFeed.Refusal line, BufferedWriter rejects) throws IOException {
        refused++;
        rejected.merge(line.reason(), 1L, Long::sum);
        rejects.write(DatasetManifest.json(orderedReject(shard, line.key(), line.reason(), line.detail())));
        rejects.newLine();
    }

    private static Map<String, String> orderedReject(Shard shard, String key, String reason, String detail) {
        Map<String, String> line = new LinkedHashMap<>();
        line.put("source", shard.source());
        line.put("shard", shard.location());
        line.put("key", key);
        line.put("reason", reason);
        line.put("detail", detail);
        return line;
    }

    private void requireEnough() {
        String reasons = rejected.entrySet().stream()
                .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
                .limit(6)
                .map(e -> e.getKey() + " " + e.getValue())
                .collect(Collectors.joining(", "));
        String where =
                "; see " + DatasetManifest.REJECTS + " in " + spec.output().location();
        if (samples == 0) {
            String first = shards.stream().limit(3).map(Shard::location).collect(Collectors.joining(", "));
            throw TrainerException.data(
                    (notSelected > 0 ? "none of " + notSelected + " samples is selected in " : "no usable sample in ")
                            + shards.size() + " shards (" + first + (shards.size() > 3 ? ", ..." : "") + ")"
                            + (reasons.isEmpty() ? "" : ": " + reasons + where));
        }
        long all = refused + kept + notSelected;
        double share = (double) refused / all;
        if (share > spec.reject().maxRejectShare()) {
            throw TrainerException.data(String.format(
                    Locale.ROOT,
                    "%d of %d samples (%.1f %%) are rejected, more than maxRejectShare %s: %s%s",
                    refused,
                    all,
                    100 * share,
                    spec.reject().maxRejectShare(),
                    reasons,
                    where));
        }
    }
}
