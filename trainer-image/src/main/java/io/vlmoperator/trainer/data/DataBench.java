package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.data.Shard.Form;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;

/** Index, plan and order of made-up samples: what {@code make bench-pack} measures. */
public final class DataBench {
    /** As the packer of the paper sees them: tars of 10,000. */
    private static final int PER_SHARD = 10_000;

    private static final int INDEXING_THREADS = 2;

    private DataBench() {}

    /** Hears when a part of the work is done. */
    public interface Progress {
        void done(String part);
    }

    /**
     * What was made.
     *
     * @param fill share of the rows' context that holds tokens
     * @param checksum of the order, so that it is computed
     */
    public record Packed(long samples, long rows, double fill, long checksum) {}

    /**
     * Writes the indexes of so many captions with lengths of the paper's distribution (144 visual tokens, begin, newline, end and a log-normal
     * text of 29 tokens on average), plans them, opens the Dataset and walks through one epoch's order.
     *
     * @param folder empty; holds the Dataset afterwards
     */
    public static Packed pack(Path folder, long samples, Pack.Algorithm algorithm, Progress progress)
            throws IOException {
        Locations locations = Locations.of(Map.of("out", folder));
        DatasetSpec spec = new DatasetSpec(
                List.of(new Source("made-up", new Source.WebDataset("pvc://out/{00000..99999}.tar"), null, null, null)),
                null,
                null,
                new Pack(4096, 144, algorithm, "pvc://out/tokenizer"),
                new DatasetSpec.Output("pvc://out/dataset", null, null),
                null,
                null,
                null,
                null);
        Path out = folder.resolve("dataset");
        Path index = out.resolve(DatasetManifest.INDEX);
        Storage.createFolder(index);
        int count = Math.toIntExact(Math.ceilDiv(samples, PER_SHARD));
        List<Shard> shards = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            String name = "%05d".formatted(n);
            String location = "pvc://out/" + name + ".tar";
            shards.add(new Shard(
                    n,
                    "made-up",
                    Form.Captions,
                    folder.resolve(name + ".tar"),
                    location,
                    Optional.empty(),
                    "",
                    "made-up-" + name + ".parquet",
                    Optional.empty()));
        }
        AtomicInteger next = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int t = 0; t < INDEXING_THREADS; t++) {
            Path spill = index.resolve(".spill-" + t);
            threads.add(Thread.ofPlatform().start(() -> {
                try (Duck duck = Duck.open(spill)) {
                    for (int n = next.getAndIncrement(); n < count; n = next.getAndIncrement()) {
                        long rows = Math.min(PER_SHARD, samples - (long) n * PER_SHARD);
                        index(shards.get(n), index, duck, (int) rows);
                    }
                } catch (RuntimeException | Error e) {
                    failures.add(e);
                }
            }));
        }
        join(threads);
        if (!failures.isEmpty()) {
            throw new IllegalStateException("indexing", failures.getFirst());
        }
        progress.done("index");
        var summary = new Planner(spec, locations, shards, Scoring.none(folder), "sha256:none", "sha256:none")
                .plan((done, total) -> {});
        progress.done("plan");
        long checksum = 0;
        try (SampleTable table = SampleTable.open(out, locations)) {
            progress.done("open");
            RowOrder order = new RowOrder(List.of(table), new int[] {1}, 7, 256, false, false);
            for (long step = 0; step < table.rows() / 256; step++) {
                for (RowOrder.Row row : order.rows(step, 0, 256)) {
                    for (int sample : table.row(row.row())) {
                        checksum = Mix.of(checksum, sample);
                    }
                }
            }
        }
        progress.done("order");
        return new Packed(summary.samples(), summary.rows(), summary.fill(), checksum);
    }

    private static void join(List<Thread> threads) {
        for (Thread thread : threads) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("interrupted", e);
            }
        }
    }

    private static void index(Shard shard, Path folder, Duck duck, int rows) {
        SplittableRandom random = new SplittableRandom(shard.number());
        double mu = Math.log(29) - 0.8 * 0.8 / 2;
        byte[] bits = new byte[16];
        try (IndexFile.Writer writer = new IndexFile.Writer(duck)) {
            for (int i = 0; i < rows; i++) {
                int text = 3 + Math.max(1, (int) Math.round(Math.exp(mu + 0.8 * random.nextGaussian())));
                random.nextBytes(bits);
                String uid = HexFormat.of().formatHex(bits);
                random.nextBytes(bits);
                writer.add(new IndexRow(
                        uid,
                        shard.number() + "-" + i,
                        20_480L * i + 512,
                        18_000,
                        "jpeg",
                        512,
                        384,
                        20_480L * i + 19_000,
                        4 * text,
                        20_480L * i + 19_800,
                        300,
                        text,
                        1,
                        144 + text,
                        18_000 + 4L * text,
                        HexFormat.of().formatHex(bits),
                        0,
                        "",
                        "",
                        0,
                        0));
            }
            writer.publish(
                    folder.resolve(shard.indexName()),
                    new IndexFile.Origin("sha256:none", shard.location(), 20_480L * rows, 0));
        }
    }
}
