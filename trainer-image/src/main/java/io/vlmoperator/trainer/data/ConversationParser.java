package io.vlmoperator.trainer.data;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.text.Conversation;
import io.vlmoperator.trainer.text.Conversation.Role;
import io.vlmoperator.trainer.text.Conversation.Turn;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** A LLaVA conversation: {@code {"id", "image": path or list of paths, "conversations": [{"from": "human"|"gpt", "value"}]}}. */
final class ConversationParser {
    private static final int MAX_TURNS = 1_000;
    private static final int MAX_IMAGES = 64;
    private static final ObjectMapper JSON = new ObjectMapper(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(100)
                            .maxStringLength(ConversationScanner.MAX_OBJECT)
                            .build())
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private ConversationParser() {}

    /**
     * @param id as the file gives it, for people; may be empty
     * @param imageLiterals image places outside the user's text, which stay text
     */
    record Parsed(String id, Conversation conversation, List<String> images, int imageLiterals) {}

    /** A JSON value with bounds on its depth. */
    static JsonNode json(byte[] bytes) throws RejectedException {
        JsonNode node;
        try {
            node = JSON.readTree(bytes);
        } catch (JsonProcessingException e) {
            throw new RejectedException(
                    RejectReason.JsonInvalid,
                    e.getOriginalMessage().lines().findFirst().orElse("no JSON"));
        } catch (IOException e) {
            // Broken UTF-8 comes as a plain IOException.
            throw new RejectedException(RejectReason.InvalidUtf8, String.valueOf(e.getMessage()));
        }
        if (node == null || !node.isObject()) {
            throw new RejectedException(RejectReason.JsonInvalid, "no JSON object");
        }
        return node;
    }

    static Parsed parse(byte[] bytes) throws RejectedException {
        JsonNode root = json(bytes);
        JsonNode list = root.path("conversations");
        require(list.isArray() && !list.isEmpty(), "no list 'conversations'");
        require(list.size() <= MAX_TURNS, "more than " + MAX_TURNS + " turns");
        String system = "";
        List<Turn> turns = new ArrayList<>();
        int places = 0;
        int literals = 0;
        for (JsonNode turn : list) {
            String text = text(turn.path("value"), "value");
            String from = text(turn.path("from"), "from");
            switch (from) {
                case "system" -> {
                    require(turns.isEmpty() && system.isEmpty(), "a system turn that is not the first");
                    system = text;
                    literals += count(text);
                }
                case "human", "user" -> {
                    require(turns.size() % 2 == 0, "two turns of the user in a row");
                    turns.add(new Turn(Role.User, text));
                    places += count(text);
                }
                case "gpt", "assistant" -> {
                    require(turns.size() % 2 == 1, "an answer without a question before it");
                    turns.add(new Turn(Role.Assistant, text));
                    literals += count(text);
                }
                default -> require(false, "a turn from '" + IndexRow.cut(from) + "'; human, gpt or system is meant");
            }
        }
        require(!turns.isEmpty() && turns.size() % 2 == 0, "no answer at the end");
        List<String> images = images(root.path("image"));
        if (images.size() != places) {
            throw new RejectedException(
                    RejectReason.ImagePlaces, images.size() + " images, but " + places + " places " + Tokenizer.IMAGE);
        }
        JsonNode id = root.path("id");
        return new Parsed(id.isValueNode() ? id.asText() : "", new Conversation(system, turns), images, literals);
    }

    private static List<String> images(JsonNode image) throws RejectedException {
        List<String> images = new ArrayList<>();
        if (image.isTextual()) {
            images.add(text(image, "image"));
        } else if (image.isArray()) {
            require(image.size() <= MAX_IMAGES, "more than " + MAX_IMAGES + " images");
            for (JsonNode path : image) {
                images.add(text(path, "image"));
            }
        } else {
            require(image.isMissingNode() || image.isNull(), "'image' is no path");
        }
        return images;
    }

    private static String text(JsonNode node, String name) throws RejectedException {
        require(node.isTextual(), "a turn without text '" + name + "'");
        String text = node.asText();
        requirePairs(text);
        return text;
    }

    /** JSON can spell half a character; no tokenizer takes that. */
    static void requirePairs(String text) throws RejectedException {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean pair = Character.isHighSurrogate(c)
                    && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1));
            if (pair) {
                i++;
            } else if (Character.isSurrogate(c)) {
                throw new RejectedException(RejectReason.InvalidUtf8, "half a surrogate pair");
            }
        }
    }

    private static int count(String text) {
        int count = 0;
        for (int at = text.indexOf(Tokenizer.IMAGE); at >= 0; at = text.indexOf(Tokenizer.IMAGE, at + 1)) {
            count++;
        }
        return count;
    }

    private static void require(boolean holds, String detail) throws RejectedException {
        if (!holds) {
            throw new RejectedException(RejectReason.ConversationInvalid, detail);
        }
    }
}
