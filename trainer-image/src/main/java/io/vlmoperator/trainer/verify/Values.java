package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Tensor;
import java.util.Arrays;
import java.util.List;

/** Float values with a shape, outside any scope. */
@SuppressWarnings("ArrayRecordComponent")
record Values(List<Long> shape, float[] elements) {
    static Values of(Tensor tensor) {
        List<Long> shape = Arrays.stream(tensor.shape()).boxed().toList();
        Ops ops = tensor.scope().ops();
        return new Values(shape, ops.contiguous(tensor).floats());
    }

    Values reshaped(long... shape) {
        return new Values(Arrays.stream(shape).boxed().toList(), elements);
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
        return new Values(List.of((long) numbers.length, (long) width), picked);
    }

    /** These rows put at the given numbers of a larger matrix of zeros. */
    Values scattered(int[] numbers, long... shape) {
        float[] all = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        int width = width();
        for (int i = 0; i < numbers.length; i++) {
            System.arraycopy(elements, i * width, all, numbers[i] * width, width);
        }
        return new Values(Arrays.stream(shape).boxed().toList(), all);
    }
}
