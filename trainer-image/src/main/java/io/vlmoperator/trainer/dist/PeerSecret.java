package io.vlmoperator.trainer.dist;

import io.vlmoperator.trainer.TrainerException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * What the workers of one attempt know and nobody else: who can't show that it knows it is no peer. Only codes derived from it travel
 * (HMAC-SHA256 over both sides' random numbers), never itself.
 */
public final class PeerSecret {
    /** Bytes of a secret, of a random number and of a code. */
    static final int BYTES = 32;

    private static final String ALGORITHM = "HmacSHA256";

    private final byte[] key;

    private PeerSecret(byte[] key) {
        this.key = key;
    }

    /** A new one. */
    public static PeerSecret random() {
        return new PeerSecret(nonce());
    }

    /**
     * One that {@link #text} has written.
     *
     * @param name of the variable that it comes from, for the message
     */
    public static PeerSecret parse(String text, String name) {
        if (!text.matches("[0-9a-f]{64}")) {
            throw TrainerException.configuration(
                    name + " has to be 64 hexadecimal digits, the same for all workers of the" + " attempt; it has "
                            + text.length() + " characters");
        }
        return new PeerSecret(HexFormat.of().parseHex(text));
    }

    /** 64 hexadecimal digits, to be handed to the other workers. */
    public String text() {
        return HexFormat.of().formatHex(key);
    }

    static byte[] nonce() {
        byte[] bytes = new byte[BYTES];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }

    /**
     * The code that shows knowledge of the secret.
     *
     * @param role of who shows it, so that nobody can send a code back where it came from
     * @param greeting what the connecting side said of itself
     */
    byte[] code(String role, byte[] greeting, byte[] connecting, byte[] accepting) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(new SecretKeySpec(key, ALGORITHM));
            // Fixed lengths but for the last piece: no two lists of pieces give the same bytes.
            mac.update(role.getBytes(StandardCharsets.US_ASCII));
            mac.update((byte) 0);
            mac.update(connecting);
            mac.update(accepting);
            mac.update(greeting);
            return mac.doFinal();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e); // every Java has it
        }
    }

    @Override
    public String toString() {
        return "PeerSecret";
    }
}
