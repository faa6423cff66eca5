package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Map;

/**
 * How a filter model is asked: {@value #FILE} in its folder, or what is usual. The usual prompts are this project's own words for MLM-Filter's four
 * scales; a model that was tuned on other words needs those.
 *
 * @param padToSquare whether the image is padded to a square before it is resized, as LLaVA does, instead of squashed
 * @param maxNewTokens of an answer; MLM-Filter's scripts take 2 for Qwen, which has a token for each digit, so that 100 is read as 10
 * @param batch samples at once; 1, 2, 4, ... 64
 * @param prompts by scale, with {@value #CAPTION} where the caption stands
 */
record FilterSettings(Boolean padToSquare, Integer maxNewTokens, Integer batch, Map<Select.Metric, String> prompts) {
    static final String FILE = "scoring.json";
    static final String CAPTION = "{caption}";

    private static final long MAX_BYTES = 1 << 20;
    private static final int MOST_NEW_TOKENS = 16;
    private static final int MOST_AT_ONCE = 64;

    private static final String BEGINNING = "An image and its caption are given. Caption: " + CAPTION + "\n";
    private static final String ENDING =
            "\nWrite a whole number from 0 (worst) to 100 (best) in the first line, and why in the next.";

    FilterSettings {
        padToSquare = padToSquare != null && padToSquare;
        maxNewTokens = maxNewTokens == null ? 2 : maxNewTokens;
        batch = batch == null ? 8 : batch;
        Map<Select.Metric, String> all = new EnumMap<>(Select.Metric.class);
        for (Select.Metric metric : Select.Metric.values()) {
            all.put(metric, BEGINNING + usual(metric) + ENDING);
        }
        if (prompts != null) {
            all.putAll(prompts);
        }
        prompts = all;
    }

    /**
     * @throws TrainerException InvalidConfiguration for values that can't work
     */
    static FilterSettings of(Path folder) {
        Path file = folder.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            return new FilterSettings(null, null, null, null);
        }
        FilterSettings settings;
        try {
            settings = Json.read(file, MAX_BYTES, FilterSettings.class);
        } catch (IOException e) {
            throw TrainerException.configuration(file + " can't be used: " + e.getMessage());
        }
        if (settings.maxNewTokens < 1 || settings.maxNewTokens > MOST_NEW_TOKENS) {
            throw TrainerException.configuration(
                    file + ": maxNewTokens is " + settings.maxNewTokens + "; 1 to " + MOST_NEW_TOKENS + " is possible");
        }
        if (settings.batch < 1 || settings.batch > MOST_AT_ONCE || Integer.bitCount(settings.batch) != 1) {
            throw TrainerException.configuration(
                    file + ": batch is " + settings.batch + "; 1, 2, 4, 8, 16, 32 and 64 are possible");
        }
        settings.prompts.forEach((metric, prompt) -> {
            if (!prompt.contains(CAPTION)) {
                throw TrainerException.configuration(
                        file + ": the prompt of " + metric + " has no place " + CAPTION + " for the caption");
            }
        });
        return settings;
    }

    private static String usual(Select.Metric metric) {
        return switch (metric) {
            case ImageTextMatching ->
                "How well does the caption match the image: does it name the main things and what happens, and nothing that is not there?";
            case ObjectDetailFulfillment ->
                "How well does the caption describe the details of the things in the image: their number, colour, size, place, material and shape?";
            case CaptionTextQuality ->
                "How good is the caption as a text, whatever the image shows: its grammar, its choice of words, its flow and its clearness?";
            case SemanticUnderstanding ->
                "How much does the caption add to the understanding of the image that can't be seen in it: names, background, reasons, meaning?";
        };
    }
}
