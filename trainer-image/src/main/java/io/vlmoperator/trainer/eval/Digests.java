package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256, spelled {@code sha256:HEX}. */
final class Digests {
    private Digests() {}

    static String sha256(String text) {
        MessageDigest digest = algorithm();
        digest.update(text.getBytes(StandardCharsets.UTF_8));
        return spelled(digest);
    }

    static String sha256(Path file) {
        MessageDigest digest = algorithm();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(file)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + file + ": " + e.getMessage(), e);
        }
        return spelled(digest);
    }

    private static MessageDigest algorithm() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    private static String spelled(MessageDigest digest) {
        return "sha256:" + HexFormat.of().formatHex(digest.digest());
    }
}
