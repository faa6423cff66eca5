package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Profile;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** {@code determinism: Exact}: the same formulas by operators that give the same bits on a GPU, too. */
class ExactTest {
    /**
     * Operators that add up, or write several times, in the order in which a GPU's threads come (PyTorch 2.7's documentation of
     * {@code torch.use_deterministic_algorithms}), as they would be called here, with or without {@code _} at the end.
     */
    private static final Set<String> UNORDERED = Set.of(
            "index_add",
            "index_copy",
            "index_reduce",
            "scatter",
            "scatter_add",
            "scatter_reduce",
            "put",
            "_adaptive_avg_pool2d_backward",
            "adaptive_max_pool2d_backward",
            "avg_pool3d_backward",
            "embedding_dense_backward",
            "embedding_bag",
            "_embedding_bag_backward",
            "max_pool2d_with_indices_backward",
            "grid_sampler_2d_backward",
            "upsample_bilinear2d_backward",
            "upsample_bicubic2d_backward",
            "reflection_pad2d_backward",
            "replication_pad2d_backward",
            "nll_loss2d_backward",
            "_ctc_loss_backward",
            "_scaled_dot_product_efficient_attention_backward",
            "_efficient_attention_backward",
            "bincount",
            "histc",
            "kthvalue",
            "median",
            "cumsum",
            "convolution_backward");

    /** What runs on the processor only, and what a GPU runs in its place. */
    private static final Map<String, String> ON_A_GPU = Map.of(
            "segment_attention", "row_attention",
            "segment_attention_backward", "row_attention_backward",
            "image_attention", "image_row_attention",
            "image_attention_backward", "image_row_attention_backward");

    /** 5 * 5 patches pooled to 2 * 2: windows that overlap. */
    private static final ModelConfig CONFIG = new ModelConfig(
            new LanguageConfig(32, 48, 2, 4, 2, 64, 1e4, 1e-6, true, 256),
            new VisionConfig(15, 3, 16, 24, 3, 2, 1e-6, -2, VisionConfig.Activation.Tanh),
            new ProjectorConfig(4));

    @AfterEach
    void back() {
        Torch.start().exact(false);
    }

    private record Outcome(float loss, float[] gradients, Set<String> operators) {}

    private static Outcome step(boolean exact, DType type) {
        Torch.start().exact(exact);
        assertThat(Torch.start().exact()).isEqualTo(exact);
        try (Scope scope = Scope.open();
                Profile profile = Profile.start()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, CONFIG, EnumSet.allOf(Part.class));
            model.initialize(EnumSet.allOf(Part.class), 1);
            model.computeIn(type);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.95, 1e-8, 0.1),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            // Tokens and images come several times, so that rows of gradients meet.
            Batch batch = TinyModels.batch(CONFIG, new int[] {90, 40, 30}, new int[] {2, 0, 1}, 7);
            try (Scope local = scope.child()) {
                Tensor loss = model.accumulate(batch, 1, Tape.Keep.PRODUCTS, local);
                float[] gradients = model.weights().gradients().floats();
                optimizer.update(1e-3, 1, local.ops().norm(model.weights().gradients()), 1);
                model.weights().updated();
                return new Outcome(loss.item(), gradients, profile.operators());
            }
        }
    }

    @Test
    void theFormulasAreTheSame() {
        for (DType type : List.of(DType.FLOAT32, DType.BFLOAT16)) {
            Outcome fast = step(false, type);
            Outcome exact = step(true, type);
            assertThat(exact.loss()).isEqualTo(fast.loss());
            double scale = 0;
            double difference = 0;
            for (int i = 0; i < fast.gradients().length; i++) {
                scale = Math.max(scale, Math.abs(fast.gradients()[i]));
                difference = Math.max(difference, Math.abs(exact.gradients()[i] - fast.gradients()[i]));
            }
            assertThat(difference / scale).as("in " + type).isLessThan(type == DType.FLOAT32 ? 1e-6 : 1e-2);
            assertThat(step(true, type).gradients()).as("once more").isEqualTo(exact.gradients());
        }
    }

    @Test
    void noOperatorOfAStepAddsInTheOrderOfThreads() throws IOException {
        Map<String, Set<String>> called = calls();
        assertThat(unordered(step(true, DType.BFLOAT16).operators(), called)).isEmpty();
        // The same look at a step without: it would have been seen.
        assertThat(unordered(step(false, DType.BFLOAT16).operators(), called))
                .containsExactlyInAnyOrder("index_add", "_adaptive_avg_pool2d_backward");
    }

    /** Names of {@link #UNORDERED} among all that these operators call, on a GPU. */
    private static Set<String> unordered(Set<String> operators, Map<String, Set<String>> called) {
        assertThat(operators).contains("head_gradients", "adamw", "segment_attention_backward", "layer_norm_backward");
        Set<String> seen = new TreeSet<>();
        Deque<String> open = new ArrayDeque<>();
        operators.forEach(name -> open.add(ON_A_GPU.getOrDefault(name, name)));
        Set<String> found = new TreeSet<>();
        while (!open.isEmpty()) {
            String name = open.remove();
            if (seen.add(name)) {
                String plain = name.replaceFirst("(?<=.)_$", "");
                if (name.startsWith("torch.")) {
                    String operator = plain.substring("torch.".length());
                    if (UNORDERED.contains(operator)) {
                        found.add(operator);
                    }
                } else {
                    assertThat(called).containsKey(name);
                    open.addAll(called.get(name));
                }
            }
        }
        return found;
    }

    /** Which operators of libtorch ({@code torch.NAME}) and of its own each one of the script calls. */
    private static Map<String, Set<String>> calls() throws IOException {
        Map<String, Set<String>> calls = new TreeMap<>();
        try (InputStream in = Torch.class.getResourceAsStream("operators.torchscript")) {
            String current = "";
            for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .toList()) {
                Matcher head = Pattern.compile("def (\\w+)\\(.*").matcher(line);
                if (head.matches()) {
                    current = head.group(1);
                    calls.put(current, new TreeSet<>());
                } else if (!line.strip().startsWith("#")) {
                    Matcher call = Pattern.compile("\\(self\\)\\.(\\w+)\\(|(torch\\.\\w+)\\(")
                            .matcher(line);
                    while (call.find()) {
                        calls.get(current).add(call.group(1) != null ? call.group(1) : call.group(2));
                    }
                }
            }
        }
        assertThat(calls).hasSizeGreaterThan(50);
        return calls;
    }
}
