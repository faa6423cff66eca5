package io.vlmoperator.trainer.model;

import java.util.List;

/**
 * One tensor of weights.
 *
 * @param name full name in a LLaVA checkpoint; without the part's prefix it is the name in the part's own Hugging Face folder
 * @param part the part it belongs to
 * @param shape sizes, outermost first
 * @param decay whether weight decay applies: two or more dimensions and no bias
 */
public record Parameter(String name, Part part, List<Long> shape, boolean decay) {
    static Parameter of(Part part, String ownName, long... shape) {
        boolean decay = shape.length >= 2 && !ownName.endsWith("bias");
        return new Parameter(
                part.prefix() + ownName,
                part,
                java.util.Arrays.stream(shape).boxed().toList(),
                decay);
    }

    /** Number of elements. */
    public long count() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /** The shape as an array. */
    public long[] sizes() {
        return shape.stream().mapToLong(Long::longValue).toArray();
    }

    /** Name without the prefix of the part. */
    public String ownName() {
        return name.substring(part.prefix().length());
    }
}
