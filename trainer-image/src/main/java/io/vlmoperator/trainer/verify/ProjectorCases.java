package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.model.AveragePoolProjector;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.HostMemory;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.EnumSet;

/** Cases of the projector alone: pooling, output, gradients of weights and input. */
final class ProjectorCases {
    private static final int MAX_SIDE = 256;

    private ProjectorCases() {}

    static void run(Case result, Findings findings) throws IOException {
        Safetensors.Entry patches = result.input("patches");
        int images = Math.toIntExact(patches.shape().getFirst());
        int side = result.facts().path("side").asInt();
        int target = result.facts().path("target").asInt();
        int tokens = target * target;
        int width = result.facts().path("width").asInt();
        int hidden = result.facts().path("hidden").asInt();
        windows(result.what("windows"), side, target, result.facts().path("windows"), findings);
        try (Scope scope = Scope.open()) {
            AveragePoolProjector.Standalone alone =
                    AveragePoolProjector.standalone(scope, new ProjectorConfig(tokens), side, width, hidden);
            AveragePoolProjector projector = alone.projector();
            for (Parameter parameter : alone.weights().trained()) {
                Safetensors.Entry value = result.input("param." + Models.projectorName(parameter.ownName()));
                try (HostMemory memory =
                        alone.weights().view(parameter.name(), scope).host(HostMemory.Access.WRITE)) {
                    memory.segment().copyFrom(value.data());
                }
            }
            Ops ops = scope.ops();
            Tensor input = scope.copy(patches.data(), DType.FLOAT32, (long) images * side * side, width);
            Tensor inputGradient = scope.zeros(DType.FLOAT32, input.shape());
            Tensor leaf = ops.leaf(input, inputGradient);
            result.put("pooled", Values.of(projector.pool(ops, input)).reshaped(images, tokens, width));
            Tape tape = new Tape(scope, Tape.Keep.ALL);
            Tensor output = tape.apply(true, input, (stage, ignored) -> projector.forward(stage, leaf));
            result.put("output", Values.of(ops.detach(output)).reshaped(images, tokens, hidden));
            Safetensors.Entry upstream = result.input("output_grad");
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

    /** The pooling windows of {@code windows.json}. */
    static void windows(Path file, Findings findings) throws IOException {
        for (var entry : new ObjectMapper().readTree(file.toFile()).properties()) {
            String[] sizes = entry.getKey().split("->", -1);
            windows(
                    "projector/windows/" + entry.getKey(),
                    Integer.parseInt(sizes[0]),
                    Integer.parseInt(sizes[1]),
                    entry.getValue(),
                    findings);
        }
    }

    /** The windows of one axis, read off the pool itself: which rows of the grid reach which row of tokens. */
    private static void windows(String what, int side, int target, JsonNode expected, Findings findings) {
        if (side > MAX_SIDE || target > MAX_SIDE || target < 1 || side < 1) {
            findings.failed(what, "a grid of " + side + " to " + target + " is not run");
            return;
        }
        int patches = side * side;
        float[] rows = new float[patches * side];
        for (int p = 0; p < patches; p++) {
            rows[p * side + p / side] = 1; // feature k of a patch is 1 in row k of the grid
        }
        try (Scope scope = Scope.open();
                Findings.Tally tally = findings.tally(what)) {
            AveragePoolProjector projector = AveragePoolProjector.standalone(
                            scope, new ProjectorConfig(target * target), side, side, 1)
                    .projector();
            Tensor pooled =
                    projector.pool(scope.ops(), scope.copy(MemorySegment.ofArray(rows), DType.FLOAT32, patches, side));
            float[] weights = Values.of(pooled).elements();
            for (int i = 0; i < target; i++) {
                int from = side;
                int to = 0;
                for (int k = 0; k < side; k++) {
                    if (weights[i * target * side + k] > 0) {
                        from = Math.min(from, k);
                        to = k + 1;
                    }
                }
                JsonNode window = expected.path(i);
                tally.equal(
                        "window " + i,
                        "[" + from + ", " + to + ")",
                        "[" + window.path(0).asInt(-1) + ", " + window.path(1).asInt(-1) + ")");
            }
            tally.equal("number of windows", target, expected.size());
        }
    }

    /** The weights of torch's default start. */
    static void defaultInit(Path file, Findings findings) throws IOException {
        for (JsonNode row : new ObjectMapper().readTree(file.toFile())) {
            JsonNode tensors = row.path("tensors");
            JsonNode shape = tensors.path("fc1.weight").path("shape");
            long seed = row.path("seed").asLong();
            int hidden = shape.path(0).asInt();
            int width = shape.path(1).asInt();
            String what = "projector/default_init/" + width + " to " + hidden + ", seed " + seed + "/";
            try (Scope scope = Scope.open()) {
                AveragePoolProjector.Standalone alone =
                        AveragePoolProjector.standalone(scope, new ProjectorConfig(1), 1, width, hidden);
                alone.initializeAsTorch(seed);
                for (Parameter parameter : alone.weights().trained()) {
                    String name = Models.projectorName(parameter.ownName());
                    byte[] bytes;
                    try (HostMemory memory =
                            alone.weights().view(parameter.name(), scope).host(HostMemory.Access.READ)) {
                        bytes = memory.segment().toArray(ValueLayout.JAVA_BYTE);
                    }
                    JsonNode golden = tensors.path(name);
                    try (Findings.Tally tally = findings.tally(what + name)) {
                        tally.equal(
                                "sha256",
                                Digests.sha256(bytes),
                                golden.path("sha256_float32_little_endian").asText());
                        float[] values = Digests.floats(bytes);
                        JsonNode first = golden.path("first");
                        for (int i = 0; i < first.size(); i++) {
                            tally.equal("element " + i, values[i], (float)
                                    first.get(i).asDouble());
                        }
                        JsonNode last = golden.path("last");
                        for (int i = 0; i < last.size(); i++) {
                            int at = values.length - last.size() + i;
                            tally.equal("element " + at, values[at], (float)
                                    last.get(i).asDouble());
                        }
                    }
                }
            }
        }
    }
}
