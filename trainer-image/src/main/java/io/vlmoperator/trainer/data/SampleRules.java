package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;

/** What makes a sample usable, by the Dataset's spec. */
record SampleRules(Reject reject, Pack pack, Tokenizer tokenizer, ImageDecoder decoder) {
    static final int MAX_IMAGE_BYTES = 64 << 20;
    static final int MAX_CAPTION_BYTES = 1 << 20;

    /**
     * A picture that can be decoded and has sides as meant.
     *
     * @param pixels only where {@link #imageHash} looks at them
     */
    record Image(int width, int height, Optional<Pixels> pixels) {}

    /** Reads the picture to its end and checks its sides. */
    Image image(byte[] data) throws RejectedException {
        Image image = read(data);
        int shorter = Math.min(image.width(), image.height());
        int longer = Math.max(image.width(), image.height());
        if (shorter < reject.minSide()) {
            throw new RejectedException(
                    RejectReason.ImageTooSmall,
                    image.width() + " x " + image.height() + ", but a side has at least " + reject.minSide()
                            + " pixels");
        }
        if (longer > reject.maxAspect() * shorter) {
            throw new RejectedException(
                    RejectReason.ImageAspect,
                    image.width() + " x " + image.height() + " is longer than " + reject.maxAspect() + " : 1");
        }
        return image;
    }

    private Image read(byte[] data) throws RejectedException {
        if (reject.duplicateImages() == Reject.DuplicateImages.Perceptual) {
            Pixels decoded = decoder.decode(data);
            return new Image(decoded.width(), decoded.height(), Optional.of(decoded));
        }
        ImageDecoder.Sides sides = decoder.check(data);
        return new Image(sides.width(), sides.height(), Optional.empty());
    }

    /** What two images share that are the same by the spec's rule; 0 when there is no rule. */
    long imageHash(byte[] data, Image image) {
        return switch (reject.duplicateImages()) {
            case Keep -> 0;
            case Exact -> Digests.hash64(data);
            case Perceptual -> PerceptualHash.of(image.pixels().orElseThrow());
        };
    }

    /** Looks at a caption's characters and words. */
    void text(String caption) throws RejectedException {
        double letters = reject.minLetterShare() > 0 ? CaptionText.letterShare(caption) : 1;
        if (letters < reject.minLetterShare()) {
            throw new RejectedException(
                    RejectReason.CaptionLetters,
                    String.format(
                            Locale.ROOT,
                            "%.2f of the characters are letters or digits, at least %s",
                            letters,
                            reject.minLetterShare()));
        }
        double repeated = reject.maxRepeatedWords() < 1 ? CaptionText.repeatedWords(caption) : 0;
        if (repeated > reject.maxRepeatedWords()) {
            throw new RejectedException(
                    RejectReason.CaptionRepetition,
                    String.format(
                            Locale.ROOT,
                            "%.2f of the words stood before, at most %s",
                            repeated,
                            reject.maxRepeatedWords()));
        }
    }

    void length(EncodedText text) throws RejectedException {
        long length = text.length(pack.tokensPerImage());
        if (length > pack.contextLength()) {
            throw new RejectedException(
                    RejectReason.SampleTooLong,
                    length + " tokens, visual ones included, do not fit a context of " + pack.contextLength());
        }
    }

    /** Strict UTF-8. */
    static String utf8(byte[] bytes) throws RejectedException {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new RejectedException(RejectReason.InvalidUtf8, "the text is no UTF-8");
        }
    }

    static String imageType(byte[] data) throws RejectedException {
        return ImageHeader.read(data).format().name().toLowerCase(Locale.ROOT);
    }

    static int count(String text, String literal) {
        int count = 0;
        for (int at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length())) {
            count++;
        }
        return count;
    }
}
