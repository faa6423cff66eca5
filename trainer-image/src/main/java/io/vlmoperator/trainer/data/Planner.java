package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.Shard.Form;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.duckdb.DuckDBAppender;

/**
 * From the indexes to the plan, the reject file and {@code dataset.json}. Shards are packed in groups of at least {@value #GROUP} samples
 * (the paper packs tar by tar), so that a row is read from few places.
 */
final class Planner {
    private static final int GROUP = 10_000;

    private final DatasetSpec spec;
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
    private long refused;
    private long specialTokenLiterals;
    private long imageLiterals;

    Planner(DatasetSpec spec, Path out, List<Shard> shards, String tokenizerDigest, String specDigest) {
        this.spec = spec;
        this.out = out;
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
        boolean packed = shards.getFirst().form() == Form.Captions;
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
            Storage.publish(out.resolve(DatasetManifest.REJECTS), temporary -> {
                try (BufferedWriter rejects = Files.newBufferedWriter(temporary, StandardCharsets.UTF_8);
                        PlanWriter plan = new PlanWriter(duck, packed)) {
                    collect(duck, folder, repeated, rejects, plan, entries);
                }
            });
            requireEnough();
            if (packed) {
                Path file = out.resolve(DatasetManifest.PLAN);
                Storage.publish(file, temporary -> {
                    try {
                        duck.execute("COPY (SELECT \"row\", position, sample FROM plan ORDER BY \"row\", position) TO "
                                + Duck.quote(temporary) + " (FORMAT parquet, COMPRESSION zstd)");
                    } catch (SQLException e) {
                        throw Duck.failed("writing " + file, e);
                    }
                });
                planDigest = Digests.ofFile(file);
            } else {
                Storage.delete(out.resolve(DatasetManifest.PLAN));
                rows = samples;
            }
        }
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
            BufferedWriter rejects,
            PlanWriter plan,
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
                "image_literals");
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
                if (!reason.isEmpty()) {
                    refused++;
                    rejected.merge(reason, 1L, Long::sum);
                    rejects.write(DatasetManifest.json(orderedReject(shard, row.getString(2), reason, detail)));
                    rejects.newLine();
                    return;
                }
                source[2]++;
                samples++;
                images += row.getInt(3);
                tokens += row.getInt(4);
                bytes += row.getLong(5);
                specialTokenLiterals += row.getInt(9);
                imageLiterals += row.getInt(10);
                identity.update(Digests.utf8(uid + " " + row.getString(6) + "\n"));
                plan.add((int) sample, row.getInt(4));
            });
            base += count[0];
            if (plan.pending() >= GROUP) {
                plan.flush();
            }
            entries.add(new DatasetManifest.IndexEntry(
                    shard.indexName(),
                    shard.source(),
                    shard.location(),
                    shard.imagesLocation(),
                    count[0],
                    Digests.ofFile(file)));
        }
        plan.flush();
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
            throw TrainerException.data("no usable sample in " + shards.size() + " shards (" + first
                    + (shards.size() > 3 ? ", ..." : "") + ")" + (reasons.isEmpty() ? "" : ": " + reasons + where));
        }
        double share = (double) refused / (refused + samples);
        if (share > spec.reject().maxRejectShare()) {
            throw TrainerException.data(String.format(
                    Locale.ROOT,
                    "%d of %d samples (%.1f %%) are rejected, more than maxRejectShare %s: %s%s",
                    refused,
                    refused + samples,
                    100 * share,
                    spec.reject().maxRejectShare(),
                    reasons,
                    where));
        }
    }

    /** Packs groups of samples and collects the rows. */
    private final class PlanWriter implements AutoCloseable {
        private final DuckDBAppender appender;
        private final boolean packed;
        private int[] numbers = new int[1024];
        private int[] lengths = new int[1024];
        private int pending;

        PlanWriter(Duck duck, boolean packed) {
            this.packed = packed;
            try {
                duck.execute("CREATE TABLE plan (\"row\" INTEGER, position INTEGER, sample BIGINT)");
                appender = duck.connection().createAppender("main", "plan");
            } catch (SQLException e) {
                throw Duck.failed("preparing the plan", e);
            }
        }

        int pending() {
            return pending;
        }

        void add(int sample, int length) {
            if (!packed) {
                return;
            }
            if (pending == numbers.length) {
                numbers = Arrays.copyOf(numbers, 2 * pending);
                lengths = Arrays.copyOf(lengths, 2 * pending);
            }
            numbers[pending] = sample;
            lengths[pending++] = length;
        }

        void flush() {
            if (pending == 0) {
                return;
            }
            int capacity = spec.pack().algorithm() == Pack.Algorithm.None
                    ? 0
                    : spec.pack().contextLength();
            int[] exact = Arrays.copyOf(lengths, pending);
            Packing.Result result =
                    capacity == 0 ? Packing.oneEach(pending) : Packing.firstFitDecreasing(exact, capacity);
            int[] positions = new int[result.rows()];
            ByteBuffer line = ByteBuffer.allocate(12);
            try {
                for (int k = 0; k < pending; k++) {
                    int row = result.rowOf()[k];
                    int position = positions[row]++;
                    int sample = numbers[result.order()[k]];
                    appender.beginRow();
                    appender.append((int) (rows + row));
                    appender.append(position);
                    appender.append((long) sample);
                    appender.endRow();
                    line.clear();
                    identity.update(line.putInt((int) (rows + row))
                            .putInt(position)
                            .putInt(sample)
                            .array());
                }
            } catch (SQLException e) {
                throw Duck.failed("writing the plan", e);
            }
            rows += result.rows();
            pending = 0;
        }

        @Override
        public void close() {
            try {
                appender.close();
            } catch (SQLException e) {
                throw Duck.failed("writing the plan", e);
            }
        }
    }
}
