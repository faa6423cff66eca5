package io.vlmoperator.trainer.text;

import java.util.Arrays;

/** Collects ids and labels. Adjacent text is encoded as one string, because a token may span the border of two pieces. */
final class EncodedBuilder {
    private final Tokenizer tokenizer;
    private final Templates.Literals literals;
    private final StringBuilder pending = new StringBuilder();
    /** Length of the pending text's part in front that is no target; all of it when negative. */
    private int targetFrom = -1;

    private int[] ids = new int[64];
    private int[] labels = new int[64];
    private int size;

    EncodedBuilder(Tokenizer tokenizer, Templates.Literals literals) {
        this.tokenizer = tokenizer;
        this.literals = literals;
    }

    EncodedBuilder text(String text) {
        if (targetFrom >= 0) {
            throw new IllegalStateException("text after a target must follow a control token");
        }
        pending.append(text);
        return this;
    }

    /** Text that is a target. What stands before it in the same stretch must be ASCII, so that its characters are its bytes. */
    EncodedBuilder target(String text) {
        if (targetFrom < 0) {
            targetFrom = pending.length();
        }
        pending.append(text);
        return this;
    }

    EncodedBuilder control(int id, boolean target) {
        flush();
        add(id, target ? id : EncodedText.IGNORE);
        return this;
    }

    EncodedBuilder image() {
        flush();
        add(EncodedText.IMAGE, EncodedText.IGNORE);
        return this;
    }

    /** Ready-made ids, all targets or none. */
    EncodedBuilder ids(int[] more, int from, boolean target) {
        flush();
        for (int i = from; i < more.length; i++) {
            add(more[i], target ? more[i] : EncodedText.IGNORE);
        }
        return this;
    }

    EncodedText build() {
        flush();
        return new EncodedText(Arrays.copyOf(ids, size), Arrays.copyOf(labels, size));
    }

    private void flush() {
        if (!pending.isEmpty()) {
            int bytes = 0;
            String text = pending.toString();
            int[] encoded = literals == Templates.Literals.Text ? tokenizer.encode(text) : tokenizer.encodeMarkup(text);
            for (int id : encoded) {
                // A token that begins before the target is none, even if it reaches into it.
                add(id, targetFrom >= 0 && bytes >= targetFrom ? id : EncodedText.IGNORE);
                bytes += tokenizer.byteLength(id);
            }
            pending.setLength(0);
        }
        targetFrom = -1;
    }

    private void add(int id, int label) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
            labels = Arrays.copyOf(labels, 2 * size);
        }
        ids[size] = id;
        labels[size++] = label;
    }
}
