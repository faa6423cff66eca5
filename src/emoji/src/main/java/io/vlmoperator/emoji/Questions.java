package io.vlmoperator.emoji;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** The wording of every question, the same in the conversations and in the benchmark. */
final class Questions {
    static final String WHAT = "What is this?";
    static final String GROUP = "Which group does this belong to?";

    /** The line above the options. */
    static final String OPTIONS = "Options:\n";

    static final String INSTRUCTION = "Please select the correct answer from the options above.";

    private Questions() {}

    /**
     * A multiple choice question.
     *
     * @param options texts in the order of their letters
     * @param answer index of the right one
     */
    record Choice(List<String> options, int answer) {
        Choice {
            options = List.copyOf(options);
        }

        char letter() {
            return letter(answer);
        }

        static char letter(int index) {
            return (char) ('A' + index);
        }

        /** Question, options and instruction, worded as VLMEvalKit words them for a multiple choice table. */
        String prompt(String question) {
            return "Question: " + question + "\n" + listed() + INSTRUCTION;
        }

        /** A caption that lists the options and then names the right one. */
        String quiz() {
            return listed() + options.get(answer);
        }

        private String listed() {
            StringBuilder text = new StringBuilder(OPTIONS);
            for (int i = 0; i < options.size(); i++) {
                text.append(letter(i)).append(". ").append(options.get(i)).append('\n');
            }
            return text.toString();
        }
    }

    /**
     * Four names, three of them wrong, in random order.
     *
     * @param pool what the wrong ones are drawn from; may hold the right one
     */
    static Choice choice(Emoji right, List<Emoji> pool, Random random) {
        List<String> options = new ArrayList<>();
        options.add(right.name());
        while (options.size() < Benchmarks.OPTIONS) {
            String name = pool.get(random.nextInt(pool.size())).name();
            if (!options.contains(name)) {
                options.add(name);
            }
        }
        Collections.shuffle(options, random);
        return new Choice(options, options.indexOf(right.name()));
    }
}
