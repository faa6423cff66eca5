package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.SFTJobSpec.Template;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Loads samples: tokens, and pictures at their model size. It keeps what it loaded until its memory is used up, and then keeps that: every
 * epoch asks for every sample once, so throwing out one for another would gain nothing.
 */
final class SampleCache {
    private final List<SampleTable> tables;
    private final SampleReader reader;
    private final int imageSize;
    private final long maxBytes;
    private final ImageLoader loader = new ImageLoader();
    private final ConcurrentHashMap<Long, Loaded> kept = new ConcurrentHashMap<>();
    /** Pictures by the digest of their file: conversations share them. */
    private final ConcurrentHashMap<String, Pixels> pictures = new ConcurrentHashMap<>();

    private final AtomicLong bytes = new AtomicLong();

    /**
     * A sample as the model sees it, before its pictures are normalised.
     *
     * @param shared whether the pictures are kept, so that keeping the sample costs only its text
     */
    record Loaded(EncodedText text, List<Pixels> images, boolean shared) {
        long textBytes() {
            return 300 + 8L * text.ids().length;
        }
    }

    SampleCache(List<SampleTable> tables, Tokenizer tokenizer, Template template, int imageSize, long maxBytes) {
        this.tables = tables;
        this.reader = new SampleReader(tokenizer, template);
        this.imageSize = imageSize;
        this.maxBytes = maxBytes;
    }

    Loaded get(int dataset, int sample) {
        long key = (long) dataset << 32 | sample;
        Loaded found = kept.get(key);
        if (found != null) {
            return found;
        }
        Loaded loaded = load(tables.get(dataset), sample);
        if (loaded.shared()) {
            keep(kept, key, loaded, loaded.textBytes());
        }
        return loaded;
    }

    private <K, V> boolean keep(ConcurrentHashMap<K, V> map, K key, V value, long size) {
        if (bytes.addAndGet(size) > maxBytes) {
            bytes.addAndGet(-size);
            return false;
        }
        if (map.putIfAbsent(key, value) != null) {
            bytes.addAndGet(-size); // another thread was faster
        }
        return true;
    }

    /** Adds the picture of a file to the list; says whether it is kept. */
    private boolean picture(byte[] file, List<Pixels> images) throws RejectedException {
        String key = Digests.short128(file);
        Pixels found = pictures.get(key);
        if (found != null) {
            images.add(found);
            return true;
        }
        Pixels picture = loader.pixels(file, imageSize);
        images.add(picture);
        return keep(pictures, key, picture, 200L + picture.rgbHWC().length);
    }

    private Loaded load(SampleTable table, int sample) {
        try {
            SampleReader.Raw raw = reader.read(table, sample);
            List<Pixels> images = new ArrayList<>(raw.images().size());
            boolean shared = true;
            for (byte[] image : raw.images()) {
                shared &= picture(image, images);
            }
            Loaded loaded = new Loaded(raw.text(), images, shared);
            long length = loaded.text().length(table.manifest().tokensPerImage());
            if (length > table.manifest().contextLength()) {
                throw TrainerException.data(
                        table.describe(sample) + " has " + length
                                + " tokens in this template, more than the context; lower maxCaptionTokens or raise contextLength");
            }
            return loaded;
        } catch (RejectedException e) {
            throw new TrainerException(
                    ExitCode.InvalidData,
                    table.describe(sample) + " could be read when it was indexed and now can't (" + e.reason() + ": "
                            + e.getMessage() + "); make the Dataset again",
                    e);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + table.describe(sample) + ": " + e.getMessage(), e);
        }
    }
}
