package io.vlmoperator.trainer.text;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A byte-level BPE tokenizer read from a {@code tokenizer.json}. It never truncates, pads or adds tokens by itself. Text that comes
 * from data is encoded with the added tokens switched off, so that {@code <|im_end|>} in a caption stays text; control tokens are put
 * in by id. Safe for use by several threads.
 */
public final class Tokenizer implements AutoCloseable {
    public static final String BEGIN = "<s>";
    public static final String MESSAGE_START = "<|im_start|>";
    public static final String MESSAGE_END = "<|im_end|>";
    public static final String END_OF_TEXT = "<|endoftext|>";
    public static final String END_OF_CHUNK = "<|endofchunk|>";
    /** Place of an image in a text; no token. */
    public static final String IMAGE = "<image>";

    private static final String FILE = "tokenizer.json";
    private static final long MAX_BYTES = 256L << 20;
    private static final int KNOWN_LENGTH = 64;
    private static final int KNOWN_TEXTS = 20_000;
    private static final Map<String, String> OPTIONS =
            Map.of("truncation", "false", "padding", "false", "addSpecialTokens", "false");

    private final String name;
    private final String digest;
    private final Map<String, Integer> added;
    private final Map<String, Integer> vocabulary;
    private final int[] byteLengths;
    private final HuggingFaceTokenizer plain;
    private final HuggingFaceTokenizer markup;
    private final Optional<WordIds> words;
    /** What stands literally in a text and is counted: the added tokens and {@code <s>}. */
    private final List<String> literals;

    private final boolean literalsBeginWithBracket;
    /** Ids of short texts: role headers, system messages and usual questions come again and again. */
    private final ConcurrentHashMap<String, int[]> known = new ConcurrentHashMap<>();

    private Tokenizer(
            String name,
            String digest,
            Map<String, Integer> added,
            Map<String, Integer> vocabulary,
            int[] byteLengths,
            HuggingFaceTokenizer plain,
            JsonNode plainJson,
            HuggingFaceTokenizer markup) {
        this.name = name;
        this.digest = digest;
        this.added = added;
        this.vocabulary = vocabulary;
        this.byteLengths = byteLengths;
        this.plain = plain;
        this.markup = markup;
        words = WordIds.of(plainJson, word -> encode(plain, word));
        List<String> tokens = new ArrayList<>(added.keySet());
        if (!added.containsKey(BEGIN) && vocabulary.containsKey(BEGIN)) {
            tokens.add(BEGIN);
        }
        literals = List.copyOf(tokens);
        literalsBeginWithBracket = tokens.stream().allMatch(token -> token.startsWith("<"));
    }

    /**
     * @param folder holds {@code tokenizer.json}
     * @throws TrainerException InvalidConfiguration when there is none, or it is no byte-level BPE tokenizer; StorageFailed when it
     *     can't be read
     */
    public static Tokenizer load(Path folder) {
        Path file = folder.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw TrainerException.configuration(
                    folder + " holds no " + FILE + "; name a folder with a Hugging Face tokenizer");
        }
        byte[] bytes;
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw TrainerException.configuration(file + " is larger than " + (MAX_BYTES >> 20) + " MiB");
            }
            bytes = Files.readAllBytes(file);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + file + ": " + e.getMessage(), e);
        }
        return parse(file.toString(), bytes);
    }

    private static Tokenizer parse(String name, byte[] bytes) {
        ObjectNode root;
        try {
            if (!(new ObjectMapper().readTree(bytes) instanceof ObjectNode node)) {
                throw TrainerException.configuration(name + " is no JSON object");
            }
            root = node;
        } catch (JsonProcessingException e) {
            throw new TrainerException(
                    ExitCode.InvalidConfiguration, name + " is no valid JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + name, e);
        }
        requireByteLevel(name, root);
        Map<String, Integer> vocabulary = new HashMap<>();
        root.path("model")
                .path("vocab")
                .properties()
                .forEach(e -> vocabulary.put(e.getKey(), e.getValue().asInt(-1)));
        Map<String, Integer> added = new HashMap<>();
        for (JsonNode token : root.path("added_tokens")) {
            added.put(token.path("content").asText(), token.path("id").asInt(-1));
        }
        int[] byteLengths = byteLengths(name, vocabulary, added);
        // Qwen2.5 has <s> as an ordinary entry; markup text treats it as the control token that the paper's code makes
        // of it.
        Integer begin = vocabulary.get(BEGIN);
        ObjectNode withBegin = root.deepCopy();
        if (begin != null && !added.containsKey(BEGIN)) {
            withBegin
                    .withArray("added_tokens")
                    .addObject()
                    .put("id", begin)
                    .put("content", BEGIN)
                    .put("single_word", false)
                    .put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false)
                    .put("special", true);
        }
        ObjectNode without = root.deepCopy();
        without.putArray("added_tokens");
        HuggingFaceTokenizer markup = open(name, withBegin);
        HuggingFaceTokenizer plain;
        try {
            plain = open(name, without);
        } catch (TrainerException e) {
            markup.close();
            throw e;
        }
        Tokenizer tokenizer =
                new Tokenizer(name, digest(bytes), Map.copyOf(added), vocabulary, byteLengths, plain, without, markup);
        tokenizer.requirePlain();
        return tokenizer;
    }

    private static HuggingFaceTokenizer open(String name, ObjectNode json) {
        // Truncation and padding written into the file would survive the options.
        json.putNull("truncation");
        json.putNull("padding");
        try (ByteArrayInputStream in = new ByteArrayInputStream(json.toString().getBytes(StandardCharsets.UTF_8))) {
            return HuggingFaceTokenizer.newInstance(in, OPTIONS);
        } catch (IOException | RuntimeException e) {
            throw new TrainerException(ExitCode.InvalidConfiguration, name + " is no tokenizer: " + e.getMessage(), e);
        }
    }

    private static void requireByteLevel(String name, JsonNode root) {
        boolean bpe = root.path("model").path("type").asText("BPE").equals("BPE")
                && root.path("model").path("vocab").isObject();
        boolean byteLevel = root.path("pre_tokenizer").toString().contains("\"ByteLevel\"")
                && root.path("decoder").toString().contains("\"ByteLevel\"");
        if (!bpe || !byteLevel) {
            throw TrainerException.configuration(
                    name
                            + " is no byte-level BPE tokenizer (model BPE, pre-tokenizer and decoder ByteLevel); use one of the Qwen2 kind");
        }
    }

    /** In the byte alphabet every byte is one character, so an entry is as many bytes as its spelling has characters. */
    private static int[] byteLengths(String name, Map<String, Integer> vocabulary, Map<String, Integer> added) {
        int highest = -1;
        for (Map<String, Integer> map : List.of(vocabulary, added)) {
            for (Map.Entry<String, Integer> entry : map.entrySet()) {
                if (entry.getValue() < 0 || entry.getValue() > 10_000_000) {
                    throw TrainerException.configuration(
                            name + ": token '" + entry.getKey() + "' has no id between 0 and 10,000,000");
                }
                highest = Math.max(highest, entry.getValue());
            }
        }
        int[] lengths = new int[highest + 1];
        vocabulary.forEach((token, id) -> lengths[id] = token.length());
        added.forEach((token, id) -> lengths[id] = token.getBytes(StandardCharsets.UTF_8).length);
        return lengths;
    }

    /** Data must not be able to write control tokens. */
    private void requirePlain() {
        for (Map.Entry<String, Integer> token : added.entrySet()) {
            for (int id : encode(token.getKey())) {
                if (added.containsValue(id) && id == token.getValue()) {
                    throw TrainerException.configuration(name + ": the plain text " + token.getKey()
                            + " becomes the control token; data could forge it, so this tokenizer can't be used");
                }
            }
        }
    }

    private static String digest(byte[] bytes) {
        try {
            return "sha256:"
                    + HexFormat.of()
                            .formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /** Ids of a text that comes from data: no added token is recognised in it. */
    public int[] encode(String text) {
        if (text.length() > KNOWN_LENGTH) {
            return encodeNew(text);
        }
        int[] found = known.get(text);
        if (found == null) {
            found = encodeNew(text);
            if (known.size() < KNOWN_TEXTS) {
                known.put(text, found);
            }
        }
        return found.clone();
    }

    private int[] encodeNew(String text) {
        Optional<int[]> ids = words.isPresent() ? words.get().encode(text) : Optional.empty();
        return ids.isPresent() ? ids.get() : encode(plain, text);
    }

    /** Ids of a text in which added tokens (and {@code <s>}) are recognised: the paper's behaviour. */
    public int[] encodeMarkup(String text) {
        return encode(markup, text);
    }

    private static int[] encode(HuggingFaceTokenizer tokenizer, String text) {
        if (text.isEmpty()) {
            return new int[0];
        }
        // The library's own class asks for words, spans and masks, too, which takes longer than the ids.
        long encoding = TokenizersLibrary.LIB.encode(tokenizer.getHandle(), text, false);
        long[] ids;
        try {
            ids = TokenizersLibrary.LIB.getTokenIds(encoding);
        } finally {
            TokenizersLibrary.LIB.deleteEncoding(encoding);
        }
        int[] out = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            out[i] = (int) ids[i];
        }
        return out;
    }

    /**
     * The text of ids.
     *
     * @param skipSpecial leaves special tokens out
     */
    public String decode(int[] ids, boolean skipSpecial) {
        if (ids.length == 0) {
            return "";
        }
        for (int id : ids) {
            if (id < 0) {
                throw new IllegalArgumentException("id " + id + " is no token");
            }
        }
        return markup.decode(Arrays.stream(ids).asLongStream().toArray(), skipSpecial);
    }

    /**
     * Id of a control token such as {@link #MESSAGE_END}.
     *
     * @throws TrainerException InvalidConfiguration when the tokenizer has no such token
     */
    public int id(String token) {
        return find(token)
                .orElseThrow(() -> TrainerException.configuration(name + " has no token " + token
                        + ", which this data needs; use a Qwen2.5 tokenizer with it added"));
    }

    /** Id of a token by its exact spelling, if there is one. */
    public OptionalInt find(String token) {
        Integer id = added.get(token);
        if (id == null) {
            id = vocabulary.get(token);
        }
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /** How many added tokens stand literally in the text. They stay text; people want to know. */
    public int specialTokenLiterals(String text) {
        if (literalsBeginWithBracket && text.indexOf('<') < 0) {
            return 0;
        }
        int count = 0;
        for (String token : literals) {
            for (int at = text.indexOf(token); at >= 0; at = text.indexOf(token, at + token.length())) {
                count++;
            }
        }
        return count;
    }

    /** Whether the id is one of the added tokens or {@code <s>}: what text from data can't write. */
    public boolean isControl(int id) {
        Integer begin = vocabulary.get(BEGIN);
        return added.containsValue(id) || (begin != null && begin == id);
    }

    /** UTF-8 bytes that the token stands for. */
    public int byteLength(int id) {
        return byteLengths[id];
    }

    /** One more than the highest id: what a model's vocabulary must at least have. */
    public int vocabularySize() {
        return byteLengths.length;
    }

    /** SHA-256 of the file, {@code sha256:HEX}. */
    public String digest() {
        return digest;
    }

    /** The file it was read from, for messages. */
    public String name() {
        return name;
    }

    @Override
    public void close() {
        plain.close();
        markup.close();
    }
}
