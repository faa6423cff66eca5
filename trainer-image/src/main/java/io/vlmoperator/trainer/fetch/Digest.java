package io.vlmoperator.trainer.fetch;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * What a file's content must come to.
 *
 * @param hex lower case
 */
record Digest(Kind kind, String hex) {
    /** How it is computed. */
    enum Kind {
        SHA256("SHA-256"),
        /** Git's name of a file's content: SHA-1 of {@code blob SIZE\0} and the content. */
        GIT_BLOB("SHA-1"),
        /** What object storage calls an ETag, of an object that was written in one piece. */
        MD5("MD5");

        private final String algorithm;

        Kind(String algorithm) {
            this.algorithm = algorithm;
        }
    }

    Digest {
        hex = hex.toLowerCase(Locale.ROOT);
    }

    /**
     * A computation, to be fed with the content.
     *
     * @param size of the content, which git counts in
     */
    MessageDigest begin(long size) {
        try {
            MessageDigest digest = MessageDigest.getInstance(kind.algorithm);
            if (kind == Kind.GIT_BLOB) {
                digest.update(("blob " + size + "\0").getBytes(StandardCharsets.UTF_8));
            }
            return digest;
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has " + kind.algorithm, e);
        }
    }

    boolean is(MessageDigest computed) {
        return hex.equals(HexFormat.of().formatHex(computed.digest()));
    }

    @Override
    public String toString() {
        return kind.name().toLowerCase(Locale.ROOT) + ":" + hex;
    }
}
