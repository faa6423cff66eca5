package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.eval.scoring.Aggregate;
import io.vlmoperator.trainer.eval.scoring.Interval;
import io.vlmoperator.trainer.eval.scoring.MultipleChoice;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * One number of a benchmark, with what is needed to judge it.
 *
 * @param metric which number
 * @param value 0 to 1
 * @param interval half width of the 95 % confidence interval
 * @param chance what guessing reaches
 * @param categories all of them, in order of first appearance
 */
record Score(String metric, double value, double interval, double chance, List<BenchmarkResult.Category> categories) {
    /** Share of rows that were hit. */
    static final String ACCURACY = "accuracy";
    /** MMBench: share of questions whose every rotation was hit. */
    static final String CIRCULAR = "circularAccuracy";
    /** MMStar in lmms-eval: mean of the categories' shares. */
    static final String MACRO = "macroAccuracy";
    /** SEED-Bench in its strict form: share of rows whose answer begins with the letter. */
    static final String FIRST_CHARACTER = "firstCharacterAccuracy";

    /** Categories in a status. */
    private static final int MAX_CATEGORIES = 16;

    private static final int MAX_NAME = 64;

    /** The scores of a benchmark by a protocol; the first one is the benchmark's own, the others are those that peers report. */
    static List<Score> of(String benchmark, Protocol protocol, List<Answer> answers) {
        List<Aggregate.Row> rows =
                answers.stream().map(answer -> row(answer, answer.hit())).toList();
        double chance = answers.stream()
                .mapToDouble(answer -> 1.0 / answer.question().options().size())
                .average()
                .orElse(0);
        Score plain = of(ACCURACY, rows, chance);
        if (protocol != Protocol.Strict) {
            return List.of(plain);
        }
        String name = benchmark.toLowerCase(Locale.ROOT);
        if (name.startsWith("mmbench")) {
            return List.of(of(CIRCULAR, Aggregate.circular(rows), circularChance(answers)), plain);
        }
        if (name.startsWith("mmstar")) {
            return List.of(
                    plain, new Score(MACRO, Aggregate.macro(rows), Interval.macro(rows), chance, plain.categories()));
        }
        if (name.startsWith("seed")) {
            List<Aggregate.Row> strict = answers.stream()
                    .map(answer -> row(
                            answer,
                            MultipleChoice.firstCharacterIs(
                                    answer.text(), answer.question().answer())))
                    .toList();
            return List.of(plain, of(FIRST_CHARACTER, strict, chance));
        }
        return List.of(plain);
    }

    private static Aggregate.Row row(Answer answer, boolean hit) {
        return new Aggregate.Row(answer.question().index(), answer.question().category(), hit);
    }

    private static Score of(String metric, List<Aggregate.Row> rows, double chance) {
        double value = Aggregate.micro(rows);
        List<BenchmarkResult.Category> categories = new ArrayList<>();
        Aggregate.byCategory(rows).forEach((name, group) -> {
            if (!name.isEmpty()) {
                categories.add(new BenchmarkResult.Category(
                        name.length() > MAX_NAME ? name.substring(0, MAX_NAME) : name, Aggregate.micro(group), (long)
                                group.size()));
            }
        });
        return new Score(metric, value, Interval.wilson(value, rows.size()), chance, List.copyOf(categories));
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

    /** A result whose categories fit a status: the {@value #MAX_CATEGORIES} with most rows. */
    static BenchmarkResult forStatus(BenchmarkResult result) {
        if (result.categories() == null || result.categories().size() <= MAX_CATEGORIES) {
            return result;
        }
        List<BenchmarkResult.Category> most = result.categories().stream()
                .sorted(Comparator.comparing(BenchmarkResult.Category::rows).reversed())
                .limit(MAX_CATEGORIES)
                .toList();
        return new BenchmarkResult(
                result.benchmark(),
                result.split(),
                result.protocol(),
                result.metric(),
                result.value(),
                result.interval(),
                result.chance(),
                result.rows(),
                result.unparsed(),
                result.skipped(),
                result.step(),
                result.checkpointDigest(),
                result.dataDigest(),
                result.promptDigest(),
                result.tokensPerImage(),
                result.seconds(),
                most);
    }
}
