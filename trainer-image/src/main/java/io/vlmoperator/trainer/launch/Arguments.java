package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.TrainerException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * The words after a command.
 *
 * @param words that are no options
 * @param options values by name, several for one that may be repeated
 */
record Arguments(List<String> words, Map<String, List<String>> options) {
    /**
     * @param once options with a value that may stand once
     * @param many options with a value that may be repeated
     */
    static Arguments parse(List<String> given, List<String> once, List<String> many) {
        return parse(given, once, many, List.of());
    }

    /**
     * As {@link #parse(List, List, List)}, with options that have no value.
     *
     * @param flags options without a value; see {@link #has}
     */
    static Arguments parse(List<String> given, List<String> once, List<String> many, List<String> flags) {
        List<String> words = new ArrayList<>();
        Map<String, List<String>> options = new LinkedHashMap<>();
        for (int i = 0; i < given.size(); i++) {
            String word = given.get(i);
            if (!word.startsWith("--")) {
                words.add(word);
                continue;
            }
            if (flags.contains(word)) {
                options.put(word, List.of());
                continue;
            }
            int equals = word.indexOf('=');
            String name = equals < 0 ? word : word.substring(0, equals);
            boolean single = once.contains(name);
            if (!single && !many.contains(name)) {
                throw TrainerException.configuration("unknown option " + name + "; see vlm-trainer --help");
            }
            if (equals < 0 && i + 1 == given.size()) {
                throw TrainerException.configuration("option " + name + " needs a value");
            }
            String value = equals < 0 ? given.get(++i) : word.substring(equals + 1);
            List<String> values = options.computeIfAbsent(name, n -> new ArrayList<>());
            values.add(value);
            if (single && values.size() > 1) {
                throw TrainerException.configuration("option " + name + " stands twice");
            }
        }
        return new Arguments(List.copyOf(words), options);
    }

    void requireNone() {
        if (!words.isEmpty()) {
            throw TrainerException.configuration("'" + words.getFirst() + "' is not expected here");
        }
    }

    Optional<String> one(String name) {
        return Optional.ofNullable(options.get(name)).map(List::getFirst);
    }

    /** Whether an option without a value stands there. */
    boolean has(String flag) {
        return options.containsKey(flag);
    }

    List<String> many(String name) {
        return options.getOrDefault(name, List.of());
    }

    /** A whole number from 1 to {@code most}. */
    Optional<Integer> number(String name, int most) {
        return one(name).map(text -> {
            if (!text.matches("\\d{1,9}") || Integer.parseInt(text) < 1 || Integer.parseInt(text) > most) {
                throw TrainerException.configuration(name + " is '" + text + "'; 1 to " + most + " is possible");
            }
            return Integer.parseInt(text);
        });
    }

    /** A whole number from 0 to {@code most}. */
    OptionalLong count(String name, long most) {
        Optional<String> given = one(name);
        if (given.isEmpty()) {
            return OptionalLong.empty();
        }
        if (!given.get().matches("\\d{1,18}") || Long.parseLong(given.get()) > most) {
            throw TrainerException.configuration(name + " is '" + given.get() + "'; 0 to " + most + " is possible");
        }
        return OptionalLong.of(Long.parseLong(given.get()));
    }

    /** A decimal number that is not negative; the ranges are checked by whoever uses it. */
    OptionalDouble decimal(String name) {
        Optional<String> given = one(name);
        if (given.isEmpty()) {
            return OptionalDouble.empty();
        }
        if (!given.get().matches("\\d{1,9}(\\.\\d{1,15})?")) {
            throw TrainerException.configuration(name + " is '" + given.get() + "'; write a number such as 0.7");
        }
        return OptionalDouble.of(Double.parseDouble(given.get()));
    }
}
