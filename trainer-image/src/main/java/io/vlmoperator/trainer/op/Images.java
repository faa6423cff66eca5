package io.vlmoperator.trainer.op;

import static io.vlmoperator.trainer.op.Recorder.Cost.CHEAP;

import java.util.List;

/** Operators of the image encoder and the projector: patches, their positions, pooling. See {@link Ops#images}. */
public final class Images {
    private final Ops ops;

    Images(Ops ops) {
        this.ops = ops;
    }

    /** {@code [N, 3, H, W]} to rows of patches {@code [N * P, 3 * size * size]}; what is left at the right and bottom is not read. */
    public Tensor patches(Tensor pixelsNCHW, int size) {
        return ops.tensor("patches", pixelsNCHW, size);
    }

    /** Adds {@code positionsPD} to each image's rows of {@code patchesRD}. */
    public Tensor addPositions(Tensor patchesRD, Tensor positionsPD) {
        return ops.differentiable(
                CHEAP,
                List.of(patchesRD, positionsPD),
                List.of(),
                (again, in) -> List.of(again.script("add_positions", in.get(0), in.get(1))),
                (to, gradient) -> {
                    for (Tensor sum : to.sum(positionsPD)) {
                        Ops.run("add_position_sums", sum, gradient);
                    }
                    to.add(patchesRD, gradient);
                });
    }

    /** Adaptive average pooling of each image's {@code side * side} rows to {@code target * target}. */
    public Tensor averagePool(Tensor patchesRD, int side, int target) {
        return ops.differentiable(
                CHEAP,
                List.of(patchesRD),
                List.of(),
                (again, in) -> List.of(again.script("average_pool", in.get(0), side, target)),
                (to, gradient) -> to.add(
                        patchesRD, to.ops().script(Ops.inOrder("average_pool_backward"), gradient, side, target)));
    }
}
