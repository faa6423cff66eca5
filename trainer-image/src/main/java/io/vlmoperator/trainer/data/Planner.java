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
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
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
    private long specialTokenLiterals;
    private long imageLiterals;

    Planner(DatasetSpec spec, Locations locations, List<Shard> shards, String tokenizerDigest, String specDigest) {
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
                boolean same = entry.file().equals(shard.indexName())
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

    DatasetSummary plan() throws IOException {
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
            BitSet repeated = repeated(duck, folder);
            try (PlanWriter plan = new PlanWriter(duck, identity)) {
                Packer packer = Packer.of(
                        packed ? pack.algorithm() : Pack.Algorithm.None,
                        pack.contextLength(),
                        packed ? plan : (row, count) -> {});
                Storage.publish(out.resolve(DatasetManifest.REJECTS), temporary -> {
                    try (BufferedWriter rejects = Files.newBufferedWriter(temporary, StandardCharsets.UTF_8);
                            Selection selection = Selection.open(spec.select(), locations, out.resolve(".select"))) {
                        collect(duck, folder, repeated, selection, rejects, packer, entries);
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
                        entries)
                .publish(out);
        return summary;
    }

    /** Samples whose uid stands in an earlier place. */
    private BitSet repeated(Duck duck, Path folder) {
        BitSet repeated = new BitSet();
        try {
            duck.execute("CREATE TEMP TABLE uids (sample BIGINT, hash UHUGEINT)");
            long base = 0;
            for (Shard shard : shards) {
                String file = Duck.quote(folder.resolve(shard.indexName()));
                duck.execute("INSERT INTO uids SELECT " + base + " + ordinal, md5_number(uid) FROM read_parquet(" + file
                        + ") WHERE status = 'ok'");
                try (Statement statement = duck.connection().createStatement();
                        ResultSet count = statement.executeQuery("SELECT count(*) FROM read_parquet(" + file + ")")) {
                    count.next();
                    base += count.getLong(1);
                }
            }
            if (base > Integer.MAX_VALUE) {
                throw TrainerException.configuration(
                        "more than " + Integer.MAX_VALUE + " samples in one Dataset; split it");
            }
            try (Statement statement = duck.connection().createStatement();
                    ResultSet found = statement.executeQuery("""
                            SELECT sample FROM uids WHERE hash IN (SELECT hash FROM uids GROUP BY hash HAVING count(*) > 1)
                            QUALIFY row_number() OVER (PARTITION BY hash ORDER BY sample) > 1""")) {
                while (found.next()) {
                    repeated.set((int) found.getLong(1));
                }
            }
            duck.execute("DROP TABLE uids");
        } catch (SQLException e) {
            throw Duck.failed("looking for repeated uids", e);
        }
        return repeated;
    }

    private void collect(
            Duck duck,
            Path folder,
            BitSet repeated,
            Selection selection,
            BufferedWriter rejects,
            Packer packer,
            List<DatasetManifest.IndexEntry> entries)
            throws IOException {
        List<String> columns = List.of(
                "uid",
                "key",
                "images",
                "length",
                "bytes",
                "digest",
                "reason",
                "detail",
                "special_token_literals",
                "image_literals",
                "image_hash");
        LongSet imageHashes = new LongSet();
        boolean once = spec.reject().duplicateImages() != Reject.DuplicateImages.Keep;
        long base = 0;
        for (Shard shard : shards) {
            long[] source = perSource.computeIfAbsent(shard.source(), name -> new long[3]);
            Path file = folder.resolve(shard.indexName());
            long start = base;
            int[] count = new int[1];
            IndexFile.read(duck, file, columns, "", row -> {
                long sample = start + count[0]++;
                String uid = row.getString(1);
                String reason = row.getString(7);
                String detail = row.getString(8);
                if (!uid.isEmpty()) {
                    source[0]++;
                    source[1] += row.getInt(3);
                }
                if (repeated.get((int) sample)) {
                    reason = RejectReason.DuplicateUid.name();
                    detail = "uid " + uid + " stands in an earlier place";
                }
                int copies = 1;
                if (reason.isEmpty()) {
                    copies = selection.copies(uid);
                    if (copies == 0) {
                        notSelected++;
                        return;
                    }
                    if (once && !imageHashes.add(row.getLong(11))) {
                        reason = RejectReason.DuplicateImage.name();
                        detail = "the image stands in an earlier place";
                    }
                }
                if (!reason.isEmpty()) {
                    refused++;
                    rejected.merge(reason, 1L, Long::sum);
                    rejects.write(DatasetManifest.json(orderedReject(shard, row.getString(2), reason, detail)));
                    rejects.newLine();
                    return;
                }
                kept++;
                source[2] += copies;
                samples += copies;
                images += (long) copies * row.getInt(3);
                tokens += (long) copies * row.getInt(4);
                bytes += row.getLong(5);
                specialTokenLiterals += row.getInt(9);
                imageLiterals += row.getInt(10);
                identity.update(Digests.utf8(uid + " " + row.getString(6) + (copies > 1 ? " x" + copies : "") + "\n"));
                for (int copy = 0; copy < copies; copy++) {
                    packer.add((int) sample, row.getInt(4));
                }
            });
            base += count[0];
            packer.shardEnds();
            entries.add(new DatasetManifest.IndexEntry(
                    shard.indexName(),
                    shard.source(),
                    shard.location(),
                    shard.imagesLocation(),
                    count[0],
                    Digests.ofFile(file)));
        }
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
