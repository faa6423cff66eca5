package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.model.AveragePoolProjector;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import java.io.IOException;
import java.util.EnumSet;

/** Cases of the projector alone: pooling, output, gradients of weights and input. */
final class ProjectorCases {
    private ProjectorCases() {}

    static void run(Case result) throws IOException {
        Safetensors.Entry patches = result.golden().get("patches");
        int images = Math.toIntExact(patches.shape().getFirst());
        int side = result.facts().path("side").asInt();
        int target = result.facts().path("target").asInt();
        int tokens = target * target;
        int width = result.facts().path("width").asInt();
        int hidden = result.facts().path("hidden").asInt();
        try (Scope scope = Scope.open()) {
            AveragePoolProjector.Standalone alone =
                    AveragePoolProjector.standalone(scope, new ProjectorConfig(tokens), side, width, hidden);
            AveragePoolProjector projector = alone.projector();
            for (Parameter parameter : alone.weights().trained()) {
                Safetensors.Entry value = result.golden().get("param." + Models.projectorName(parameter.ownName()));
                alone.weights().view(parameter.name(), scope).data().copyFrom(value.data());
            }
            Ops ops = scope.ops();
            Tensor input = scope.copy(patches.data(), DType.FLOAT32, (long) images * side * side, width);
            Tensor inputGradient = scope.zeros(DType.FLOAT32, input.shape());
            Tensor leaf = ops.leaf(input, inputGradient);
            result.put("pooled", Values.of(projector.pool(ops, input)).reshaped(images, tokens, width));
            Tape tape = new Tape(scope, Tape.Keep.ALL);
            Tensor output = tape.apply(true, input, (stage, ignored) -> projector.forward(stage, leaf));
            result.put("output", Values.of(ops.detach(output)).reshaped(images, tokens, hidden));
            Safetensors.Entry upstream = result.golden().get("output_grad");
            tape.backward(scope.copy(upstream.data(), DType.FLOAT32, output.shape()));
            result.put("patches_grad", Values.of(inputGradient).reshaped(images, (long) side * side, width));
            Models.gradients(
                    alone.weights(),
                    EnumSet.of(Part.PROJECTOR),
                    name -> Models.projectorName(
                            name.substring(Part.PROJECTOR.prefix().length())),
                    result);
        }
    }
}
