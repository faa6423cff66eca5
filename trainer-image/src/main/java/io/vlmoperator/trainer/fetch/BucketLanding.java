package io.vlmoperator.trainer.fetch;

import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Pieces of a file in a folder of the bucket, so that they outlive the node: each is an object, whole or not there. The piece that is
 * being filled lies on the node; what is lost with it is less than one piece. At the end the store joins them itself, without sending
 * them once more.
 */
final class BucketLanding implements Landing {
    /** A store joins at most 10,000. */
    private static final int MAX_PIECES = 9_000;

    private final Path folder;
    private final String key;
    private final Path target;
    private final long each;
    private final FetchMeter meter;
    private final Path filling;
    private final List<Path> pieces = new ArrayList<>();
    private FileChannel out;

    private MessageDigest computed;
    private Optional<Digest> expected = Optional.empty();
    private long fed;

    /**
     * Finds what an earlier program has brought.
     *
     * @param folder for pieces
     * @param key of this file and no other
     * @param each bytes of a piece, at least 5 MiB (less is not joined)
     * @param size of the whole; with it pieces grow, so that there are not too many
     */
    BucketLanding(Path folder, String key, Path target, long each, OptionalLong size, FetchMeter meter)
            throws IOException {
        this.folder = folder;
        this.key = key;
        this.target = target;
        this.each = size.isPresent() ? Math.max(each, Math.ceilDiv(size.getAsLong(), MAX_PIECES)) : 4 * each;
        this.meter = meter;
        this.filling = folder.resolve("." + key);
        boolean several = size.isEmpty() || size.getAsLong() > this.each;
        for (Path next = piece(); several && isPiece(next); next = piece()) {
            pieces.add(next);
        }
    }

    private boolean isPiece(Path file) throws IOException {
        try {
            return Files.size(file) == each;
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    /** The one behind those that are there. */
    private Path piece() {
        return folder.resolve("%s-%05d".formatted(key, pieces.size()));
    }

    private long filled() throws IOException {
        try {
            return out != null ? out.size() : Files.size(filling);
        } catch (NoSuchFileException e) {
            return 0;
        }
    }

    @Override
    public long size() throws IOException {
        return each * pieces.size() + filled();
    }

    @Override
    public void begin(Optional<Digest> digest, OptionalLong size) throws IOException {
        if (out == null) {
            out = FileChannel.open(filling, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            out.position(out.size());
        }
        boolean countable = size.isPresent()
                || digest.map(d -> d.kind() != Digest.Kind.GIT_BLOB).orElse(true);
        if (digest.isPresent() && countable && !digest.equals(expected)) {
            feed(digest.get(), size.orElse(0));
        }
    }

    /** Begins the computation with what is there. */
    private void feed(Digest digest, long size) throws IOException {
        computed = digest.begin(size);
        for (Path piece : pieces) {
            Contents.read(piece, computed, meter);
        }
        if (filled() > 0) {
            Contents.read(filling, computed, meter);
        }
        expected = Optional.of(digest);
        fed = size();
    }

    @Override
    public void add(byte[] bytes, int count) throws IOException {
        for (int done = 0; done < count; ) {
            if (out.position() == each) { // only now, so that the last one is never empty
                end();
                store();
                begin(Optional.empty(), OptionalLong.empty());
            }
            int part = (int) Math.min(count - done, each - out.position());
            ByteBuffer buffer = ByteBuffer.wrap(bytes, done, part);
            while (buffer.hasRemaining()) {
                out.write(buffer);
            }
            done += part;
            if (computed != null) {
                computed.update(bytes, done - part, part);
                fed += part;
            }
        }
    }

    private void store() throws IOException {
        if (pieces.size() >= MAX_PIECES) {
            throw FetchException.data(
                    target + ": more than " + MAX_PIECES + " pieces of " + each + " bytes; fetch it to a claim first");
        }
        Path piece = piece();
        Files.move(filling, piece, StandardCopyOption.REPLACE_EXISTING);
        pieces.add(piece);
        meter.worked();
    }

    @Override
    public void end() throws IOException {
        if (out != null) {
            out.close();
            out = null;
        }
    }

    @Override
    public boolean is(OptionalLong size, Optional<Digest> digest) throws IOException {
        long has = size();
        if (size.isPresent() && size.getAsLong() != has) {
            return false;
        }
        if (digest.isEmpty()) {
            return true;
        }
        if (!digest.equals(expected) || fed != has) {
            feed(digest.get(), has);
        }
        MessageDigest all = computed;
        computed = null; // asked for its result it begins anew
        expected = Optional.empty();
        return digest.get().is(all);
    }

    @Override
    public void publish() throws IOException {
        if (pieces.isEmpty()) {
            Files.move(filling, target, StandardCopyOption.REPLACE_EXISTING);
            return;
        }
        if (filled() > 0) {
            store();
        }
        Buckets.join(pieces, target, meter::worked);
        discard();
    }

    @Override
    public void discard() throws IOException {
        end();
        Files.deleteIfExists(filling);
        for (Path piece : pieces) {
            Files.deleteIfExists(piece);
        }
        pieces.clear();
        computed = null;
        expected = Optional.empty();
        fed = 0;
    }
}
