package io.vlmoperator.trainer.eval.scoring;

import java.util.List;

/** Half widths of 95 % confidence intervals. */
public final class Interval {
    private static final double Z = 1.959963984540054;

    private Interval() {}

    /**
     * Wilson's interval of a share: {@code z / (1 + z^2/n) * sqrt(p(1-p)/n + z^2/(4n^2))}. Unlike the normal one it is not zero when all or
     * none of the rows were hits.
     *
     * @param n rows; 0 gives 1, since nothing is known
     */
    public static double wilson(double p, long n) {
        if (n <= 0) {
            return 1;
        }
        double z2 = Z * Z;
        return Z / (1 + z2 / n) * Math.sqrt(p * (1 - p) / n + z2 / (4.0 * n * n));
    }

    /** Of a mean of the categories' shares: the categories are independent, {@code sqrt(sum of squares) / count}. */
    public static double macro(List<Aggregate.Row> rows) {
        var groups = Aggregate.byCategory(rows).values();
        if (groups.isEmpty()) {
            return 1;
        }
        double squares = 0;
        for (List<Aggregate.Row> group : groups) {
            double half = wilson(Aggregate.micro(group), group.size());
            squares += half * half;
        }
        return Math.sqrt(squares) / groups.size();
    }
}
