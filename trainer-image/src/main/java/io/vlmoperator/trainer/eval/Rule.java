package io.vlmoperator.trainer.eval;

import java.util.List;

/** How answers of one benchmark are read by one protocol, and which numbers are made of them. */
interface Rule {
    /** What tells it from other rules in a prompt digest; raised with every change of what it does. */
    String id();

    /** What an open question ends with. */
    default String instruction() {
        return Prompts.SHORT_ANSWER;
    }

    /** Reads a generated text. */
    Answer read(Question question, String text);

    /** The scores of all answers, at least one of them; the benchmark's own first, then those that peers report. */
    List<Score> scores(List<Answer> answers);
}
