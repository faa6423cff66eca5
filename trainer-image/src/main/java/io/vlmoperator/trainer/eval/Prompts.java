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
    /** What an open question ends with. */
    static final String SHORT_ANSWER = "Answer the question using a single word or phrase.";

    /** What a question of POPE ends with. */
    static final String YES_OR_NO = "Please answer yes or no.";

    private static final String INSTRUCTION = "Please select the correct answer from the options above.";

    private Prompts() {}

    /**
     * Question, options and instruction as VLMEvalKit words them, in the chat template, with the answer's header open. Fine-tuning data
     * that teaches multiple choice has the same wording.
     *
     * @param shots answered turns before it
     * @param instruction of an open question
     */
    static EncodedText strict(Tokenizer tokenizer, List<Question> shots, Question question, String instruction) {
        List<Turn> turns = new ArrayList<>();
        for (Question shot : shots) {
            turns.add(user(strictText(shot, instruction)));
            turns.add(new Turn(Role.Assistant, shot.shown()));
        }
        turns.add(user(strictText(question, instruction)));
        return Templates.chatMLPrompt(tokenizer, new Conversation(turns));
    }

    /**
     * The question alone, without its options, answered by one option's text; targets are that text and its end token.
     *
     * @param shots turns before it, answered by the right option's text; no targets
     */
    static EncodedText answered(Tokenizer tokenizer, List<Question> shots, Question question, String option) {
        List<Turn> turns = new ArrayList<>();
        for (Question shot : shots) {
            turns.add(user(plainText(shot)));
            turns.add(new Turn(Role.Assistant, shot.options().get(shot.letter())));
        }
        turns.add(user(plainText(question)));
        turns.add(new Turn(Role.Assistant, option));
        return lastTargets(Templates.chatML(tokenizer, new Conversation(turns)));
    }

    /** Only the last run of targets is left. */
    private static EncodedText lastTargets(EncodedText text) {
        int[] labels = text.labels().clone();
        int end = labels.length;
        while (end > 0 && labels[end - 1] == EncodedText.IGNORE) {
            end--;
        }
        int start = end;
        while (start > 0 && labels[start - 1] != EncodedText.IGNORE) {
            start--;
        }
        Arrays.fill(labels, 0, start, EncodedText.IGNORE);
        return new EncodedText(text.ids(), labels);
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
        return withoutTargets(IntStream.concat(
                        IntStream.of(tokenizer.id(Tokenizer.BEGIN), EncodedText.IMAGE),
                        Arrays.stream(tokenizer.encode("\n")))
                .toArray());
    }

    /**
     * The option's text as a caption of the image: for a model that has seen captions only.
     *
     * @param shots samples before it, with the right option's text as their captions; no targets
     */
    static EncodedText caption(Tokenizer tokenizer, List<Question> shots, String option) {
        IntStream.Builder ids = IntStream.builder();
        for (Question shot : shots) {
            String right = shot.options().get(shot.letter());
            Arrays.stream(Templates.caption(tokenizer, right).ids()).forEach(ids::add);
        }
        int[] before = ids.build().toArray();
        EncodedText own = Templates.caption(tokenizer, option);
        int[] all = Arrays.copyOf(before, before.length + own.ids().length);
        System.arraycopy(own.ids(), 0, all, before.length, own.ids().length);
        int[] labels = new int[all.length];
        Arrays.fill(labels, 0, before.length, EncodedText.IGNORE);
        System.arraycopy(own.labels(), 0, labels, before.length, own.labels().length);
        return new EncodedText(all, labels);
    }

    /**
     * The paper's harness: {@code <s>}, image, and a text that a base model completes; no hint, no chat template.
     *
     * @param shots image, text and answer before it, each with {@code <|endofchunk|>} behind
     */
    static EncodedText paper(Tokenizer tokenizer, List<Question> shots, Question question, String instruction) {
        IntStream.Builder ids = IntStream.builder();
        ids.add(tokenizer.id(Tokenizer.BEGIN));
        for (Question shot : shots) {
            ids.add(EncodedText.IMAGE);
            Arrays.stream(tokenizer.encode("\n" + paperText(shot, instruction) + " " + shot.shown()))
                    .forEach(ids::add);
            ids.add(tokenizer.id(Tokenizer.END_OF_CHUNK));
        }
        ids.add(EncodedText.IMAGE);
        Arrays.stream(tokenizer.encode("\n" + paperText(question, instruction))).forEach(ids::add);
        return withoutTargets(ids.build().toArray());
    }

    private static EncodedText withoutTargets(int[] ids) {
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

    private static String strictText(Question question, String instruction) {
        StringBuilder text = new StringBuilder();
        if (!question.hint().isEmpty()) {
            text.append("Hint: ").append(question.hint()).append('\n');
        }
        text.append("Question: ").append(question.question()).append('\n');
        return question.isMultipleChoice()
                ? text.append(options(question)).append(INSTRUCTION).toString()
                : text.append(instruction).toString();
    }

    private static String plainText(Question question) {
        return question.hint().isEmpty() ? question.question() : question.hint() + "\n" + question.question();
    }

    private static String paperText(Question question, String instruction) {
        return "Question: " + question.question() + "\n"
                + (question.isMultipleChoice()
                        ? options(question) + "Answer with the option's letter from the given choices directly."
                        : instruction)
                + "\nAnswer:";
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
     * message, normalisation, stop rule, the rule that reads and scores. Also of a bound on the answer's length.
     *
     * @param shots what demonstrations there are; empty: none
     */
    static String digest(Protocol protocol, OptionLikelihood.Style style, int maxNewTokens, Rule rule, String shots) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        options.put("A", "{A}");
        options.put("B", "{B}");
        Question choice = new Question(0, 0, "{question}", "{hint}", options, new Question.Gold.Letter("A"), "", "");
        Question open = new Question(
                0,
                0,
                "{question}",
                "{hint}",
                new LinkedHashMap<>(),
                new Question.Gold.Texts(List.of("{answer}")),
                "",
                "");
        String instruction = rule.instruction();
        List<String> parts =
                new ArrayList<>(List.of(protocol.name(), Conversation.DEFAULT_SYSTEM, rule.id(), "shots=" + shots));
        parts.addAll(
                switch (protocol) {
                    case Strict ->
                        List.of(
                                "ChatML",
                                strictText(choice, instruction),
                                strictText(open, instruction),
                                "stop=" + Tokenizer.MESSAGE_END,
                                "max=" + maxNewTokens);
                    case PaperCompatible ->
                        List.of(
                                "Base",
                                paperText(choice, instruction),
                                paperText(open, instruction),
                                "stop=" + GeneratedAnswers.PAPER_STOPS,
                                "max=" + maxNewTokens);
                    case OptionLikelihood ->
                        List.of(style.name(), plainText(choice), OptionLikelihood.NORMALIZATION.name());
                });
        return Digests.sha256(String.join("\u0000", parts));
    }
}
