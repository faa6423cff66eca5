package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.data.RowAssembler;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.text.EncodedText;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A row of a case, made from its unexpanded ids as training makes its rows.
 *
 * @param prefix of the tensors' names
 * @param texts the samples
 * @param assembled without padding and without pixels
 * @param padded length of the golden's row: it carries padding at its end, ours none
 * @param config of the model
 */
record VlmRow(String prefix, List<EncodedText> texts, Batch assembled, int padded, ModelConfig config) {

    static VlmRow of(Case result, String prefix, boolean isolated, ModelConfig config) throws IOException {
        int tokens = config.projector().tokensPerImage();
        int[] ids = result.ints(prefix + "input_ids");
        List<EncodedText> texts = new ArrayList<>();
        int padded = (int) text(ids).length(tokens);
        if (result.has(prefix + "segments")) {
            // Segments number the samples' expanded tokens; -1 is padding.
            int[] segments = result.ints(prefix + "segments");
            padded = segments.length;
            int at = 0;
            int id = 0;
            while (at < segments.length && segments[at] >= 0) {
                int end = at;
                while (end < segments.length && segments[end] == segments[at]) {
                    end++;
                }
                int from = id;
                while (at < end && id < ids.length) {
                    at += ids[id++] == EncodedText.IMAGE ? tokens : 1;
                }
                texts.add(text(Arrays.copyOfRange(ids, from, id)));
            }
        } else {
            texts.add(text(ids));
        }
        int images = texts.stream().mapToInt(EncodedText::images).sum();
        int size = config.vision().imageSize();
        Batch assembled = RowAssembler.assemble(
                texts, new int[texts.size()], !isolated, tokens, new float[images * 3 * size * size], images, size);
        return new VlmRow(prefix, texts, assembled, padded, config);
    }

    /** A pre-training sample: every text token is a target. */
    private static EncodedText text(int[] ids) {
        return new EncodedText(
                ids,
                IntStream.of(ids)
                        .map(id -> id == EncodedText.IMAGE ? EncodedText.IGNORE : id)
                        .toArray());
    }

    /** Puts what the row consists of; the golden's padding continues the positions in the paper's mode, and is 0 otherwise. */
    void put(Case result, boolean isolated) {
        result.put(prefix + "labels", labels());
        result.put(prefix + "expanded_ids", pad(assembled.idsT(), 0));
        int[] positions = Arrays.copyOf(assembled.positionsT(), padded);
        for (int t = assembled.tokens(); t < padded && !isolated; t++) {
            positions[t] = t;
        }
        result.put(prefix + "positions", Values.integers(List.of((long) padded), positions));
    }

    Values labels() {
        return pad(assembled.labelsT(), Batch.IGNORE);
    }

    private Values pad(int[] values, int filler) {
        int[] all = Arrays.copyOf(values, padded);
        Arrays.fill(all, values.length, padded, filler);
        return Values.integers(List.of((long) padded), all);
    }

    /** What the model gets: our row with the golden's labels and pixels. */
    Batch batch(Case result, String labelsName) throws IOException {
        int[] labels = Arrays.copyOf(result.ints(labelsName), assembled.tokens());
        float[] pixels = assembled.imageCount() == 0
                ? new float[0]
                : result.input(prefix + "pixels").floats();
        return new Batch(
                assembled.idsT(),
                labels,
                assembled.positionsT(),
                assembled.segmentStarts(),
                pixels,
                assembled.imageCount(),
                assembled.imageSize());
    }

    /** Each sample as a row of its own. */
    List<Batch> samples(Case result) throws IOException {
        float[] pixels = assembled.imageCount() == 0
                ? new float[0]
                : result.input(prefix + "pixels").floats();
        int size = config.vision().imageSize();
        List<Batch> samples = new ArrayList<>();
        int image = 0;
        for (EncodedText text : texts) {
            int images = text.images();
            float[] own = Arrays.copyOfRange(pixels, image * 3 * size * size, (image + images) * 3 * size * size);
            samples.add(RowAssembler.assemble(
                    List.of(text), new int[1], false, config.projector().tokensPerImage(), own, images, size));
            image += images;
        }
        return samples;
    }
}
