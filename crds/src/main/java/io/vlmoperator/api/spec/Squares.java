package io.vlmoperator.api.spec;

/** Which numbers of visual tokens there are: pooling makes a square. CEL knows no root, so the rule lists them. */
final class Squares {
    static final String RULE = "self.tokensPerImage in ["
            + "1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 169, 196, 225, 256, "
            + "289, 324, 361, 400, 441, 484, 529, 576, 625, 676, 729, 784, 841, 900, 961, 1024, "
            + "1089, 1156, 1225, 1296, 1369, 1444, 1521, 1600, 1681, 1764, 1849, 1936, 2025, 2116, 2209, 2304, "
            + "2401, 2500, 2601, 2704, 2809, 2916, 3025, 3136, 3249, 3364, 3481, 3600, 3721, 3844, 3969, 4096]";

    private Squares() {}

    static boolean isSquare(int number) {
        int side = (int) Math.round(Math.sqrt(number));
        return side >= 1 && side <= 64 && side * side == number;
    }
}
