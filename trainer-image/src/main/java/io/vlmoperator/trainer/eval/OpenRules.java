package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.eval.scoring.MathVista;
import io.vlmoperator.trainer.eval.scoring.Mmmu;
import io.vlmoperator.trainer.eval.scoring.Pope;
import io.vlmoperator.trainer.eval.scoring.ShortAnswer;
import io.vlmoperator.trainer.eval.scoring.VqaAccuracy;
import io.vlmoperator.trainer.eval.scoring.VqaAccuracy.Periods;
import io.vlmoperator.trainer.eval.scoring.VqaAccuracy.Truth;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/** Which rule a benchmark has, by its name and what its rows hold; and the rules of open questions. */
final class OpenRules {
    /** Fewer annotators can't give a whole point, since one is left out and three others must agree. */
    private static final int ANNOTATORS = 4;

    private static final List<String> VQA = List.of("vqa", "okvqa", "ok_vqa", "ok-vqa", "vizwiz");

    private OpenRules() {}

    /**
     * The rule of a benchmark.
     *
     * @param name of the spec; its beginning selects the rules of known benchmarks
     * @throws TrainerException InvalidConfiguration if the protocol can't be used for such rows; InvalidData if the rows are not those of the
     *     benchmark that the name says
     */
    static Rule of(String name, List<Question> questions, Protocol protocol) {
        String lower = name.toLowerCase(Locale.ROOT);
        List<Question> open =
                questions.stream().filter(one -> !one.isMultipleChoice()).toList();
        if (protocol == Protocol.OptionLikelihood && !open.isEmpty()) {
            throw TrainerException.configuration("benchmark " + name + ": index "
                    + open.getFirst().index()
                    + " has no options, and OptionLikelihood chooses among options; name Strict or PaperCompatible");
        }
        if (lower.startsWith("mmmu") && protocol != Protocol.OptionLikelihood) {
            return new MmmuRule();
        }
        if (open.isEmpty()) {
            return new LetterRule(name, protocol);
        }
        if (open.size() < questions.size()) {
            throw TrainerException.data("benchmark " + name + ": index "
                    + open.getFirst().index()
                    + " has no options, but others have; only MMMU mixes both (a name that begins with MMMU)");
        }
        boolean paper = protocol == Protocol.PaperCompatible;
        if (lower.startsWith("pope")) {
            require(name, open, OpenRules::isYesOrNo, "its answer is neither yes nor no, as those of POPE are");
            return new PopeRule(paper);
        }
        if (lower.startsWith("mathvista")) {
            require(
                    name,
                    open,
                    one -> one.gold() instanceof Question.Gold.Math,
                    "the columns question_type and answer_type of MathVista are missing");
            return new MathVistaRule();
        }
        boolean annotated = open.stream().allMatch(one -> one.texts().size() >= ANNOTATORS);
        boolean named = lower.startsWith("textvqa") || VQA.stream().anyMatch(lower::startsWith);
        if (named) {
            require(
                    name,
                    open,
                    one -> one.texts().size() >= ANNOTATORS,
                    "VQA accuracy needs the answers of at least " + ANNOTATORS
                            + " annotators (usually ten), as a list such as ['a cat', 'cat', ...]");
        }
        if (annotated && !lower.startsWith("gqa")) {
            return new VqaRule(
                    lower.startsWith("textvqa"),
                    paper ? Periods.Malformed : Periods.Repaired,
                    paper && lower.startsWith("vqav2") ? Truth.Punctuation : Truth.Full);
        }
        return new ExactRule(paper);
    }

    private static void require(String name, List<Question> questions, Predicate<Question> holds, String message) {
        questions.stream().filter(holds.negate()).findFirst().ifPresent(one -> {
            throw TrainerException.data("benchmark " + name + ": index " + one.index() + ": " + message);
        });
    }

    private static boolean isYesOrNo(Question question) {
        return ShortAnswer.yesStrictly(question.texts().getFirst()).isPresent();
    }

    private static Optional<String> said(String text) {
        return Optional.of(text.strip()).filter(said -> !said.isEmpty());
    }

    /** Soft accuracy against annotators. */
    private record VqaRule(boolean textVqa, Periods periods, Truth truth) implements Rule {
        @Override
        public String id() {
            return "vqa-1 " + textVqa + " " + periods + " " + truth;
        }

        @Override
        public Answer read(Question question, String text) {
            double score = textVqa
                    ? VqaAccuracy.textVqa(text, question.texts(), periods)
                    : VqaAccuracy.vqa(text, question.texts(), periods, truth);
            return new Answer(question, text, said(text), score);
        }

        @Override
        public List<Score> scores(List<Answer> answers) {
            return List.of(Score.mean("vqaAccuracy", answers, 0));
        }
    }

    /** The answer is one of the right texts, but for case and white space; outside the paper's protocol also but for punctuation. */
    private record ExactRule(boolean paper) implements Rule {
        @Override
        public String id() {
            return "exact-1 " + paper;
        }

        @Override
        public Answer read(Question question, String text) {
            boolean hit = question.texts().stream()
                    .anyMatch(gold ->
                            paper ? ShortAnswer.same(text, gold) : ShortAnswer.sameWithoutPunctuation(text, gold));
            return new Answer(question, text, said(text), hit ? 1 : 0);
        }

        @Override
        public List<Score> scores(List<Answer> answers) {
            return List.of(Score.mean("exactMatch", answers, 0));
        }
    }

    /** Yes or no; the splits (random, popular, adversarial) stand in the category. */
    private record PopeRule(boolean paper) implements Rule {
        @Override
        public String id() {
            return "pope-1 " + paper;
        }

        @Override
        public String instruction() {
            return Prompts.YES_OR_NO;
        }

        @Override
        public Answer read(Question question, String text) {
            Optional<Boolean> yes = paper ? Optional.of(ShortAnswer.yesByWords(text)) : ShortAnswer.yesStrictly(text);
            boolean hit = yes.filter(said -> said == gold(question)).isPresent();
            return new Answer(question, text, yes.map(said -> said ? "yes" : "no"), hit ? 1 : 0);
        }

        private static boolean gold(Question question) {
            return ShortAnswer.yesStrictly(question.texts().getFirst()).orElseThrow();
        }

        /** As the benchmark does it: each figure of each split, and their mean. */
        @Override
        public List<Score> scores(List<Answer> answers) {
            return List.of(
                    figure("f1", answers, Pope::f1),
                    figure("accuracy", answers, Pope::accuracy),
                    figure("precision", answers, Pope::precision),
                    figure("recall", answers, Pope::recall),
                    figure("yesRatio", answers, Pope::yesRatio));
        }

        /** A coin reaches one half of each figure where yes and no are equally often right. */
        private static Score figure(String metric, List<Answer> answers, ToDoubleFunction<Pope> figure) {
            Function<List<Answer>, Double> mean = all -> {
                List<Pope> splits = new ArrayList<>();
                Score.byCategory(all).forEach((name, split) -> splits.add(Pope.of(rows(split))));
                return figure.applyAsDouble(Pope.mean(splits));
            };
            return Score.of(metric, answers, 0.5, mean);
        }

        private static List<Pope.Row> rows(List<Answer> answers) {
            return answers.stream()
                    .map(answer -> new Pope.Row(answer.read().map("yes"::equals), gold(answer.question())))
                    .toList();
        }
    }

    /** MathVista by rules, without a judge. */
    private record MathVistaRule() implements Rule {
        @Override
        public String id() {
            return "mathvista-1";
        }

        @Override
        public Answer read(Question question, String text) {
            if (!(question.gold() instanceof Question.Gold.Math(MathVista.Gold gold, String _))) {
                throw new IllegalStateException("index " + question.index() + " is no row of MathVista");
            }
            MathVista.Verdict verdict = MathVista.score(text, gold);
            return new Answer(question, text, verdict.extracted(), verdict.hit() ? 1 : 0);
        }

        @Override
        public List<Score> scores(List<Answer> answers) {
            return List.of(Score.mean(LetterRule.ACCURACY, answers, Score.chance(answers)));
        }
    }

    /** MMMU: rows with options and rows without, by its own parser; an answer that it can't read is wrong, not drawn by lot. */
    private record MmmuRule() implements Rule {
        @Override
        public String id() {
            return "mmmu-1";
        }

        @Override
        public Answer read(Question question, String text) {
            if (question.isMultipleChoice()) {
                Optional<String> letter = Mmmu.choice(text, question.options());
                return new Answer(
                        question,
                        text,
                        letter,
                        letter.filter(question.letter()::equals).isPresent() ? 1 : 0);
            }
            return new Answer(question, text, said(text), Mmmu.open(text, question.texts()) ? 1 : 0);
        }

        @Override
        public List<Score> scores(List<Answer> answers) {
            return List.of(Score.mean(LetterRule.ACCURACY, answers, Score.chance(answers)));
        }
    }
}
