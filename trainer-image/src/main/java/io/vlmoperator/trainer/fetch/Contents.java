package io.vlmoperator.trainer.fetch;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Optional;
import java.util.OptionalLong;

/** Compares files with what they must be. */
final class Contents {
    private static final int PIECE = 1 << 18;

    private Contents() {}

    /** Whether a file has this size and content, as far as they are known. */
    static boolean are(Path there, OptionalLong size, Optional<Digest> digest, FetchMeter meter) throws IOException {
        long has = Files.size(there);
        if (size.isPresent() && size.getAsLong() != has) {
            return false;
        }
        if (digest.isEmpty()) {
            return true;
        }
        MessageDigest computed = digest.get().begin(has);
        read(there, computed, meter);
        return digest.get().is(computed);
    }

    /** Feeds all of a file. */
    static void read(Path file, MessageDigest computed, FetchMeter meter) throws IOException {
        byte[] piece = new byte[PIECE];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(piece); n > 0; n = in.read(piece)) {
                computed.update(piece, 0, n);
                meter.worked();
            }
        }
    }
}
