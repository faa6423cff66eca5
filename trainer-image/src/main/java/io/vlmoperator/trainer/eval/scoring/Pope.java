package io.vlmoperator.trainer.eval.scoring;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/**
 * POPE's figures of one split, each 0 to 1; the positive class is yes. An answer that is neither counts against the model: as a false
 * positive where no was right, as a false negative where yes was.
 *
 * @param yesRatio share of answers that are yes
 */
public record Pope(double accuracy, double precision, double recall, double f1, double yesRatio) {
    /**
     * One answer.
     *
     * @param said empty: neither yes nor no
     */
    public record Row(Optional<Boolean> said, boolean gold) {}

    /** Figures of one split. */
    public static Pope of(List<Row> rows) {
        int truePositive = 0;
        int falsePositive = 0;
        int falseNegative = 0;
        int trueNegative = 0;
        int yes = 0;
        for (Row row : rows) {
            boolean saidYes = row.said().orElse(false);
            boolean saidNo = !row.said().orElse(true);
            yes += saidYes ? 1 : 0;
            if (row.gold()) {
                truePositive += saidYes ? 1 : 0;
                falseNegative += saidYes ? 0 : 1;
            } else {
                trueNegative += saidNo ? 1 : 0;
                falsePositive += saidNo ? 0 : 1;
            }
        }
        double precision = ratio(truePositive, truePositive + falsePositive);
        double recall = ratio(truePositive, truePositive + falseNegative);
        double f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
        return new Pope(
                ratio(truePositive + trueNegative, rows.size()), precision, recall, f1, ratio(yes, rows.size()));
    }

    /** Mean of each figure over the splits (random, popular, adversarial). */
    public static Pope mean(Collection<Pope> splits) {
        return new Pope(
                mean(splits, Pope::accuracy),
                mean(splits, Pope::precision),
                mean(splits, Pope::recall),
                mean(splits, Pope::f1),
                mean(splits, Pope::yesRatio));
    }

    private static double mean(Collection<Pope> splits, ToDoubleFunction<Pope> figure) {
        return splits.stream().mapToDouble(figure).average().orElse(0);
    }

    private static double ratio(int part, int whole) {
        return whole == 0 ? 0 : part / (double) whole;
    }
}
