package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.eval.scoring.Aggregate;
import io.vlmoperator.trainer.eval.scoring.Interval;
import io.vlmoperator.trainer.eval.scoring.MathVista;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Function;

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
    /** Categories in a status. */
    private static final int MAX_CATEGORIES = 16;

    private static final int MAX_NAME = 64;

    /**
     * The mean of the answers' scores. Its interval is Wilson's of a share with this mean: the scores lie in 0 to 1, so theirs can't vary
     * more.
     */
    static Score mean(String metric, List<Answer> answers, double chance) {
        return of(metric, answers, chance, Score::average);
    }

    /** A figure of all answers and of each category, which has the interval of a share with its value. */
    static Score of(String metric, List<Answer> answers, double chance, Function<List<Answer>, Double> figure) {
        double value = figure.apply(answers);
        List<BenchmarkResult.Category> categories = new ArrayList<>();
        byCategory(answers).forEach((name, group) -> category(name, figure.apply(group), group.size(), categories));
        return new Score(metric, value, Interval.wilson(value, answers.size()), chance, List.copyOf(categories));
    }

    /** The share of rows that were hit. */
    static Score share(String metric, List<Aggregate.Row> rows, double chance) {
        double value = Aggregate.micro(rows);
        List<BenchmarkResult.Category> categories = new ArrayList<>();
        Aggregate.byCategory(rows)
                .forEach((name, group) -> category(name, Aggregate.micro(group), group.size(), categories));
        return new Score(metric, value, Interval.wilson(value, rows.size()), chance, List.copyOf(categories));
    }

    private static void category(String name, double value, long rows, List<BenchmarkResult.Category> into) {
        if (!name.isEmpty()) {
            into.add(new BenchmarkResult.Category(
                    name.length() > MAX_NAME ? name.substring(0, MAX_NAME) : name, value, rows));
        }
    }

    static double average(List<Answer> answers) {
        return answers.stream().mapToDouble(Answer::score).average().orElse(0);
    }

    /** Answers of each category, in order of first appearance. */
    static SequencedMap<String, List<Answer>> byCategory(List<Answer> answers) {
        SequencedMap<String, List<Answer>> groups = new LinkedHashMap<>();
        for (Answer answer : answers) {
            groups.computeIfAbsent(answer.question().category(), _ -> new ArrayList<>())
                    .add(answer);
        }
        return groups;
    }

    /** What guessing among the options reaches; an open question can't be guessed. */
    static double chance(List<Answer> answers) {
        return answers.stream()
                .mapToDouble(answer -> chance(answer.question()))
                .average()
                .orElse(0);
    }

    private static double chance(Question question) {
        return switch (question.gold()) {
            case Question.Gold.Letter _ -> 1.0 / question.options().size();
            case Question.Gold.Math(MathVista.Gold.Choice(String _, List<String> choices), String _) ->
                1.0 / choices.size();
            case Question.Gold.Math _, Question.Gold.Texts _ -> 0;
        };
    }

    /** The mean of the same scores over several passes; every pass has the same metrics. */
    static List<Score> overPasses(List<List<Score>> passes) {
        if (passes.size() == 1) {
            return passes.getFirst();
        }
        List<Score> means = new ArrayList<>();
        for (int metric = 0; metric < passes.getFirst().size(); metric++) {
            int number = metric;
            List<Score> same = passes.stream().map(pass -> pass.get(number)).toList();
            means.add(new Score(
                    same.getFirst().metric(),
                    mean(same, Score::value),
                    mean(same, Score::interval),
                    mean(same, Score::chance),
                    meanCategories(same)));
        }
        return List.copyOf(means);
    }

    private static List<BenchmarkResult.Category> meanCategories(List<Score> passes) {
        SequencedMap<String, List<BenchmarkResult.Category>> groups = new LinkedHashMap<>();
        for (Score pass : passes) {
            for (BenchmarkResult.Category category : pass.categories()) {
                groups.computeIfAbsent(category.name(), _ -> new ArrayList<>()).add(category);
            }
        }
        return groups.entrySet().stream()
                .map(entry -> new BenchmarkResult.Category(
                        entry.getKey(),
                        mean(entry.getValue(), BenchmarkResult.Category::value),
                        Math.round(mean(
                                entry.getValue(), category -> category.rows().doubleValue()))))
                .toList();
    }

    private static <T> double mean(List<T> values, Function<T, Double> figure) {
        return values.stream().mapToDouble(figure::apply).average().orElse(0);
    }

    /** Standard deviation of a metric over the passes (with n - 1); null with one pass. */
    static Double spread(List<List<Score>> passes, int metric) {
        if (passes.size() < 2) {
            return null;
        }
        List<Double> values =
                passes.stream().map(pass -> pass.get(metric).value()).toList();
        double mean = mean(values, Function.identity());
        double squares = values.stream()
                .mapToDouble(value -> (value - mean) * (value - mean))
                .sum();
        return Math.sqrt(squares / (values.size() - 1));
    }

    /** A result whose categories fit a status: the {@value #MAX_CATEGORIES} with most rows. */
    static BenchmarkResult forStatus(BenchmarkResult result) {
        if (result.categories() == null || result.categories().size() <= MAX_CATEGORIES) {
            return result;
        }
        return result.withCategories(result.categories().stream()
                .sorted(Comparator.comparing(BenchmarkResult.Category::rows).reversed())
                .limit(MAX_CATEGORIES)
                .toList());
    }
}
