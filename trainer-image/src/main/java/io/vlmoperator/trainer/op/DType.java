package io.vlmoperator.trainer.op;

import java.util.Arrays;

/** Element types in use, with libtorch's code and the name safetensors gives them. */
public enum DType {
    UINT8(0, 1, "U8"),
    INT32(3, 4, "I32"),
    INT64(4, 8, "I64"),
    FLOAT32(6, 4, "F32"),
    FLOAT64(7, 8, "F64"),
    BOOL(11, 1, "BOOL"),
    BFLOAT16(15, 2, "BF16");

    private final int code;
    private final int bytes;
    private final String safetensorsName;

    DType(int code, int bytes, String safetensorsName) {
        this.code = code;
        this.bytes = bytes;
        this.safetensorsName = safetensorsName;
    }

    /** libtorch's {@code ScalarType}. */
    public int code() {
        return code;
    }

    /** Size of one element in bytes. */
    public int bytes() {
        return bytes;
    }

    /** The name in a safetensors header. */
    public String safetensorsName() {
        return safetensorsName;
    }

    static DType ofCode(int code) {
        return Arrays.stream(values())
                .filter(type -> type.code == code)
                .findFirst()
                .orElseThrow(() -> new TorchException(
                        "libtorch returned a tensor of element type " + code + ", which the trainer does not use"));
    }
}
