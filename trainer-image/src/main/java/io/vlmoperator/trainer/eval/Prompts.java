package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.text.Conversation;
import io.vlmoperator.trainer.text.Conversation.Role;
import io.vlmoperator.trainer.text.Conversation.Turn;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import io.vlmoperator.trainer.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.IntStream;

/**
 * The wording of every protocol, in one place. {@link #digest} names it, so that two scores can be told apart by what was asked.
 */
final class Prompts {
    private static final String INSTRUCTION = "Please select the correct answer from the options above.";

    private Prompts() {}

    /**
     * Question, options and instruction as VLMEvalKit words them, in the chat template, with the answer's header open. Fine-tuning data
     * that teaches multiple choice has the same wording.
     */
    static EncodedText strict(Tokenizer tokenizer, Question question) {
        return Templates.chatMLPrompt(tokenizer, new Conversation(List.of(user(strictText(question)))));
    }

    /** The question alone, without its options, answered by one option's text; targets are that text and its end token. */
    static EncodedText answered(Tokenizer tokenizer, Question question, String option) {
        return Templates.chatML(
                tokenizer, new Conversation(List.of(user(plainText(question)), new Turn(Role.Assistant, option))));
    }

    /**
     * A free question in the chat template, with the answer's header open.
     *
     * @param prompt may hold as many {@code <image>} as there are images, or none: then they stand in front of it
     * @throws TrainerException InvalidConfiguration if it holds another number of them
     */
    static EncodedText chat(Tokenizer tokenizer, String prompt, int images) {
        int places = prompt.split(Tokenizer.IMAGE, -1).length - 1;
        if (places != 0 && places != images) {
            throw TrainerException.configuration("the prompt has " + places + " places " + Tokenizer.IMAGE
                    + ", but there are " + images + " images; write as many, or none");
        }
        String text = places > 0 ? prompt : (Tokenizer.IMAGE + "\n").repeat(images) + prompt;
        return Templates.chatMLPrompt(tokenizer, new Conversation(List.of(new Turn(Role.User, text))));
    }

    /** The beginning of a caption: {@code <s>}, image, newline. */
    static EncodedText openCaption(Tokenizer tokenizer) {
        return base(tokenizer, "\n");
    }

    /** The option's text as a caption of the image: for a model that has seen captions only. */
    static EncodedText caption(Tokenizer tokenizer, String option) {
        return Templates.caption(tokenizer, option);
    }

    /** The paper's harness: {@code <s>}, image, and a text that a base model completes; no hint, no chat template. */
    static EncodedText paper(Tokenizer tokenizer, Question question) {
        return base(tokenizer, "\n" + paperText(question));
    }

    private static EncodedText base(Tokenizer tokenizer, String behindImage) {
        int[] text = tokenizer.encode(behindImage);
        int[] ids = new int[2 + text.length];
        ids[0] = tokenizer.id(Tokenizer.BEGIN);
        ids[1] = EncodedText.IMAGE;
        System.arraycopy(text, 0, ids, 2, text.length);
        int[] labels = new int[ids.length];
        Arrays.fill(labels, EncodedText.IGNORE);
        return new EncodedText(ids, labels);
    }

    /** The same tokens without the image: how likely the answer is before anything was seen. */
    static EncodedText blind(EncodedText text) {
        int[] kept = IntStream.range(0, text.ids().length)
                .filter(i -> text.ids()[i] != EncodedText.IMAGE)
                .toArray();
        return new EncodedText(
                Arrays.stream(kept).map(i -> text.ids()[i]).toArray(),
                Arrays.stream(kept).map(i -> text.labels()[i]).toArray());
    }

    private static Turn user(String text) {
        return new Turn(Role.User, Tokenizer.IMAGE + "\n" + withoutImages(text));
    }

    /** A benchmark's text can't add images. */
    private static String withoutImages(String text) {
        return text.replace(Tokenizer.IMAGE, Templates.IMAGE_LITERAL);
    }

    private static String strictText(Question question) {
        StringBuilder text = new StringBuilder();
        if (!question.hint().isEmpty()) {
            text.append("Hint: ").append(question.hint()).append('\n');
        }
        text.append("Question: ").append(question.question()).append('\n');
        return text.append(options(question)).append(INSTRUCTION).toString();
    }

    private static String plainText(Question question) {
        return question.hint().isEmpty() ? question.question() : question.hint() + "\n" + question.question();
    }

    private static String paperText(Question question) {
        return "Question: " + question.question() + "\n" + options(question)
                + "Answer with the option's letter from the given choices directly.\nAnswer:";
    }

    private static String options(Question question) {
        StringBuilder text = new StringBuilder("Options:\n");
        question.options()
                .forEach((letter, option) ->
                        text.append(letter).append(". ").append(option).append('\n'));
        return text.toString();
    }

    /**
     * SHA-256 of everything that decides what the model is asked and how its answer is read, but for the data: wording, template, system
     * message, normalisation, stop rule. Also of a bound on the answer's length.
     */
    static String digest(Protocol protocol, OptionLikelihood.Style style, int maxNewTokens) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        options.put("A", "{A}");
        options.put("B", "{B}");
        Question sample = new Question(0, 0, "{question}", "{hint}", options, "A", "", "");
        List<String> parts = new ArrayList<>(List.of(protocol.name(), Conversation.DEFAULT_SYSTEM));
        parts.addAll(
                switch (protocol) {
                    case Strict ->
                        List.of("ChatML", strictText(sample), "stop=" + Tokenizer.MESSAGE_END, "max=" + maxNewTokens);
                    case PaperCompatible ->
                        List.of("Base", paperText(sample), "stop=" + GreedyAnswers.PAPER_STOPS, "max=" + maxNewTokens);
                    case OptionLikelihood ->
                        List.of(style.name(), plainText(sample), OptionLikelihood.NORMALIZATION.name());
                });
        return Digests.sha256(String.join("\u0000", parts));
    }
}
