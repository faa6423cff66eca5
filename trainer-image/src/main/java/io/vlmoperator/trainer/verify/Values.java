package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/**
 * Values with a shape, outside any scope.
 *
 * @param shape sizes, outermost first
 * @param elements row-major; whole numbers up to 2^24 are exact
 * @param type what the golden stores them as: FLOAT32, INT64 or UINT8
 */
@SuppressWarnings("ArrayRecordComponent")
record Values(List<Long> shape, float[] elements, DType type) {
    Values(List<Long> shape, float[] elements) {
        this(shape, elements, DType.FLOAT32);
    }

    static Values of(Tensor tensor) {
        List<Long> shape = Arrays.stream(tensor.shape()).boxed().toList();
        Ops ops = tensor.scope().ops();
        return new Values(shape, ops.contiguous(tensor).floats());
    }

    /** Whole numbers of a given shape. */
    static Values integers(List<Long> shape, int... numbers) {
        float[] elements = new float[numbers.length];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = numbers[i];
        }
        return new Values(shape, elements, DType.INT64);
    }

    /** 8-bit RGB, [height, width, 3]. */
    static Values pixels(io.vlmoperator.trainer.data.Pixels image) {
        float[] elements = new float[image.rgbHWC().length];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = image.rgbHWC()[i] & 0xFF;
        }
        return new Values(List.of((long) image.height(), (long) image.width(), 3L), elements, DType.UINT8);
    }

    Values reshaped(long... shape) {
        return new Values(Arrays.stream(shape).boxed().toList(), elements, type);
    }

    /** Length of one row of the last dimension. */
    int width() {
        return Math.toIntExact(shape.getLast());
    }

    /** The rows with these numbers. */
    Values rows(int[] numbers) {
        int width = width();
        float[] picked = new float[numbers.length * width];
        for (int i = 0; i < numbers.length; i++) {
            System.arraycopy(elements, numbers[i] * width, picked, i * width, width);
        }
        return new Values(List.of((long) numbers.length, (long) width), picked, type);
    }

    /** These rows put at the given numbers of a larger matrix of zeros. */
    Values scattered(int[] numbers, long... shape) {
        float[] all = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        int width = width();
        for (int i = 0; i < numbers.length; i++) {
            System.arraycopy(elements, i * width, all, numbers[i] * width, width);
        }
        return new Values(Arrays.stream(shape).boxed().toList(), all, type);
    }

    /** The elements as they stand in a safetensors file. */
    byte[] bytes() {
        ByteBuffer out = ByteBuffer.allocate(elements.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (float element : elements) {
            switch (type) {
                case INT64 -> out.putLong((long) element);
                case UINT8 -> out.put((byte) (int) element);
                default -> out.putFloat(element);
            }
        }
        return out.array();
    }
}
