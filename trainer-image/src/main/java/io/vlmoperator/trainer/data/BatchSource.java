package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.Augment;
import io.vlmoperator.api.spec.Batch.Attention;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.RowOrder.Row;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The rows of a training job as micro-batches, in an order that does not depend on the number of workers: {@link #rows} gives any part of
 * any step. Images are decoded, resized, changed at random and normalised on several threads; decoded samples are kept in memory up to a
 * bound, because small data is read many times.
 */
public final class BatchSource implements AutoCloseable {
    /** Of one array. */
    private static final long MAX_PIXELS = Integer.MAX_VALUE - 8;

    private final List<SampleTable> tables;
    private final Map<String, String> digests;
    private final RowOrder order;
    private final SampleCache samples;
    private final Augmenter augmenter;
    private final TrainingSpec spec;
    private final int imageSize;
    private final ExecutorService threads;
    private final int threadCount;
    private final long tokens;
    private final long sampleCount;

    /**
     * @param threads that decode images; 1 decodes on the thread that asks
     * @param cacheBytes for decoded samples
     */
    public record Resources(int threads, long cacheBytes) {
        public Resources {
            if (threads < 1 || cacheBytes < 0) {
                throw new IllegalArgumentException(threads + " threads, " + cacheBytes + " bytes");
            }
        }
    }

    private BatchSource(
            List<SampleTable> tables,
            Map<String, String> digests,
            TrainingSpec spec,
            int[] weights,
            boolean grouped,
            SampleCache samples,
            int imageSize,
            int threadCount) {
        this.tables = tables;
        this.digests = Collections.unmodifiableMap(digests);
        this.spec = spec;
        this.samples = samples;
        this.imageSize = imageSize;
        this.threadCount = threadCount;
        order = new RowOrder(
                tables,
                weights,
                spec.seed(),
                spec.batch().globalSize(),
                grouped,
                Boolean.TRUE.equals(spec.batch().longestFirst()));
        augmenter = new Augmenter(spec.augment() == null ? Augment.NONE : spec.augment());
        threads = Executors.newFixedThreadPool(threadCount, task -> {
            Thread thread = new Thread(task, "image-decoder");
            thread.setDaemon(true);
            return thread;
        });
        long tokenSum = 0;
        long sampleSum = 0;
        for (int d = 0; d < tables.size(); d++) {
            tokenSum += weights[d] * tables.get(d).manifest().summary().tokens();
            sampleSum += weights[d] * tables.get(d).manifest().summary().samples();
        }
        tokens = tokenSum;
        sampleCount = sampleSum;
    }

    /**
     * Opens the Datasets of a job.
     *
     * @param imageSize side of the vision encoder's image
     * @param vocabularySize of the model
     * @throws TrainerException InvalidConfiguration when a Dataset does not fit the job (tokenizer, tokens per image, context, digest);
     *     InvalidData when its files are damaged; StorageFailed
     */
    public static BatchSource open(
            FrozenJob job,
            Locations locations,
            Tokenizer tokenizer,
            int imageSize,
            int vocabularySize,
            Resources resources) {
        TrainingSpec spec = job.pretrain() != null ? job.pretrain() : job.sft();
        if (spec == null || job.datasets().isEmpty()) {
            throw TrainerException.configuration("the job names no Dataset; write spec.data");
        }
        if (tokenizer.vocabularySize() > vocabularySize) {
            throw TrainerException.configuration(
                    "the tokenizer " + tokenizer.name() + " has " + tokenizer.vocabularySize()
                            + " entries, but the model's vocabulary ends at " + vocabularySize
                            + "; use the model's own tokenizer or a larger vocabSize");
        }
        List<SampleTable> tables = new ArrayList<>();
        Map<String, String> digests = new LinkedHashMap<>();
        int[] weights = new int[job.datasets().size()];
        try {
            for (FrozenJob.ResolvedDataset dataset : job.datasets()) {
                weights[tables.size()] = dataset.weight() == null ? 1 : dataset.weight();
                if (weights[tables.size()] < 1) {
                    throw TrainerException.configuration(
                            "Dataset " + dataset.name() + " has weight " + dataset.weight() + "; at least 1 is meant");
                }
                Path folder = locations.resolve(dataset.location());
                requireFits(dataset, DatasetManifest.read(folder), spec, tokenizer);
                SampleTable table = SampleTable.open(folder, locations);
                tables.add(table);
                digests.put(dataset.name(), table.manifest().summary().digest());
            }
        } catch (RuntimeException e) {
            tables.forEach(SampleTable::close);
            throw e;
        }
        SFTJobSpec.Template template =
                job.sft() == null ? SFTJobSpec.Template.ChatML : job.sft().template();
        boolean grouped = Boolean.TRUE.equals(spec.batch().groupByLength());
        SampleCache samples = new SampleCache(tables, tokenizer, template, imageSize, resources.cacheBytes());
        return new BatchSource(tables, digests, spec, weights, grouped, samples, imageSize, resources.threads());
    }

    private static void requireFits(
            FrozenJob.ResolvedDataset dataset, DatasetManifest manifest, TrainingSpec spec, Tokenizer tokenizer) {
        String name = "PlanMismatch: Dataset " + dataset.name();
        if (manifest.tokensPerImage() != spec.tokensPerImage()) {
            throw TrainerException.configuration(name + " was made for " + manifest.tokensPerImage()
                    + " tokens per image, the job asks for " + spec.tokensPerImage() + "; make the two equal");
        }
        if (manifest.contextLength() != spec.batch().contextLength()) {
            throw TrainerException.configuration(name + " was made for a context of " + manifest.contextLength()
                    + ", the job asks for " + spec.batch().contextLength() + "; make the two equal");
        }
        if (!manifest.summary().tokenizerDigest().equals(tokenizer.digest())) {
            throw TrainerException.configuration(name + " was made with another tokenizer ("
                    + manifest.summary().tokenizerDigest() + ") than the job's " + tokenizer.name() + " ("
                    + tokenizer.digest() + "); name the same one in both");
        }
        if (dataset.digest() != null
                && !dataset.digest().isEmpty()
                && !dataset.digest().equals(manifest.summary().digest())) {
            throw TrainerException.configuration("Dataset " + dataset.name() + " at " + dataset.location() + " is now "
                    + manifest.summary().digest() + ", but the job was started with " + dataset.digest()
                    + "; bring it back or create the job anew");
        }
    }

    /** Rows of one epoch, each Dataset's as often as its weight says. */
    public long rows() {
        return order.epochRows();
    }

    /** Tokens of one epoch, visual and text. */
    public long tokens() {
        return tokens;
    }

    /** Samples of one epoch. */
    public long samples() {
        return sampleCount;
    }

    /** Steps of so many epochs. The last one is filled up with rows of the next epoch. */
    public long steps(int epochs) {
        return Math.ceilDiv(Math.multiplyExact(rows(), epochs), spec.batch().globalSize());
    }

    /** The Datasets' digests by name, for checkpoints. */
    public Map<String, String> datasetDigests() {
        return digests;
    }

    /**
     * Rows [from, to) of a step as one micro-batch: rows end to end, one segment per sample, or per row with causal attention.
     *
     * @param step from 0 on
     * @param from first row, 0 to the global batch size
     * @param to behind the last row, more than {@code from}
     * @throws TrainerException InvalidData when a sample is no longer what was indexed; StorageFailed
     */
    public Batch rows(long step, int from, int to) {
        if (step < 0 || from < 0 || to <= from || to > spec.batch().globalSize()) {
            throw new IllegalArgumentException("rows " + from + " to " + to + " of step " + step + ", which has "
                    + spec.batch().globalSize());
        }
        List<Row> rows = order.rows(step, from, to);
        int images = 0;
        List<Place> places = new ArrayList<>();
        for (int r = 0; r < rows.size(); r++) {
            Row row = rows.get(r);
            for (int sample : tables.get(row.dataset()).row(row.row())) {
                places.add(new Place(row, r, sample, images));
                images += tables.get(row.dataset()).imageCounts[sample];
            }
        }
        long pixelCount = 3L * imageSize * imageSize * images;
        if (pixelCount > MAX_PIXELS) {
            throw TrainerException.configuration((to - from) + " rows of step " + (step + 1) + " have " + images
                    + " images, more than one micro-batch can hold; lower batch.microSize");
        }
        float[] pixels = new float[(int) pixelCount];
        int[] rowNumbers = places.stream().mapToInt(Place::rowInBatch).toArray();
        boolean causal = spec.batch().attention() == Attention.Causal;
        return RowAssembler.assemble(
                load(places, pixels), rowNumbers, causal, spec.tokensPerImage(), pixels, images, imageSize);
    }

    /** Ids of the samples of some rows, for tests of the order: dataset, sample, occurrence. */
    List<List<Long>> sampleIds(long step, int from, int to) {
        List<List<Long>> ids = new ArrayList<>();
        for (Row row : order.rows(step, from, to)) {
            for (int sample : tables.get(row.dataset()).row(row.row())) {
                ids.add(List.of((long) row.dataset(), (long) sample, row.occurrence()));
            }
        }
        return ids;
    }

    private record Place(Row row, int rowInBatch, int sample, int firstImage) {}

    private List<EncodedText> load(List<Place> places, float[] pixels) {
        List<EncodedText> texts = new ArrayList<>(places.size());
        if (threadCount == 1) {
            for (Place place : places) {
                texts.add(load(place, pixels));
            }
            return texts;
        }
        List<Future<EncodedText>> loading = new ArrayList<>(places.size());
        for (Place place : places) {
            loading.add(threads.submit(() -> load(place, pixels)));
        }
        try {
            for (Future<EncodedText> text : loading) {
                texts.add(text.get());
            }
            return texts;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while data was loaded", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof TrainerException known) {
                throw known;
            }
            if (e.getCause() instanceof Error error) {
                throw error; // out of memory is no fault of the program
            }
            throw new TrainerException(ExitCode.InternalError, "loading data: " + e.getCause(), e.getCause());
        } finally {
            loading.forEach(text -> text.cancel(false));
        }
    }

    private EncodedText load(Place place, float[] pixels) {
        int dataset = place.row().dataset();
        SampleCache.Loaded loaded = samples.get(dataset, place.sample());
        int size = 3 * imageSize * imageSize;
        for (int i = 0; i < loaded.images().size(); i++) {
            int at = (place.firstImage() + i) * size;
            if (augmenter.changes()) {
                long uid = tables.get(dataset).uids[place.sample()];
                long seed = Mix.of(spec.seed(), place.row().occurrence(), uid, i);
                augmenter.toCHW(loaded.images().get(i), seed, pixels, at);
            } else {
                Normalize.toCHW(loaded.images().get(i), pixels, at);
            }
        }
        return loaded.text();
    }

    @Override
    public void close() {
        threads.shutdown();
        tables.forEach(SampleTable::close);
    }
}
