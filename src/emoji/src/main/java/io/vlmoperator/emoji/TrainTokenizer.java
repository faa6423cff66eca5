package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes the demo's tokenizer: {@code TrainTokenizer FOLDER} reads {@code FOLDER/corpus.tsv} (lines of count, tab, text) and writes
 * {@code tokenizer.json} and {@code tokenizer_config.json} beside it, in Hugging Face's form and of the same build as
 * Qwen2.5's. With {@code --corpus} it first writes the corpus from the emoji packages.
 */
public final class TrainTokenizer {
    static final String CORPUS = "corpus.tsv";
    static final String TOKENIZER = "tokenizer.json";
    static final String CONFIG = "tokenizer_config.json";

    /** Entries in all, the added tokens among them. */
    static final int SIZE = 2_000;

    /** Appended after the learned entries, in this order. */
    static final List<String> ADDED = List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "<|endofchunk|>");

    private static final int FRAME_COUNT = 100;

    /** How often the first word of a name counts beside the name itself. */
    private static final int FIRST_WORD_COUNT = 4;

    private static final int MAX_COUNT = 1_000_000;
    private static final String CHAT_TEMPLATE =
            "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
                    + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    private TrainTokenizer() {}

    public static void main(String[] args) throws IOException {
        boolean corpus = args.length == 2 && args[1].equals("--corpus");
        if (args.length != 1 && !corpus) {
            System.err.println("usage: TrainTokenizer FOLDER [--corpus]");
            System.exit(2);
        }
        Path folder = Path.of(args[0]);
        try {
            if (corpus) {
                EmojiCatalog catalog = EmojiCatalog.read(new NpmPackages(NpmPackages.defaultCache()).fetchAll());
                Files.createDirectories(folder);
                Files.writeString(folder.resolve(CORPUS), corpus(catalog.emoji()));
            }
            Map<String, Integer> texts = readCorpus(folder.resolve(CORPUS));
            BpeTrainer.Bpe bpe = BpeTrainer.train(texts, SIZE - ADDED.size());
            Files.writeString(folder.resolve(TOKENIZER), tokenizerJson(bpe));
            Files.writeString(folder.resolve(CONFIG), configJson());
            System.out.println("TrainTokenizer: " + SIZE + " entries from " + texts.size() + " texts in " + folder);
        } catch (EmojiException e) {
            System.err.println("TrainTokenizer: " + e.getMessage());
            System.exit(1);
        }
    }

    /**
     * Names as they stand at the start of a line, the categories, and the fixed wording of questions and chat turns. No text has a
     * capital after a space: whatever begins with one (a name, a sentence) then has the same tokens after a space, as an option has it,
     * as at the start of a line, where answers begin. What a model reads among the options it can so copy token by token.
     *
     * <p>First words count more than others: the first token of an answer should tell one option from the others, and the next one not depend
     * on which of many names with the same two letters is meant.
     */
    static String corpus(List<Emoji> emoji) {
        Map<String, Integer> texts = new LinkedHashMap<>();
        for (String frame : List.of(
                "system\nYou are a helpful assistant.",
                "user\n",
                "assistant\n",
                "Question:",
                Questions.WHAT,
                Questions.GROUP,
                Questions.OPTIONS,
                "A.",
                "B.",
                "C.",
                "D.",
                Questions.INSTRUCTION)) {
            texts.put(frame, FRAME_COUNT);
        }
        for (Emoji e : emoji) {
            texts.merge(e.category(), 1, Integer::sum);
            texts.merge(e.name(), 1, Integer::sum);
            texts.merge(firstWord(e.name()), FIRST_WORD_COUNT, Integer::sum);
        }
        StringBuilder lines = new StringBuilder();
        texts.forEach((text, count) -> lines.append(count)
                .append('\t')
                .append(text.replace("\n", "\\n"))
                .append('\n'));
        return lines.toString();
    }

    private static String firstWord(String name) {
        int space = name.indexOf(' ');
        return space < 0 ? name : name.substring(0, space);
    }

    /** @throws EmojiException when a line is not count, tab, text */
    static Map<String, Integer> readCorpus(Path file) throws IOException {
        Map<String, Integer> texts = new LinkedHashMap<>();
        List<String> lines = Files.readAllLines(file);
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            int tab = line.indexOf('\t');
            if (tab < 1 || tab > 7 || !line.substring(0, tab).chars().allMatch(Character::isDigit)) {
                throw new EmojiException(
                        file + " line " + (i + 1) + " is not a count up to " + MAX_COUNT + ", a tab and a text.");
            }
            texts.merge(
                    line.substring(tab + 1).replace("\\n", "\n"),
                    Integer.parseInt(line.substring(0, tab)),
                    Integer::sum);
        }
        return texts;
    }

    /** {@code tokenizer.json} of the fast tokenizers. */
    static String tokenizerJson(BpeTrainer.Bpe bpe) throws IOException {
        List<Object> added = new ArrayList<>();
        for (int i = 0; i < ADDED.size(); i++) {
            added.add(object(
                    "id",
                    bpe.vocabulary().size() + i,
                    "content",
                    ADDED.get(i),
                    "single_word",
                    false,
                    "lstrip",
                    false,
                    "rstrip",
                    false,
                    "normalized",
                    false,
                    "special",
                    true));
        }
        Map<String, Object> vocabulary = new LinkedHashMap<>();
        bpe.vocabulary().forEach(entry -> vocabulary.put(entry, vocabulary.size()));
        Map<String, Object> tokenizer = object(
                "version", "1.0",
                "truncation", null,
                "padding", null,
                "added_tokens", added,
                "normalizer", object("type", "NFC"),
                "pre_tokenizer",
                        object(
                                "type",
                                "Sequence",
                                "pretokenizers",
                                List.of(
                                        object(
                                                "type",
                                                "Split",
                                                "pattern",
                                                object("Regex", BpeTrainer.SPLIT),
                                                "behavior",
                                                "Isolated",
                                                "invert",
                                                false),
                                        object(
                                                "type",
                                                "ByteLevel",
                                                "add_prefix_space",
                                                false,
                                                "trim_offsets",
                                                true,
                                                "use_regex",
                                                false))),
                "post_processor",
                        object(
                                "type",
                                "ByteLevel",
                                "add_prefix_space",
                                false,
                                "trim_offsets",
                                false,
                                "use_regex",
                                false),
                "decoder",
                        object("type", "ByteLevel", "add_prefix_space", true, "trim_offsets", true, "use_regex", true),
                "model",
                        object(
                                "type",
                                "BPE",
                                "dropout",
                                null,
                                "unk_token",
                                null,
                                "continuing_subword_prefix",
                                null,
                                "end_of_word_suffix",
                                null,
                                "fuse_unk",
                                false,
                                "byte_fallback",
                                false,
                                "ignore_merges",
                                false,
                                "vocab",
                                vocabulary,
                                "merges",
                                bpe.merges().stream()
                                        .map(m -> List.of(m.left(), m.right()))
                                        .toList()));
        return json().writeValueAsString(tokenizer) + "\n";
    }

    /** {@code tokenizer_config.json}: which added token plays which part, and the ChatML template. */
    static String configJson() throws IOException {
        Map<String, Object> decoder = new LinkedHashMap<>();
        for (int i = 0; i < ADDED.size(); i++) {
            decoder.put(
                    String.valueOf(SIZE - ADDED.size() + i),
                    object(
                            "content",
                            ADDED.get(i),
                            "lstrip",
                            false,
                            "normalized",
                            false,
                            "rstrip",
                            false,
                            "single_word",
                            false,
                            "special",
                            true));
        }
        return json().enable(SerializationFeature.INDENT_OUTPUT)
                        .writeValueAsString(object(
                                "add_prefix_space",
                                false,
                                "added_tokens_decoder",
                                decoder,
                                "bos_token",
                                "<s>",
                                "chat_template",
                                CHAT_TEMPLATE,
                                "clean_up_tokenization_spaces",
                                false,
                                "eos_token",
                                "<|im_end|>",
                                "errors",
                                "replace",
                                "model_max_length",
                                512,
                                "pad_token",
                                "<|endoftext|>",
                                "tokenizer_class",
                                "Qwen2Tokenizer",
                                "unk_token",
                                null))
                + "\n";
    }

    private static ObjectMapper json() {
        return new ObjectMapper();
    }

    private static Map<String, Object> object(Object... keysAndValues) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            map.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return map;
    }
}
