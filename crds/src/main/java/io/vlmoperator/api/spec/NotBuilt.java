package io.vlmoperator.api.spec;

import java.util.List;

/** Features that the API has and the program does not have yet: refused by name, never ignored. */
final class NotBuilt {
    static final String MESSAGE = "not built yet; ";

    private NotBuilt() {}

    static List<Problem> eval(EvalJobSpec spec) {
        return spec.checkpoint().endpoint() == null
                ? List.of()
                : List.of(not("spec.checkpoint.endpoint", "name a job or the location of a checkpoint"));
    }

    private static Problem not(String path, String instead) {
        return new Problem(path, MESSAGE + instead);
    }
}
