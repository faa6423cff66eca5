package io.vlmoperator.trainer.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What the operators must compute, written out in plain Java (float64), with gradients by finite differences, and in bf16. Any other binding
 * of libtorch would have to pass this.
 */
class OperatorContractTest {
    private final Random random = new Random(5);
    private Scope scope;
    private Ops ops;

    @BeforeEach
    void open() {
        scope = Scope.open();
        ops = scope.ops();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private float[] normal(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private Tensor random(long... shape) {
        int count = 1;
        for (long size : shape) {
            count *= (int) size;
        }
        return scope.floats(normal(count), shape);
    }

    /** Checks the gradient of every input of {@code f} against central differences. */
    private void gradients(BiFunction<Ops, List<Tensor>, Tensor> f, Tensor... inputs) {
        List<Tensor> gradients = java.util.Arrays.stream(inputs)
                .map(input -> scope.zeros(DType.FLOAT32, input.shape()))
                .toList();
        List<Tensor> leaves = IntStream.range(0, inputs.length)
                .mapToObj(i -> ops.leaf(inputs[i], gradients.get(i)))
                .toList();
        Tape tape = new Tape(scope, Tape.Keep.ALL);
        Tensor output = tape.apply(true, inputs[0], (stage, ignored) -> f.apply(stage, leaves));
        Tensor upstream = random(output.shape());
        float[] weight = upstream.floats();
        tape.backward(upstream);
        for (int n = 0; n < inputs.length; n++) {
            float[] expected = new float[(int) inputs[n].count()];
            for (int i = 0; i < expected.length; i++) {
                expected[i] = (float)
                        ((weighted(f, inputs, weight, n, i, 1e-2f) - weighted(f, inputs, weight, n, i, -1e-2f)) / 2e-2);
            }
            assertClose(gradients.get(n).floats(), expected, 3e-3);
        }
    }

    private double weighted(
            BiFunction<Ops, List<Tensor>, Tensor> f,
            Tensor[] inputs,
            float[] weight,
            int input,
            int element,
            float step) {
        var data = inputs[input].data();
        float before = data.getAtIndex(java.lang.foreign.ValueLayout.JAVA_FLOAT, element);
        data.setAtIndex(java.lang.foreign.ValueLayout.JAVA_FLOAT, element, before + step);
        try (Scope local = scope.child()) {
            float[] output = local.ops()
                    .contiguous(f.apply(local.ops(), List.of(inputs)))
                    .floats();
            double sum = 0;
            for (int i = 0; i < output.length; i++) {
                sum += (double) output[i] * weight[i];
            }
            return sum;
        } finally {
            data.setAtIndex(java.lang.foreign.ValueLayout.JAVA_FLOAT, element, before);
        }
    }

    private static void assertClose(float[] actual, float[] expected, double relative) {
        assertThat(actual).hasSameSizeAs(expected);
        double largest = 1e-30;
        for (float value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < actual.length; i++) {
            assertThat((double) actual[i])
                    .as("element %d", i)
                    .isCloseTo(expected[i], org.assertj.core.data.Offset.offset(relative * largest));
        }
    }

    @Test
    void linearIsAProductWithTheTransposedWeightPlusBias() {
        Tensor x = random(3, 4);
        Tensor w = random(5, 4);
        Tensor b = random(5);
        float[] expected = new float[15];
        for (int t = 0; t < 3; t++) {
            for (int o = 0; o < 5; o++) {
                double sum = b.floats()[o];
                for (int i = 0; i < 4; i++) {
                    sum += (double) x.floats()[t * 4 + i] * w.floats()[o * 4 + i];
                }
                expected[t * 5 + o] = (float) sum;
            }
        }
        assertClose(ops.linear(x, w, b).floats(), expected, 1e-6);
        gradients((o, in) -> o.linear(in.get(0), in.get(1), in.get(2)), x, w, b);
        gradients((o, in) -> o.linear(in.get(0), in.get(1)), x, w);
    }

    @Test
    void gradientsOfATensorThatIsUsedTwiceAddUp() {
        gradients((o, in) -> o.add(in.get(0), in.get(1)), random(3, 4), random(3, 4));
        gradients((o, in) -> o.add(in.get(0), in.get(0)), random(3, 4));
        // One gradient goes to both sides of each sum; neither side may change the other's.
        gradients(
                (o, in) -> {
                    Tensor sum = o.add(in.get(0), o.linear(in.get(0), in.get(1)));
                    Tensor more = o.add(sum, o.gelu(sum));
                    return o.add(more, o.add(sum, more));
                },
                random(3, 4),
                random(4, 4));
    }

    @Test
    void anOperatorWithoutAGradientRefusesATensorThatNeedsOne() {
        Tensor leaf = ops.leaf(random(2), scope.zeros(DType.FLOAT32, 2));
        Tape tape = new Tape(scope, Tape.Keep.ALL);
        assertThatThrownBy(() -> tape.apply(true, leaf, (o, x) -> o.multiply(x, 2)))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("multiply has no gradient");
    }

    @Test
    void rmsNormDividesByTheRootMeanSquare() {
        Tensor x = random(3, 6);
        Tensor w = random(6);
        float[] expected = new float[18];
        for (int t = 0; t < 3; t++) {
            double squares = 0;
            for (int i = 0; i < 6; i++) {
                squares += Math.pow(x.floats()[t * 6 + i], 2);
            }
            for (int i = 0; i < 6; i++) {
                expected[t * 6 + i] = (float) (x.floats()[t * 6 + i] / Math.sqrt(squares / 6 + 1e-6) * w.floats()[i]);
            }
        }
        assertClose(ops.rmsNorm(x, w, 1e-6).floats(), expected, 1e-6);
        gradients((o, in) -> o.rmsNorm(in.get(0), in.get(1), 1e-6), x, w);
    }

    @Test
    void layerNormHasZeroMeanAndUnitVariance() {
        Tensor x = random(2, 16);
        Tensor one = scope.floats(ones(16));
        Tensor zero = scope.zeros(DType.FLOAT32, 16);
        float[] y = ops.layerNorm(x, one, zero, 1e-6).floats();
        for (int t = 0; t < 2; t++) {
            double sum = 0;
            double squares = 0;
            for (int i = 0; i < 16; i++) {
                sum += y[t * 16 + i];
                squares += y[t * 16 + i] * y[t * 16 + i];
            }
            assertThat(sum / 16).isCloseTo(0, org.assertj.core.data.Offset.offset(1e-5));
            assertThat(squares / 16).isCloseTo(1, org.assertj.core.data.Offset.offset(1e-4));
        }
        gradients((o, in) -> o.layerNorm(in.get(0), in.get(1), in.get(2), 1e-6), x, random(16), random(16));
    }

    private static float[] ones(int count) {
        float[] values = new float[count];
        java.util.Arrays.fill(values, 1);
        return values;
    }

    @Test
    void activations() {
        Tensor x = scope.floats(new float[] {-2, -0.5f, 0, 0.5f, 2, 3});
        // erf and tanh forms differ in the fourth digit.
        assertClose(
                ops.gelu(x).floats(),
                new float[] {-0.04550026f, -0.15426877f, 0, 0.34573123f, 1.95449974f, 2.99595031f},
                1e-6);
        assertClose(
                ops.geluTanh(x).floats(),
                new float[] {-0.04540231f, -0.15428599f, 0, 0.34571401f, 1.95459769f, 2.99636261f},
                1e-6);
        float[] gated = ops.swiGlu(x).floats();
        double[] gate = {-2, -0.5, 0};
        double[] up = {0.5, 2, 3};
        for (int i = 0; i < 3; i++) {
            assertThat((double) gated[i])
                    .isCloseTo(gate[i] / (1 + Math.exp(-gate[i])) * up[i], org.assertj.core.data.Offset.offset(1e-6));
        }
        gradients((o, in) -> o.swiGlu(in.get(0)), random(3, 8));
        gradients((o, in) -> o.gelu(in.get(0)), random(3, 8));
        gradients((o, in) -> o.geluTanh(in.get(0)), random(3, 8));
    }

    @Test
    void rowsAreGatheredAndTheirGradientsAdded() {
        Tensor table = random(4, 3);
        Tensor index = scope.indices(new int[] {2, 0, 2, 3});
        float[] rows = ops.rows(table, index).floats();
        assertThat(rows[0]).isEqualTo(table.floats()[6]);
        assertThat(rows[8]).isEqualTo(table.floats()[8]);
        gradients((o, in) -> o.rows(in.get(0), index), table);
        Tensor second = random(2, 3);
        Tensor both = scope.indices(new int[] {5, 1, 4, 1});
        assertThat(ops.rowsOfTwo(table, second, both).floats()[0]).isEqualTo(second.floats()[3]);
        gradients((o, in) -> o.rowsOfTwo(in.get(0), in.get(1), both), table, second);
    }

    /** Attention over segments of several lengths, with grouped keys, against the formula for each pair of positions. */
    @Test
    void segmentAttentionIsCausalInsideItsSegment() {
        int heads = 4;
        int keyHeads = 2;
        int dim = 6;
        int[][] layouts = {{0, 7}, {0, 3, 6}, {0, 2, 30, 33, 34}};
        for (int[] starts : layouts) {
            int tokens = starts[starts.length - 1];
            int[] positions = IntStream.range(0, tokens).map(t -> t * 3 % 11).toArray();
            Tensor qkv = random(tokens, (long) (heads + 2 * keyHeads) * dim);
            Tensor frequencies = RotaryTable.frequencies(scope, dim, 100);
            Segments segments = Segments.of(scope, starts, positions, frequencies);
            float[] expected = attention(qkv.floats(), starts, positions, heads, keyHeads, dim, 100);
            assertClose(
                    ops.attention().ofSegments(qkv, segments, heads, keyHeads).floats(), expected, 3e-6);
            if (tokens < 10) {
                gradients((o, in) -> o.attention().ofSegments(in.get(0), segments, heads, keyHeads), qkv);
            }
        }
        // The mixed layout is checked through its gradient too, in a smaller form.
        int[] mixed = {0, 1, 14, 16};
        int[] positions = IntStream.range(0, 16).toArray();
        Segments segments = Segments.of(scope, mixed, positions, RotaryTable.frequencies(scope, 2, 100));
        gradients((o, in) -> o.attention().ofSegments(in.get(0), segments, 2, 1), random(16, 8));
    }

    private static float[] attention(
            float[] qkv, int[] starts, int[] positions, int heads, int keyHeads, int dim, double theta) {
        int width = (heads + 2 * keyHeads) * dim;
        int tokens = positions.length;
        float[] out = new float[tokens * heads * dim];
        for (int s = 0; s + 1 < starts.length; s++) {
            for (int t = starts[s]; t < starts[s + 1]; t++) {
                for (int h = 0; h < heads; h++) {
                    int keyHead = h / (heads / keyHeads);
                    double[] query = rotated(qkv, t * width + h * dim, dim, positions[t], theta);
                    double[] weight = new double[t - starts[s] + 1];
                    double total = 0;
                    for (int u = starts[s]; u <= t; u++) {
                        double[] key = rotated(qkv, u * width + (heads + keyHead) * dim, dim, positions[u], theta);
                        double dot = 0;
                        for (int i = 0; i < dim; i++) {
                            dot += query[i] * key[i];
                        }
                        weight[u - starts[s]] = Math.exp(dot / Math.sqrt(dim));
                        total += weight[u - starts[s]];
                    }
                    for (int i = 0; i < dim; i++) {
                        double sum = 0;
                        for (int u = starts[s]; u <= t; u++) {
                            sum += weight[u - starts[s]]
                                    / total
                                    * qkv[u * width + (heads + keyHeads + keyHead) * dim + i];
                        }
                        out[(t * heads + h) * dim + i] = (float) sum;
                    }
                }
            }
        }
        return out;
    }

    private static double[] rotated(float[] values, int from, int dim, int position, double theta) {
        double[] result = new double[dim];
        for (int i = 0; i < dim / 2; i++) {
            double angle = position * Math.pow(theta, -2.0 * i / dim);
            double a = values[from + i];
            double b = values[from + i + dim / 2];
            result[i] = a * Math.cos(angle) - b * Math.sin(angle);
            result[i + dim / 2] = b * Math.cos(angle) + a * Math.sin(angle);
        }
        return result;
    }

    @Test
    void imageOperators() {
        // 2 x 2 patches of side 2 out of 5 x 5 pixels: the last row and column are not read.
        float[] pixels = new float[75];
        for (int i = 0; i < 75; i++) {
            pixels[i] = i;
        }
        float[] patches = ops.contiguous(ops.images().patches(scope.floats(pixels, 1, 3, 5, 5), 2))
                .floats();
        assertThat(java.util.Arrays.copyOf(patches, 12)).containsExactly(0, 1, 5, 6, 25, 26, 30, 31, 50, 51, 55, 56);
        assertThat(patches[12]).isEqualTo(2); // second patch of the first row
        float[] pooled = ops.contiguous(ops.images()
                        .averagePool(scope.floats(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9}, 9, 1), 3, 2))
                .floats();
        assertThat(pooled).containsExactly(3, 4, 6, 7); // windows overlap in the middle
        gradients((o, in) -> o.images().averagePool(in.get(0), 3, 2), random(18, 2));
        gradients((o, in) -> o.attention().ofImages(in.get(0), 3, 2), random(6, 12));
        gradients((o, in) -> o.images().addPositions(in.get(0), in.get(1)), random(6, 2), random(3, 2));
    }

    @Test
    void headGivesLossAndBothGradientsInChunks() {
        Tensor x = random(7, 4);
        Tensor w = random(5, 4);
        int[] targets = {0, 4, 2, 2, 1, 3, 0};
        double sum = 0;
        float[] expectedX = new float[28];
        float[] expectedW = new float[20];
        float[] expectedLogP = new float[7];
        for (int t = 0; t < 7; t++) {
            double[] logits = new double[5];
            double total = 0;
            for (int v = 0; v < 5; v++) {
                for (int i = 0; i < 4; i++) {
                    logits[v] += (double) x.floats()[t * 4 + i] * w.floats()[v * 4 + i];
                }
                total += Math.exp(logits[v]);
            }
            expectedLogP[t] = (float) (logits[targets[t]] - Math.log(total));
            sum -= expectedLogP[t];
            for (int v = 0; v < 5; v++) {
                double g = 0.5 * (Math.exp(logits[v]) / total - (v == targets[t] ? 1 : 0));
                for (int i = 0; i < 4; i++) {
                    expectedX[t * 4 + i] += (float) (g * w.floats()[v * 4 + i]);
                    expectedW[v * 4 + i] += (float) (g * x.floats()[t * 4 + i]);
                }
            }
        }
        for (int chunk : new int[] {1, 3, 7, 100}) {
            Tensor weightGradient = scope.zeros(DType.FLOAT32, 5, 4);
            Head.Gradients head =
                    ops.head().gradients(x, ops.leaf(w, weightGradient), scope.indices(targets), 0.5, chunk);
            assertThat((double) head.lossSum().item()).isCloseTo(sum, org.assertj.core.data.Offset.offset(1e-5));
            assertClose(head.hiddenGradientTD().floats(), expectedX, 1e-5);
            assertClose(weightGradient.floats(), expectedW, 1e-5);
            assertClose(
                    ops.head()
                            .logProbabilities(x, w, scope.indices(targets), chunk)
                            .floats(),
                    expectedLogP,
                    1e-5);
            assertThat((double)
                            ops.head().loss(x, w, scope.indices(targets), chunk).item())
                    .isCloseTo(sum, org.assertj.core.data.Offset.offset(1e-5));
        }
    }

    @Test
    void adamWDecaysAndClipsAndSkipsWhatIsNotFinite() {
        Tensor values = scope.floats(new float[] {1, 2, 3, 4});
        Tensor gradients = scope.floats(new float[] {3, 0, 4, 0});
        FusedAdamW optimizer = new FusedAdamW(
                scope,
                new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.1),
                values,
                gradients,
                List.of(new FusedAdamW.Span(0, 2, true), new FusedAdamW.Span(2, 4, false)),
                0,
                4);
        optimizer.update(0.01, 1, ops.norm(gradients), 1.0); // norm 5: gradients become 0.6 and 0.8
        assertClose(values.floats(), new float[] {1 - 0.001f - 0.01f, 2 - 0.002f, 3 - 0.01f, 4}, 1e-6);
        assertClose(optimizer.firstMoment().floats(), new float[] {0.06f, 0, 0.08f, 0}, 1e-5);
        assertClose(optimizer.secondMoment().floats(), new float[] {0.00036f, 0, 0.00064f, 0}, 1e-5);
        float[] before = values.floats();
        gradients.data().setAtIndex(java.lang.foreign.ValueLayout.JAVA_FLOAT, 1, Float.NaN);
        optimizer.update(0.01, 2, ops.norm(gradients), 1.0);
        assertThat(values.floats()).containsExactly(before);
        assertThatThrownBy(() -> optimizer.update(0.01, 0, ops.norm(gradients), 1.0))
                .hasMessageContaining("count from 1");
    }

    @Test
    void normKeepsItsDigitsOverMillionsOfElements() {
        float[] values = new float[3_000_001];
        double squares = 0;
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
            squares += (double) values[i] * values[i];
        }
        assertThat((double) ops.norm(scope.floats(values)).item())
                .isCloseTo(Math.sqrt(squares), org.assertj.core.data.Offset.offset(1e-6 * Math.sqrt(squares)));
    }

    @Test
    void bf16RoundsAndItsCastsCarryGradients() {
        Tensor x = random(4, 8);
        Tensor w = random(6, 8);
        float[] exact = ops.linear(x, w).floats();
        Tensor narrow = ops.linear(ops.cast(x, DType.BFLOAT16), ops.cast(w, DType.BFLOAT16));
        assertThat(narrow.dtype()).isEqualTo(DType.BFLOAT16);
        assertClose(ops.cast(narrow, DType.FLOAT32).floats(), exact, 2e-2);
        assertThat(ops.cast(scope.floats(new float[] {1.00390625f}), DType.BFLOAT16)
                        .data()
                        .get(java.lang.foreign.ValueLayout.JAVA_SHORT, 0))
                .as("ties go to even")
                .isEqualTo((short) 0x3F80);
        Tensor gradient = scope.zeros(DType.FLOAT32, 4, 8);
        Tensor leaf = ops.leaf(x, gradient);
        Tape tape = new Tape(scope, Tape.Keep.ALL);
        Tensor y = tape.apply(true, x, (o, ignored) -> o.cast(o.cast(leaf, DType.BFLOAT16), DType.FLOAT32));
        assertThat(y.dtype()).isEqualTo(DType.FLOAT32);
        tape.backward(scope.floats(ones(32), 4, 8));
        assertThat(gradient.floats()).containsOnly(1f);
        // What DJL's own calls abort on: showing, zeroing, reading the memory of a bf16 tensor.
        assertThat(scope.zeros(DType.BFLOAT16, 2).toString()).isEqualTo("BFLOAT16[2]");
        assertThatThrownBy(narrow::floats).hasMessageContaining("BFLOAT16 was read as FLOAT32");
    }

    @Test
    void refusedArgumentsAreExceptionsThatNameTheOperator() {
        Tensor x = random(2, 3);
        Tensor w = random(2, 4);
        assertThatThrownBy(() -> ops.linear(x, w))
                .isInstanceOf(TorchException.class)
                .hasMessageContaining("linear")
                .hasMessageContaining("[2, 3]");
        assertThatThrownBy(() -> ops.rows(x, scope.indices(new int[] {7})))
                .isInstanceOf(TorchException.class)
                .hasMessageContaining("index");
    }
}
