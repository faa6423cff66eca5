package io.vlmoperator.trainer.op;

import static io.vlmoperator.trainer.op.Recorder.Cost.CHEAP;

import java.util.List;

/** Attention of decoder and encoder, in the form that the device wants, and of a decoder that generates, over its cache. See {@link Ops#attention}. */
public final class Attention {
    private final Ops ops;

    Attention(Ops ops) {
        this.ops = ops;
    }

    /** Causal attention inside each segment; {@code queryKeyValueTE} holds heads + 2 * keyValueHeads heads. Returns {@code [T, heads * headDim]}. */
    public Tensor ofSegments(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        return ops.scope().device().isHost()
                ? inRectangles(queryKeyValueTE, segments, heads, keyValueHeads)
                : inRows(queryKeyValueTE, segments, heads, keyValueHeads);
    }

    /** Over padded groups, by the CPU's flash attention. */
    private Tensor inRectangles(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        Segments.Rectangles layout = segments.rectangles();
        return ops.differentiable(
                CHEAP,
                List.of(queryKeyValueTE),
                List.of(),
                (again, in) -> again.scripts(
                        "segment_attention",
                        in.get(0),
                        layout.cells(),
                        layout.cosines(),
                        layout.sines(),
                        layout.back(),
                        heads,
                        keyValueHeads),
                (to, gradient) -> to.add(
                        queryKeyValueTE,
                        to.ops()
                                .script(
                                        "segment_attention_backward",
                                        gradient,
                                        to.extras(),
                                        layout.cosines(),
                                        layout.sines(),
                                        layout.back(),
                                        heads,
                                        keyValueHeads)));
    }

    /** Over tokens as they lie: on a GPU in a narrow type by flash attention with cumulative lengths, else composed of products and softmax. */
    Tensor inRows(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        Segments.Rows layout = segments.rows();
        Tensor cosines = layout.table().cosines();
        Tensor sines = layout.table().sines();
        return ops.differentiable(
                CHEAP,
                List.of(queryKeyValueTE),
                List.of(),
                (again, in) -> again.scripts(
                        "row_attention",
                        in.get(0),
                        cosines,
                        sines,
                        layout.starts(),
                        layout.startsOnHost(),
                        segments.longest(),
                        heads,
                        keyValueHeads),
                (to, gradient) -> to.add(
                        queryKeyValueTE,
                        to.ops()
                                .script(
                                        "row_attention_backward",
                                        gradient,
                                        to.extras(),
                                        cosines,
                                        sines,
                                        layout.starts(),
                                        layout.startsOnHost(),
                                        segments.longest())));
    }

    /** Stores the keys and values of whole segments at positions 0, 1, ... of the cache; the segments must be one group in order. */
    public void fillCache(
            Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads, Tensor keys, Tensor values) {
        Segments.Rectangles layout = segments.rectangles();
        Ops.run(
                "fill_cache",
                queryKeyValueTE,
                layout.index().getFirst(),
                layout.cosines().getFirst(),
                layout.sines().getFirst(),
                heads,
                keyValueHeads,
                keys,
                values);
    }

    /** What {@link #ofStep} may see: in row s the positions 0 to {@code lengthS[s]} of {@code longest}. */
    public Tensor stepMask(Tensor lengthS, int longest) {
        return ops.tensor("step_mask", lengthS, longest);
    }

    /**
     * Attention of one new token per row over the cache, to which it is added at position {@code lengthS} of its row.
     *
     * @param rowS 0, 1, ...
     * @param seen of {@link #stepMask}
     */
    public Tensor ofStep(
            Tensor queryKeyValueSE,
            RotaryTable rotary,
            int heads,
            int keyValueHeads,
            Tensor keys,
            Tensor values,
            Tensor rowS,
            Tensor lengthS,
            Tensor seen) {
        return ops.tensor(
                "step_attention",
                queryKeyValueSE,
                rotary.cosines(),
                rotary.sines(),
                heads,
                keyValueHeads,
                keys,
                values,
                rowS,
                lengthS,
                seen);
    }

    /** Attention of every patch to all patches of its image. */
    public Tensor ofImages(Tensor queryKeyValueRE, int patches, int heads) {
        return ofImages(
                queryKeyValueRE,
                patches,
                heads,
                ops.scope().device().isHost() ? "image_attention" : "image_row_attention");
    }

    /** @param method {@code image_attention}, the CPU's flash attention, or {@code image_row_attention}, as {@link #inRows} */
    Tensor ofImages(Tensor queryKeyValueRE, int patches, int heads, String method) {
        return ops.differentiable(
                CHEAP,
                List.of(queryKeyValueRE),
                List.of(queryKeyValueRE),
                (again, in) -> again.scripts(method, in.get(0), patches, heads),
                (to, gradient) -> to.add(
                        queryKeyValueRE,
                        to.ops()
                                .script(
                                        method + "_backward",
                                        gradient,
                                        to.now(queryKeyValueRE),
                                        to.extras(),
                                        patches,
                                        heads)));
    }
}
