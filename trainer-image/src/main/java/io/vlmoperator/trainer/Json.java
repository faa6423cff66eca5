package io.vlmoperator.trainer;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** JSON as the trainer reads and writes it: strict (an unknown field is an error with its path), without nulls, in a fixed order. */
public final class Json {
    private static final ObjectMapper MAPPER = strict(JsonMapper.builder());

    private Json() {}

    /** A mapper with the rules of this class, for another syntax such as YAML. */
    public static ObjectMapper strict(
            com.fasterxml.jackson.databind.cfg.MapperBuilder<? extends ObjectMapper, ?> builder) {
        return builder.enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
                .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                .enable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
                .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
                .defaultPropertyInclusion(
                        JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.NON_NULL))
                .build();
    }

    /** One line of JSON. */
    public static byte[] bytes(Object value) {
        try {
            return MAPPER.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not JSON: " + value.getClass().getName(), e);
        }
    }

    /** One line of JSON. */
    public static String text(Object value) {
        return new String(bytes(value), StandardCharsets.UTF_8);
    }

    /** The tree of a value. */
    public static JsonNode tree(Object value) {
        return MAPPER.valueToTree(value);
    }

    /** Reads a value; the message of the error names line, column and path. */
    public static <T> T read(byte[] json, Class<T> type) throws IOException {
        try {
            T value = MAPPER.readValue(json, type);
            if (value == null) {
                throw new IOException("is empty");
            }
            return value;
        } catch (JsonProcessingException e) {
            throw new IOException(problem(e), e);
        }
    }

    /**
     * Reads a file.
     *
     * @param maxBytes a longer file is refused
     */
    public static <T> T read(Path file, long maxBytes, Class<T> type) throws IOException {
        long size = Files.size(file);
        if (size > maxBytes) {
            throw new IOException(file + ": " + size + " bytes, but at most " + maxBytes + " are read");
        }
        try {
            return read(Files.readAllBytes(file), type);
        } catch (IOException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    /** The problem in one line, with the path of the field and its place in the text. */
    public static String problem(JsonProcessingException e) {
        StringBuilder text = new StringBuilder();
        if (e instanceof JsonMappingException mapping) {
            for (JsonMappingException.Reference part : mapping.getPath()) {
                text.append(
                        part.getFieldName() == null
                                ? "[" + part.getIndex() + "]"
                                : (text.isEmpty() ? "" : ".") + part.getFieldName());
            }
            text.append(text.isEmpty() ? "" : ": ");
        }
        text.append(e.getOriginalMessage().lines().findFirst().orElse("not readable"));
        if (e.getLocation() != null) {
            text.append(" (line ")
                    .append(e.getLocation().getLineNr())
                    .append(", column ")
                    .append(e.getLocation().getColumnNr())
                    .append(')');
        }
        return text.toString();
    }

    /** {@code sha256:...} of the value's JSON. */
    public static String digest(Object value) {
        return digest(bytes(value));
    }

    /** {@code sha256:...} of bytes. */
    public static String digest(byte[] bytes) {
        return "sha256:" + HexFormat.of().formatHex(sha256().digest(bytes));
    }

    /** A fresh SHA-256. */
    public static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
