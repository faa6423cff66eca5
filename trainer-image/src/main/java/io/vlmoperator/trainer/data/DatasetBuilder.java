package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.DatasetStage;
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
 * Makes a Dataset, or does one stage of that: downloads and an index per shard, scores, then the plan and the summary. Every file appears whole under its name, so the work may be killed
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
     * @param patience how long pod 0 waits without any news of the others
     * @param stage the only part that is done, on what the parts before it left; empty: all
     */
    public record Options(int index, int count, int threads, Duration patience, Optional<DatasetStage> stage) {
        public Options {
            if (count < 1 || index < 0 || index >= count || threads < 1) {
                throw new IllegalArgumentException("pod " + index + " of " + count + ", " + threads + " threads");
            }
        }

        /** All of the work. */
        public Options(int index, int count, int threads, Duration patience) {
            this(index, count, threads, patience, Optional.empty());
        }

        private boolean is(DatasetStage one) {
            return stage.filter(own -> own == one).isPresent();
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
        /** So many shards are through the stage; pod 0 counts those of the others, too. */
        void shards(long done, long total);

        /** A stage begins. */
        default void stage(DatasetStage stage) {}

        /** Something was done: a sample, a row of a list, a batch of questions. Must be quick. */
        default void alive() {}

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
     * @return the summary from pod 0 when all is done, empty otherwise
     * @throws TrainerException InvalidConfiguration, InvalidData (nothing left, or more rejects than allowed) or StorageFailed
     */
    public Optional<DatasetSummary> build(Progress progress) {
        requireSupported();
        Path out = locations.resolve(spec.output().location());
        List<Shard> shards = Shard.list(spec.sources(), locations, spec.output().location());
        Path indexFolder = out.resolve(DatasetManifest.INDEX);
        Storage.createFolder(indexFolder);
        try {
            if (options.is(DatasetStage.Fetch)) {
                progress.stage(DatasetStage.Fetch);
                download(shards, indexFolder, progress);
                return Optional.empty();
            }
            try (Tokenizer tokenizer =
                            Tokenizer.load(locations.resolve(spec.pack().tokenizer()));
                    Scoring scoring = options.is(DatasetStage.Index)
                            ? Scoring.none(out)
                            : Scoring.of(spec.select(), locations, out, filters, options.threads)) {
                return build(shards, tokenizer, scoring, progress);
            }
        } catch (IOException e) {
            throw TrainerException.storage("reading the Dataset's data: " + e, e);
        }
    }

    private Optional<DatasetSummary> build(List<Shard> shards, Tokenizer tokenizer, Scoring scoring, Progress progress)
            throws IOException {
        Path out = locations.resolve(spec.output().location());
        Path indexFolder = out.resolve(DatasetManifest.INDEX);
        // Asked for once, so that a tokenizer without them is refused before the work.
        List.of(Tokenizer.BEGIN, Tokenizer.MESSAGE_START, Tokenizer.MESSAGE_END).forEach(tokenizer::id);
        String indexSpec = Digests.ofText(DatasetManifest.json(List.of(
                IndexFile.FORMAT_VERSION,
                spec.reject(),
                spec.pack().contextLength(),
                spec.pack().tokensPerImage(),
                tokenizer.digest())));
        boolean plans = options.index == 0 && (options.stage.isEmpty() || options.is(DatasetStage.Pack));
        Optional<Planner> planner = plans ? Optional.of(planner(shards, tokenizer, scoring)) : Optional.empty();
        if (planner.isPresent()) {
            Optional<DatasetSummary> complete = planner.get().complete(indexSpec);
            if (complete.isPresent()) {
                progress.stage(DatasetStage.Pack);
                reshard(out, progress);
                progress.shards(shards.size(), shards.size());
                return complete;
            }
            Storage.delete(out.resolve(DatasetManifest.FILE));
        }
        progress.stage(options.is(DatasetStage.Score) ? DatasetStage.Score : DatasetStage.Index);
        ShardsReady ready = new ShardsReady(
                shards,
                (duck, shard) -> shard.isThere(duck)
                        && IndexFile.isOf(
                                duck, indexFolder.resolve(shard.indexName()), IndexFile.Origin.of(indexSpec, shard))
                        && scoring.isComplete(duck, indexFolder.resolve(shard.indexName())));
        index(shards, indexFolder, indexSpec, tokenizer, scoring, ready, progress);
        if (planner.isEmpty()) {
            if (options.index == 0) {
                waitForOthers(indexFolder, scoring, ready, progress);
            }
            return Optional.empty();
        }
        for (String file : List.of(DatasetManifest.REJECTS, DatasetManifest.PLAN, DatasetManifest.FILE)) {
            Storage.deleteTemporaries(out, file); // of an attempt that was killed
        }
        waitForOthers(indexFolder, scoring, ready, progress);
        progress.stage(DatasetStage.Pack);
        DatasetSummary summary = planner.get().plan(progress);
        reshard(out, progress);
        return Optional.of(summary);
    }

    private Planner planner(List<Shard> shards, Tokenizer tokenizer, Scoring scoring) throws IOException {
        String specDigest = Digests.ofText(DatasetManifest.json(List.of(
                spec.sources(),
                spec.select(),
                Selection.origins(spec.select(), locations, scoring),
                spec.reject(),
                spec.pack(),
                tokenizer.digest())));
        return new Planner(spec, locations, shards, scoring, tokenizer.digest(), specDigest);
    }

    private boolean isMine(Shard shard) {
        return shard.number() % options.count == options.index;
    }

    private void download(List<Shard> shards, Path folder, Progress progress) throws IOException {
        List<Shard> lists =
                shards.stream().filter(shard -> shard.download().isPresent()).toList();
        ShardsReady ready = new ShardsReady(lists, (duck, shard) -> shard.isThere(duck));
        try (Duck duck = Duck.open(folder.resolve(".spill-" + options.index))) {
            Look look = new Look(duck, ready, progress);
            for (Shard shard : lists) {
                if (isMine(shard)) {
                    requireGoingOn(shard);
                    shard.download().get().run(duck, progress::alive);
                    look.after(shard);
                }
            }
        }
        if (options.index == 0) {
            waitForOthers(folder, Scoring.none(folder), ready, progress);
        }
    }

    private static void requireGoingOn(Shard shard) {
        if (Thread.currentThread().isInterrupted()) {
            throw new TrainerException(ExitCode.Terminated, "stopped before " + shard.location());
        }
    }

    private void reshard(Path out, Progress progress) {
        if (spec.output().shards()) {
            new Resharder(out, locations).write(progress::alive);
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

    private void index(
            List<Shard> shards,
            Path folder,
            String indexSpec,
            Tokenizer tokenizer,
            Scoring scoring,
            ShardsReady ready,
            Progress progress)
            throws IOException {
        SampleRules rules = new SampleRules(spec.reject(), spec.pack(), tokenizer, new ImageDecoder());
        progress.say("images: " + ImageDecoder.libraries());
        try (CheckPool pool = new CheckPool(options.threads);
                Duck duck = Duck.open(folder.resolve(".spill-" + options.index))) {
            Look look = new Look(duck, ready, progress);
            for (Shard shard : shards) {
                if (!isMine(shard)) {
                    continue;
                }
                requireGoingOn(shard);
                if (shard.download().isPresent()) {
                    shard.download().get().run(duck, progress::alive);
                }
                Path file = folder.resolve(shard.indexName());
                Storage.deleteTemporaries(folder, shard.indexName());
                IndexFile.Origin origin = IndexFile.Origin.of(indexSpec, shard);
                if (!IndexFile.isOf(duck, file, origin)) {
                    // A plan of what was indexed before is none of what is indexed now.
                    Storage.delete(folder.resolveSibling(DatasetManifest.FILE));
                    index(shard, file, origin, rules, pool, duck, progress);
                }
                if (options.is(DatasetStage.Pack) && !scoring.isComplete(duck, file)) {
                    throw TrainerException.data(
                            shard.location()
                                    + " was changed, or its scores were deleted, after it was scored; let its writer finish, then make the Dataset again");
                }
                scoring.score(duck, shard.path(), shard.location(), file, progress);
                look.after(shard);
            }
        }
    }

    /** Tells how many shards are ready, as pod 0 sees it: its own at once, those of others every now and then. */
    private final class Look {
        private static final long EVERY_NANOS = 20_000_000_000L;

        private final Duck duck;
        private final ShardsReady ready;
        private final Progress progress;
        private long since = System.nanoTime();

        Look(Duck duck, ShardsReady ready, Progress progress) throws IOException {
            this.duck = duck;
            this.ready = ready;
            this.progress = progress;
            if (options.index == 0) {
                progress.shards(ready.look(duck), ready.total());
            }
        }

        void after(Shard shard) throws IOException {
            ready.done(shard);
            if (options.index == 0 && options.count > 1 && System.nanoTime() - since > EVERY_NANOS) {
                ready.look(duck);
                since = System.nanoTime();
            }
            progress.shards(ready.count(), ready.total());
        }
    }

    private void index(
            Shard shard,
            Path file,
            IndexFile.Origin origin,
            SampleRules rules,
            CheckPool pool,
            Duck duck,
            Progress progress) {
        ShardIndexer indexer = switch (shard.form()) {
            case Captions -> new CaptionIndexer(shard, rules);
            case Conversations -> new ConversationIndexer(shard, rules);
            case Interleaved -> new DocumentIndexer(shard, rules);
        };
        try (IndexFile.Writer writer = new IndexFile.Writer(duck);
                FileChannel channel = FileChannel.open(shard.path())) {
            CheckPool.Ordered sink = pool.into(writer, shard.location(), progress::alive);
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

    private void waitForOthers(Path folder, Scoring scoring, ShardsReady ready, Progress progress) throws IOException {
        if (options.count == 1) {
            return;
        }
        long known = ready.count();
        long news = 0;
        long since = System.nanoTime();
        try (Duck duck = Duck.open(folder.resolve(".spill-0"))) {
            while (true) {
                long found = ready.look(duck);
                long scored = scoring.news();
                if (found > known || scored != news) {
                    news = scored;
                    since = System.nanoTime();
                }
                if (found > known) {
                    known = found;
                    progress.shards(found, ready.total());
                }
                if (found == ready.total()) {
                    return;
                }
                if (System.nanoTime() - since > options.patience.toNanos()) {
                    throw new TrainerException(
                            ExitCode.PeerLost,
                            "nothing new from the other workers for " + options.patience.toSeconds() + " s; missing: "
                                    + ready.missing(options.count));
                }
                progress.alive(); // for so long as patience lasts
                Thread.sleep(Math.min(2_000, Math.max(20, options.patience.toMillis() / 20)));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while waiting for the other workers", e);
        }
    }
}
