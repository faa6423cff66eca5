package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.trainer.eval.scoring.Aggregate;
import io.vlmoperator.trainer.eval.scoring.Interval;
import io.vlmoperator.trainer.eval.scoring.MultipleChoice;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Multiple choice.
 *
 * @param benchmark its name; those of MMBench, MMStar and SEED bring numbers of their own
 */
record LetterRule(String benchmark, Protocol protocol) implements Rule {
    /** Share of rows that were hit. */
    static final String ACCURACY = "accuracy";
    /** MMBench: share of questions whose every rotation was hit. */
    static final String CIRCULAR = "circularAccuracy";
    /** MMStar in lmms-eval: mean of the categories' shares. */
    static final String MACRO = "macroAccuracy";
    /** SEED-Bench in its strict form: share of rows whose answer begins with the letter. */
    static final String FIRST_CHARACTER = "firstCharacterAccuracy";

    @Override
    public String id() {
        return "letter-1";
    }

    @Override
    public Answer read(Question question, String text) {
        if (protocol == Protocol.Strict) {
            Optional<String> letter = MultipleChoice.strict(text, question.options());
            return new Answer(
                    question,
                    text,
                    letter,
                    letter.filter(question.letter()::equals).isPresent() ? 1 : 0);
        }
        // Containment says whether the gold letter was hit, never which letter was meant: nothing is unparsed.
        boolean hit = MultipleChoice.contains(text, question.letter());
        return new Answer(question, text, Optional.of(question.letter()), hit ? 1 : 0);
    }

    @Override
    public List<Score> scores(List<Answer> answers) {
        double chance = Score.chance(answers);
        Score plain = Score.mean(ACCURACY, answers, chance);
        if (protocol != Protocol.Strict) {
            return List.of(plain);
        }
        String name = benchmark.toLowerCase(Locale.ROOT);
        List<Aggregate.Row> rows = answers.stream()
                .map(answer -> new Aggregate.Row(
                        answer.question().index(), answer.question().category(), answer.score() > 0))
                .toList();
        if (name.startsWith("mmbench")) {
            return List.of(Score.share(CIRCULAR, Aggregate.circular(rows), circularChance(answers)), plain);
        }
        if (name.startsWith("mmstar")) {
            return List.of(
                    plain, new Score(MACRO, Aggregate.macro(rows), Interval.macro(rows), chance, plain.categories()));
        }
        if (name.startsWith("seed")) {
            return List.of(
                    plain,
                    Score.mean(
                            FIRST_CHARACTER,
                            answers.stream().map(LetterRule::byFirstCharacter).toList(),
                            chance));
        }
        return List.of(plain);
    }

    private static Answer byFirstCharacter(Answer answer) {
        Question question = answer.question();
        boolean hit = MultipleChoice.firstCharacterIs(answer.text(), question.letter());
        return new Answer(question, answer.text(), answer.read(), hit ? 1 : 0);
    }

    /** Every rotation has to be guessed: the mean over questions of the product of their chances. */
    private static double circularChance(List<Answer> answers) {
        Map<Long, Double> questions = answers.stream()
                .collect(Collectors.toMap(
                        answer -> Aggregate.question(answer.question().index()),
                        answer -> 1.0 / answer.question().options().size(),
                        (one, other) -> one * other,
                        LinkedHashMap::new));
        return questions.values().stream()
                .mapToDouble(Double::doubleValue)
                .average()
                .orElse(0);
    }
}
