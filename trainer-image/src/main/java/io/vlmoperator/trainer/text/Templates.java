package io.vlmoperator.trainer.text;

import io.vlmoperator.trainer.text.Conversation.Role;
import io.vlmoperator.trainer.text.Conversation.Turn;
import java.util.List;
import java.util.Optional;

/**
 * The layouts of training text and their targets. An image is one {@link EncodedText#IMAGE}; the places of tokens around it do not
 * depend on how many visual tokens it becomes.
 */
public final class Templates {
    /** What the literal {@code <image>} in a caption or an answer is renamed to: data can't add images. */
    public static final String IMAGE_LITERAL = "<image-placeholder>";

    private Templates() {}

    /** What a literal such as {@code <|im_end|>} in a caption, a question or an answer becomes. */
    public enum Literals {
        /** Text like any other: data can't write control tokens. All training does this but the paper's layouts. */
        Text,
        /** The control token, as in the paper's code and in chat templates of other libraries. */
        Tokens
    }

    /** Where the targets of an answer end. */
    public enum AnswerEnd {
        /** With {@code <|im_end|>}. */
        EndToken,
        /** With the newline behind it. */
        Newline
    }

    /** A pre-training sample as it is trained on: {@link #caption(Tokenizer, String, Literals)} with {@link Literals#Text}. */
    public static EncodedText caption(Tokenizer tokenizer, String caption) {
        return caption(tokenizer, caption, Literals.Text);
    }

    /**
     * A pre-training sample: {@code <s>}, image, newline, caption, {@code <|im_end|>}. Every text token is a target (paper, section
     * 2.2).
     */
    public static EncodedText caption(Tokenizer tokenizer, String caption, Literals literals) {
        return new EncodedBuilder(tokenizer, literals)
                .control(tokenizer.id(Tokenizer.BEGIN), true)
                .image()
                .target("\n" + caption.replace(Tokenizer.IMAGE, IMAGE_LITERAL))
                .control(tokenizer.id(Tokenizer.MESSAGE_END), true)
                .build();
    }

    /**
     * A document of images and texts: {@code <s>}, each image with a newline behind it as in a caption, each text with
     * {@code <|endofchunk|>} behind it, {@code <|im_end|>}. Every text token is a target.
     *
     * @param pieces texts in order; an empty one stands for an image
     */
    public static EncodedText interleaved(Tokenizer tokenizer, List<Optional<String>> pieces) {
        EncodedBuilder out = new EncodedBuilder(tokenizer, Literals.Text).control(tokenizer.id(Tokenizer.BEGIN), true);
        for (Optional<String> piece : pieces) {
            if (piece.isPresent()) {
                out.target(piece.get().replace(Tokenizer.IMAGE, IMAGE_LITERAL))
                        .control(tokenizer.id(Tokenizer.END_OF_CHUNK), true);
            } else {
                out.image().target("\n");
            }
        }
        return out.control(tokenizer.id(Tokenizer.MESSAGE_END), true).build();
    }

    /** A conversation in Qwen2.5's ChatML. Targets are the answers and their {@code <|im_end|>}. */
    public static EncodedText chatML(Tokenizer tokenizer, Conversation conversation) {
        return chatML(tokenizer, conversation, false, Literals.Text, AnswerEnd.EndToken);
    }

    /** As {@link #chatML(Tokenizer, Conversation)}, with other rules for literals and for the end of an answer. */
    public static EncodedText chatML(
            Tokenizer tokenizer, Conversation conversation, Literals literals, AnswerEnd answerEnd) {
        return chatML(tokenizer, conversation, false, literals, answerEnd);
    }

    /** As {@link #chatML}, with the open header of an answer at the end: what a model continues. */
    public static EncodedText chatMLPrompt(Tokenizer tokenizer, Conversation conversation) {
        return chatMLPrompt(tokenizer, conversation, Literals.Text, AnswerEnd.EndToken);
    }

    /** As {@link #chatMLPrompt(Tokenizer, Conversation)}, with other rules for literals and for the end of an answer. */
    public static EncodedText chatMLPrompt(
            Tokenizer tokenizer, Conversation conversation, Literals literals, AnswerEnd answerEnd) {
        return chatML(tokenizer, conversation, true, literals, answerEnd);
    }

    private static EncodedText chatML(
            Tokenizer tokenizer, Conversation conversation, boolean open, Literals literals, AnswerEnd answerEnd) {
        int start = tokenizer.id(Tokenizer.MESSAGE_START);
        int end = tokenizer.id(Tokenizer.MESSAGE_END);
        EncodedBuilder out = new EncodedBuilder(tokenizer, literals);
        out.control(start, false).text("system\n" + conversation.system()).control(end, false);
        boolean newlineIsTarget = false;
        for (Turn turn : conversation.turns()) {
            newline(out, newlineIsTarget).control(start, false);
            if (turn.role() == Role.Assistant) {
                out.text("assistant\n")
                        .target(turn.text().replace(Tokenizer.IMAGE, IMAGE_LITERAL))
                        .control(end, true);
                newlineIsTarget = answerEnd == AnswerEnd.Newline;
            } else {
                newlineIsTarget = false;
                out.text("user\n");
                pieces(turn.text(), out);
                out.control(end, false);
            }
        }
        newline(out, newlineIsTarget);
        if (open) {
            out.control(start, false).text("assistant\n");
        }
        return out.build();
    }

    private static EncodedBuilder newline(EncodedBuilder out, boolean target) {
        return target ? out.target("\n") : out.text("\n");
    }

    private static void pieces(String text, EncodedBuilder out) {
        int at = 0;
        for (int next = text.indexOf(Tokenizer.IMAGE); next >= 0; next = text.indexOf(Tokenizer.IMAGE, at)) {
            out.text(text.substring(at, next)).image();
            at = next + Tokenizer.IMAGE.length();
        }
        out.text(text.substring(at));
    }

    /** The two layouts of the released code, both with the malformed header of answers. */
    public enum Paper {
        /** After 16 May 2025: {@code <s>} first; the first token after each image of the first turn is lost. */
        Late,
        /** Before: a single image of the first turn stands in front of everything. */
        Early
    }

    /**
     * A conversation as the paper's code laid it out: literals of control tokens in the data become control tokens, the newline after an
     * answer is a target, the system message is fixed, and only the first turn may hold images.
     */
    public static EncodedText paper(Tokenizer tokenizer, List<Turn> turns, Paper layout) {
        EncodedBuilder out = new EncodedBuilder(tokenizer, Literals.Tokens);
        for (int i = 0; i < turns.size(); i++) {
            String content = turns.get(i).text();
            if (i % 2 == 1) {
                String answer = (content.isEmpty() ? " " : content) + "<|im_end|>\n";
                out.ids(tokenizer.encodeMarkup(answer), 0, true);
            } else if (i == 0) {
                firstTurn(tokenizer, content, layout, out);
            } else {
                out.ids(tokenizer.encodeMarkup(user(content)), 0, false);
            }
        }
        return out.build();
    }

    private static String user(String content) {
        return "<|im_start|>user\n" + content + "<|im_end|>assistant\n";
    }

    private static void firstTurn(Tokenizer tokenizer, String content, Paper layout, EncodedBuilder out) {
        String text = "<s><|im_start|>system\n" + Conversation.DEFAULT_SYSTEM + "<|im_end|>\n" + user(content);
        if (layout == Paper.Early && text.split(Tokenizer.IMAGE, -1).length == 2) {
            text = strip(Tokenizer.IMAGE + "\n" + strip(text.replace(Tokenizer.IMAGE, "")));
        }
        String[] pieces = text.split(Tokenizer.IMAGE, -1);
        int[] first = tokenizer.encodeMarkup(pieces[0]);
        out.ids(first, 0, false);
        // The helper took every piece for one that begins with <s>, because the first does.
        int lost = first.length > 0 && first[0] == tokenizer.id(Tokenizer.BEGIN) ? 1 : 0;
        for (int i = 1; i < pieces.length; i++) {
            out.image().ids(tokenizer.encodeMarkup(pieces[i]), lost, false);
        }
    }

    /** Python's strip: also no-break spaces. */
    private static String strip(String text) {
        int from = 0;
        int to = text.length();
        while (from < to && isSpace(text.charAt(from))) {
            from++;
        }
        while (to > from && isSpace(text.charAt(to - 1))) {
            to--;
        }
        return text.substring(from, to);
    }

    private static boolean isSpace(char c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
    }
}
