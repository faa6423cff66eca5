package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.Json;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;

/** Bytes of results, as the reference digests them. */
final class Digests {
    private Digests() {}

    /** In hexadecimal. */
    static String sha256(byte[] bytes) {
        return HexFormat.of().formatHex(Json.sha256().digest(bytes));
    }

    /** Little-endian float32. */
    static byte[] bytes(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return bytes.array();
    }

    /** Little-endian float32. */
    static float[] floats(byte[] bytes) {
        float[] values = new float[bytes.length / 4];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
        return values;
    }
}
