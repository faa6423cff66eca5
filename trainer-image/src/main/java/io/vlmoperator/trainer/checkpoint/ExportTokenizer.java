package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * The tokenizer as other libraries get it: the tokens that training puts in by id ({@code <|endofchunk|>}, {@code <s>}) and, for a model with
 * images, {@code <image>} become added tokens of {@code tokenizer.json}. A token that is an ordinary entry of the vocabulary already
 * ({@code <s>} in Qwen2.5) keeps its id; the others take the next free ones.
 */
final class ExportTokenizer {
    static final String IMAGE = "<image>";
    private static final String BEGIN = "<s>";
    private static final String END_OF_CHUNK = "<|endofchunk|>";
    private static final String MESSAGE_END = "<|im_end|>";
    private static final String PAD = "<|endoftext|>";
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** A user's text with images in front, as training lays it out. */
    private static final String CHAT_TEMPLATE = """
            {%- if messages[0]['role'] != 'system' -%}
            {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
            {%- endif -%}
            {%- for message in messages -%}
            {{- '<|im_start|>' + message['role'] + '\\n' -}}
            {%- if message['content'] is string -%}
            {{- message['content'] -}}
            {%- else -%}
            {%- for part in message['content'] -%}
            {%- if part['type'] == 'image' -%}{{- '<image>\\n' -}}{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
            {%- endfor -%}
            {%- endif -%}
            {{- '<|im_end|>\\n' -}}
            {%- endfor -%}
            {%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
            """;

    /** Ids that configurations name. */
    record Ids(OptionalInt begin, OptionalInt end, OptionalInt pad) {
        void put(ObjectNode json) {
            begin.ifPresent(id -> json.put("bos_token_id", id));
            end.ifPresent(id -> json.put("eos_token_id", id));
            pad.ifPresent(id -> json.put("pad_token_id", id));
        }
    }

    private final ObjectNode root;
    private final ArrayNode added;
    private final Map<String, Integer> known = new HashMap<>();
    private int next;

    /**
     * @param file the model's {@code tokenizer.json}
     */
    ExportTokenizer(byte[] file) throws IOException {
        if (!(MAPPER.readTree(file) instanceof ObjectNode node)) {
            throw new IOException("the tokenizer is no JSON object");
        }
        root = node;
        added = root.withArray("added_tokens");
        for (Map.Entry<String, JsonNode> entry :
                root.path("model").path("vocab").properties()) {
            known.put(entry.getKey(), entry.getValue().asInt());
        }
        for (JsonNode token : added) {
            known.put(token.path("content").asText(), token.path("id").asInt());
        }
        next = known.values().stream().mapToInt(Integer::intValue).max().orElse(-1) + 1;
    }

    /** Adds what training puts in by id, and the image's place if it is wanted. */
    void complete(boolean images) {
        add(END_OF_CHUNK);
        add(BEGIN);
        if (images) {
            add(IMAGE);
        }
    }

    private void add(String token) {
        for (JsonNode present : added) {
            if (present.path("content").asText().equals(token)) {
                return;
            }
        }
        Integer id = known.get(token);
        if (id == null) {
            id = next++;
            known.put(token, id);
        }
        added.addObject()
                .put("id", id)
                .put("content", token)
                .put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", false)
                .put("special", true);
    }

    /** One more than the highest id. */
    int size() {
        return next;
    }

    OptionalInt id(String token) {
        Integer id = known.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    Ids ids() {
        return new Ids(id(BEGIN), id(MESSAGE_END), id(PAD));
    }

    /** {@code tokenizer.json}. */
    byte[] json() throws IOException {
        return MAPPER.writeValueAsBytes(root);
    }

    /** {@code tokenizer_config.json}. */
    ObjectNode config(int longest, boolean images) {
        ObjectNode config = MAPPER.createObjectNode()
                .put("tokenizer_class", "Qwen2Tokenizer")
                .put("add_bos_token", false)
                .put("add_prefix_space", false)
                .put("clean_up_tokenization_spaces", false)
                .put("errors", "replace")
                .put("model_max_length", longest)
                .put("split_special_tokens", false)
                .putNull("unk_token");
        if (images) {
            config.put("processor_class", "LlavaProcessor");
        }
        name(config, "bos_token", BEGIN);
        name(config, "eos_token", MESSAGE_END);
        name(config, "pad_token", PAD);
        ArrayNode more = config.putArray("additional_special_tokens");
        ObjectNode decoder = config.putObject("added_tokens_decoder");
        for (JsonNode token : added) {
            ObjectNode entry = token.deepCopy();
            entry.remove(List.of("id"));
            decoder.set(token.path("id").asText(), entry);
            if (token.path("special").asBoolean()) {
                more.add(token.path("content").asText());
            }
        }
        return config;
    }

    private void name(ObjectNode config, String field, String token) {
        if (known.containsKey(token)) {
            config.put(field, token);
        }
    }

    /** {@code chat_template.jinja}. */
    static String chatTemplate() {
        return CHAT_TEMPLATE.stripTrailing();
    }
}
