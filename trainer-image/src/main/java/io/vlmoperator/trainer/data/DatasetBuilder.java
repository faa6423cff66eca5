package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Makes a Dataset: an index per shard, then the plan and the summary. Every file appears whole under its name, so the work may be killed
 * anywhere and begun again; an index that fits is kept. Pod i of n takes shards i, i + n, ...; pod 0 waits for the others and finishes.
 */
public final class DatasetBuilder {
    private final DatasetSpec spec;
    private final Locations locations;
    private final Options options;
    private final FilterModel.Opener filters;

    /**
     * @param index of this pod
     * @param count pods in all
     * @param threads that check samples
     * @param patience how long pod 0 waits without any new index of the others
     */
    public record Options(int index, int count, int threads, Duration patience) {
        public Options {
            if (count < 1 || index < 0 || index >= count || threads < 1) {
                throw new IllegalArgumentException("pod " + index + " of " + count + ", " + threads + " threads");
            }
        }

        /** One pod that uses the whole machine. */
        public static Options alone() {
            return of(0, 1);
        }

        /** Pod {@code index} of {@code count}. */
        public static Options of(int index, int count) {
            return new Options(
                    index,
                    count,
                    Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 32),
                    Duration.ofMinutes(30));
        }
    }

    /** Hears how far the work is, in shards; called from the building thread. */
    public interface Progress {
        void shards(long done, long total);

        /** A line for people. */
        default void say(String line) {}
    }

    /** Makes a Dataset that selects nothing by score. */
    public DatasetBuilder(DatasetSpec spec, Locations locations, Options options) {
        this(spec, locations, options, FilterModel.Opener.NONE);
    }

    /**
     * Makes a Dataset.
     *
     * @param filters finds the models that {@code select} names
     */
    public DatasetBuilder(DatasetSpec spec, Locations locations, Options options, FilterModel.Opener filters) {
        this.filters = filters;
        this.spec = spec;
        this.locations = locations;
        this.options = options;
    }

    /**
     * Does this pod's part.
     *
     * @return the summary from pod 0, empty from the others
     * @throws TrainerException InvalidConfiguration, InvalidData (nothing left, or more rejects than allowed) or StorageFailed
     */
    public Optional<DatasetSummary> build(Progress progress) {
        requireSupported();
        Path out = locations.resolve(spec.output().location());
        List<Shard> shards = Shard.list(spec.sources(), locations, spec.output().location());
        Path indexFolder = out.resolve(DatasetManifest.INDEX);
        Storage.createFolder(indexFolder);
        try (Tokenizer tokenizer = Tokenizer.load(locations.resolve(spec.pack().tokenizer()));
                Scoring scoring = Scoring.of(spec.select(), locations, out, filters, options.threads)) {
            // Asked for once, so that a tokenizer without them is refused before the work.
            List.of(Tokenizer.BEGIN, Tokenizer.MESSAGE_START, Tokenizer.MESSAGE_END)
                    .forEach(tokenizer::id);
            String indexSpec = Digests.ofText(DatasetManifest.json(List.of(
                    IndexFile.FORMAT_VERSION,
                    spec.reject(),
                    spec.pack().contextLength(),
                    spec.pack().tokensPerImage(),
                    tokenizer.digest())));
            String specDigest = Digests.ofText(DatasetManifest.json(List.of(
                    spec.sources(),
                    spec.select(),
                    Selection.origins(spec.select(), locations, scoring),
                    spec.reject(),
                    spec.pack(),
                    tokenizer.digest())));
            Planner planner = new Planner(spec, locations, shards, scoring, tokenizer.digest(), specDigest);
            if (options.index == 0) {
                Optional<DatasetSummary> complete = planner.complete(indexSpec);
                if (complete.isPresent()) {
                    reshard(out);
                    progress.shards(shards.size(), shards.size());
                    return complete;
                }
                Storage.delete(out.resolve(DatasetManifest.FILE));
            }
            long done = index(shards, indexFolder, indexSpec, tokenizer, scoring, progress);
            if (options.index != 0) {
                return Optional.empty();
            }
            for (String file : List.of(DatasetManifest.REJECTS, DatasetManifest.PLAN, DatasetManifest.FILE)) {
                Storage.deleteTemporaries(out, file); // of an attempt that was killed
            }
            waitForOthers(shards, indexFolder, indexSpec, scoring, done, progress);
            DatasetSummary summary = planner.plan();
            reshard(out);
            return Optional.of(summary);
        } catch (IOException e) {
            throw TrainerException.storage("reading the Dataset's data: " + e, e);
        }
    }

    private void reshard(Path out) {
        if (spec.output().shards()) {
            new Resharder(out, locations).write();
        }
    }

    private void requireSupported() {
        Pack pack = spec.pack();
        if (pack == null || pack.tokenizer() == null) {
            throw TrainerException.configuration(
                    "the Dataset names no pack.tokenizer; lengths are counted in tokens, so name a tokenizer's folder");
        }
        if (spec.select().hasRules()
                && spec.sources().stream().anyMatch(s -> s.webDataset() == null && s.urlList() == null)) {
            throw TrainerException.configuration(
                    "select is for captions only; leave it out, or use webDataset or urlList");
        }
        if (spec.output() == null || spec.output().location() == null) {
            throw TrainerException.configuration("the Dataset names no output.location");
        }
        if (spec.output().shards()
                && spec.sources().stream().anyMatch(s -> s.webDataset() == null && s.urlList() == null)) {
            throw TrainerException.configuration(
                    "output.shards is for captions only; leave it out, or use webDataset or urlList");
        }
        if (pack.contextLength() <= pack.tokensPerImage()) {
            throw TrainerException.configuration("contextLength " + pack.contextLength() + " holds no image of "
                    + pack.tokensPerImage() + " tokens with text");
        }
    }

    private long index(
            List<Shard> shards, Path folder, String indexSpec, Tokenizer tokenizer, Scoring scoring, Progress progress)
            throws IOException {
        SampleRules rules = new SampleRules(spec.reject(), spec.pack(), tokenizer, new ImageDecoder());
        long done = 0;
        progress.say("images: " + ImageDecoder.libraries());
        try (CheckPool pool = new CheckPool(options.threads);
                Duck duck = Duck.open(folder.resolve(".spill-" + options.index))) {
            for (Shard shard : shards) {
                if (shard.number() % options.count != options.index) {
                    continue;
                }
                if (Thread.currentThread().isInterrupted()) {
                    throw new TrainerException(ExitCode.Terminated, "stopped before " + shard.location());
                }
                if (shard.download().isPresent()) {
                    shard.download().get().run(duck);
                }
                Path file = folder.resolve(shard.indexName());
                Storage.deleteTemporaries(folder, shard.indexName());
                IndexFile.Origin origin = IndexFile.Origin.of(indexSpec, shard);
                if (!IndexFile.isOf(duck, file, origin)) {
                    index(shard, file, origin, rules, pool, duck);
                }
                scoring.score(duck, shard.path(), shard.location(), file, progress::say);
                progress.shards(++done, shards.size());
            }
        }
        return done;
    }

    private void index(Shard shard, Path file, IndexFile.Origin origin, SampleRules rules, CheckPool pool, Duck duck) {
        ShardIndexer indexer = switch (shard.form()) {
            case Captions -> new CaptionIndexer(shard, rules);
            case Conversations -> new ConversationIndexer(shard, rules);
            case Interleaved -> new DocumentIndexer(shard, rules);
        };
        try (IndexFile.Writer writer = new IndexFile.Writer(duck);
                FileChannel channel = FileChannel.open(shard.path())) {
            CheckPool.Ordered sink = pool.into(writer, shard.location());
            indexer.walk(channel, sink);
            if (shard.download().isPresent()) {
                UrlDownload.failures(duck, shard.path()).forEach(sink::row);
            }
            sink.drain(0);
            if (!IndexFile.Origin.of(origin.spec(), shard).equals(origin)) {
                throw TrainerException.data(
                        shard.location() + " changed while it was read; let its writer finish first");
            }
            writer.publish(file, origin);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + shard.location() + ": " + e.getMessage(), e);
        }
    }

    private void waitForOthers(
            List<Shard> shards, Path folder, String indexSpec, Scoring scoring, long done, Progress progress)
            throws IOException {
        if (options.count == 1) {
            return;
        }
        long known = done;
        long news = 0;
        long since = System.nanoTime();
        try (Duck duck = Duck.open(folder.resolve(".spill-0"))) {
            boolean[] ready = new boolean[shards.size()];
            while (true) {
                int found = 0;
                String missing = "";
                for (Shard shard : shards) {
                    int n = shard.number();
                    ready[n] = ready[n]
                            || n % options.count == 0
                            || shard.isThere(duck)
                                    && IndexFile.isOf(
                                            duck,
                                            folder.resolve(shard.indexName()),
                                            IndexFile.Origin.of(indexSpec, shard))
                                    && scoring.isComplete(duck, folder.resolve(shard.indexName()));
                    if (ready[n]) {
                        found++;
                    } else if (missing.isEmpty()) {
                        missing = shard.indexName() + " (pod " + n % options.count + ")";
                    }
                }
                long scored = scoring.news();
                if (found > known || scored != news) {
                    news = scored;
                    since = System.nanoTime();
                }
                if (found > known) {
                    known = found;
                    progress.shards(found, shards.size());
                }
                if (found == shards.size()) {
                    return;
                }
                if (System.nanoTime() - since > options.patience.toNanos()) {
                    throw new TrainerException(
                            ExitCode.PeerLost,
                            "no new index from the other pods for " + options.patience.toSeconds() + " s; missing: "
                                    + missing + ", " + (shards.size() - found) + " in all");
                }
                Thread.sleep(Math.min(2_000, Math.max(20, options.patience.toMillis() / 20)));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while waiting for the other pods", e);
        }
    }
}
