package io.vlmoperator.trainer.data;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** Images of conversations that were decoded and found right: conversations share them. The latest are kept, up to a bound on their bytes. */
final class CheckedImages {
    private static final int MAX_SIZES = 200_000;
    private static final long MAX_BYTES = 16L << 20;

    /** An image with less is kept. */
    private static final int MAX_KEPT = 1 << 20;

    private final SampleRules rules;
    private final Map<String, Image> kept = new LinkedHashMap<>(16, 0.75f, true);
    private long bytes;
    /** By the digest of the file. */
    private final ConcurrentHashMap<String, Size> sizes = new ConcurrentHashMap<>();

    private record Size(int width, int height) {}

    /** @param data the file, not to be changed */
    @SuppressWarnings("ArrayRecordComponent") // handed on at once
    record Image(byte[] data, int width, int height, String type) {}

    CheckedImages(SampleRules rules) {
        this.rules = rules;
    }

    /** The image that the reader reads, if it was not read a short while ago. */
    Image get(String name, Reader reader) throws java.io.IOException, RejectedException {
        Optional<Image> found = find(name);
        if (found.isPresent()) {
            return found.get();
        }
        byte[] data = reader.read();
        Size size = check(data);
        Image image = new Image(data, size.width(), size.height(), SampleRules.imageType(data));
        keep(name, image);
        return image;
    }

    /** Reads one image. */
    interface Reader {
        byte[] read() throws java.io.IOException, RejectedException;
    }

    private synchronized Optional<Image> find(String name) {
        return Optional.ofNullable(kept.get(name));
    }

    private synchronized void keep(String name, Image image) {
        if (image.data().length > MAX_KEPT || kept.putIfAbsent(name, image) != null) {
            return;
        }
        bytes += cost(name, image);
        var oldest = kept.entrySet().iterator();
        while (bytes > MAX_BYTES) {
            Map.Entry<String, Image> entry = oldest.next();
            bytes -= cost(entry.getKey(), entry.getValue());
            oldest.remove();
        }
    }

    private static long cost(String name, Image image) {
        return image.data().length + 2L * name.length() + 200;
    }

    private Size check(byte[] data) throws RejectedException {
        String key = Digests.short128(data);
        Size known = sizes.get(key);
        if (known != null) {
            return known;
        }
        SampleRules.Image decoded = rules.image(data);
        Size size = new Size(decoded.width(), decoded.height());
        if (sizes.size() < MAX_SIZES) {
            sizes.put(key, size);
        }
        return size;
    }
}
