package io.vlmoperator.trainer.op;

/**
 * Cosines and sines of rotary positions, {@code [.., 1, headDim / 2]} (the 1 stands for the heads).
 *
 * @param cosines cosine of each angle
 * @param sines sine of each angle
 */
public record RotaryTable(Tensor cosines, Tensor sines) {
    /** Inverse frequencies {@code theta^(-2i / headDim)}, formed in float32 as transformers does. */
    public static Tensor frequencies(Scope scope, int headDim, double theta) {
        // On the host whatever the device: a GPU's power function rounds otherwise.
        Script script = Torch.start().script();
        if (scope.device().isHost()) {
            return script.tensor(scope, "rotary_frequencies", headDim, theta);
        }
        try (Scope host = Scope.onHost()) {
            Tensor frequencies = script.tensor(host, "rotary_frequencies", headDim, theta);
            return script.tensor(scope, "to_device", frequencies, scope.device().toString());
        }
    }

    /** Table of the given positions, laid out as {@code [rows, columns, 1, headDim / 2]}. */
    public static RotaryTable of(Scope scope, int[] positions, int rows, int columns, Tensor frequencies) {
        try (Scope local = scope.child()) {
            Tensor index = local.indices(positions);
            Tensor angles = Torch.start().script().tensor(local, "rotary_angles", index, frequencies);
            angles = local.ops().view(angles, rows, columns, 1, frequencies.count());
            return new RotaryTable(
                    Torch.start().script().tensor(scope, "cosine", angles),
                    Torch.start().script().tensor(scope, "sine", angles));
        }
    }
}
