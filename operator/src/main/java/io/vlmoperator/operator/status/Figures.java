package io.vlmoperator.operator.status;

import java.math.BigDecimal;
import java.math.MathContext;

/** Numbers and lines as a status holds them: finite, and no longer than people read them in a column. The exact ones are in storage. */
public final class Figures {
    private static final MathContext DIGITS = new MathContext(4);

    private static final int LONGEST_LINE = 200;

    private Figures() {}

    /** A line of at most {@value #LONGEST_LINE} characters. */
    public static String line(String value) {
        return Bounded.text(value, LONGEST_LINE);
    }

    /** Four significant digits; null stays null, and what is not finite becomes it. */
    public static Double readable(Double value) {
        return value == null || !Double.isFinite(value)
                ? null
                : Double.valueOf(new BigDecimal(value).round(DIGITS).doubleValue());
    }
}
