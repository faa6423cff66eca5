package io.vlmoperator.trainer.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;

/**
 * A document of several images and texts, in one of two forms: OBELICS' parallel lists {@code images} and {@code texts}, of which at each
 * place one is null; or MMC4's {@code text_list} with {@code image_info}, whose entries name the text that their image stands before. Images
 * behind the last text are left out: nothing that follows them could be learnt.
 *
 * @param texts the texts in order; an empty Optional stands for an image
 * @param images what names the images, in order: a path, a data url, or Base64
 */
record Document(String id, List<Optional<String>> texts, List<String> images) {
    private static final int MAX_PIECES = 1_000;
    private static final int MAX_IMAGES = 64;
    /** A path is no longer; Base64 of any picture is. */
    private static final int MAX_PATH = 1_024;

    static Document parse(byte[] bytes) throws RejectedException {
        JsonNode root = ConversationParser.json(bytes);
        List<Optional<String>> texts = new ArrayList<>();
        List<String> images = new ArrayList<>();
        if (root.has("text_list")) {
            mmc4(root, texts, images);
        } else if (root.has("texts") && root.has("images")) {
            obelics(root, texts, images);
        } else {
            throw invalid("neither 'texts' and 'images' nor 'text_list' and 'image_info'");
        }
        while (!texts.isEmpty() && texts.getLast().isEmpty()) {
            texts.removeLast();
            images.removeLast();
        }
        if (images.isEmpty()) {
            throw invalid("no image with a text behind it");
        }
        JsonNode id = root.path("uid").isValueNode() ? root.path("uid") : root.path("id");
        return new Document(id.isValueNode() ? id.asText() : "", List.copyOf(texts), List.copyOf(images));
    }

    private static void obelics(JsonNode root, List<Optional<String>> texts, List<String> images)
            throws RejectedException {
        JsonNode words = list(root, "texts");
        JsonNode pictures = list(root, "images");
        if (words.size() != pictures.size()) {
            throw invalid(words.size() + " texts, but " + pictures.size() + " images: the lists are parallel");
        }
        for (int i = 0; i < words.size(); i++) {
            JsonNode word = words.get(i);
            JsonNode picture = pictures.get(i);
            if (!word.isNull() && !picture.isNull()) {
                throw invalid("both a text and an image at place " + i);
            }
            if (!picture.isNull()) {
                addImage(picture, texts, images);
            } else if (!word.isNull()) {
                addText(word, texts);
            }
        }
    }

    private static void mmc4(JsonNode root, List<Optional<String>> texts, List<String> images)
            throws RejectedException {
        JsonNode words = list(root, "text_list");
        JsonNode pictures = list(root, "image_info");
        List<List<JsonNode>> before = new ArrayList<>();
        for (int i = 0; i < words.size(); i++) {
            before.add(new ArrayList<>());
        }
        for (JsonNode picture : pictures) {
            JsonNode at = picture.path("matched_text_index");
            if (!at.canConvertToInt() || at.asInt() < 0 || at.asInt() >= words.size()) {
                throw invalid("an image without a 'matched_text_index' of a text");
            }
            JsonNode inside = picture.path("image_base64");
            before.get(at.asInt()).add(inside.isTextual() ? inside : picture.path("image_name"));
        }
        for (int i = 0; i < words.size(); i++) {
            for (JsonNode picture : before.get(i)) {
                addImage(picture, texts, images);
            }
            addText(words.get(i), texts);
        }
    }

    private static JsonNode list(JsonNode root, String name) throws RejectedException {
        JsonNode list = root.path(name);
        if (!list.isArray() || list.size() > MAX_PIECES) {
            throw invalid(list.isArray() ? "more than " + MAX_PIECES + " " + name : "'" + name + "' is no list");
        }
        return list;
    }

    private static void addText(JsonNode text, List<Optional<String>> texts) throws RejectedException {
        if (!text.isTextual()) {
            throw invalid("a text that is none");
        }
        ConversationParser.requirePairs(text.asText());
        if (!text.asText().isBlank()) {
            texts.add(Optional.of(text.asText()));
        }
    }

    private static void addImage(JsonNode image, List<Optional<String>> texts, List<String> images)
            throws RejectedException {
        if (!image.isTextual() || image.asText().isEmpty()) {
            throw invalid("an image that is neither a path nor Base64");
        }
        if (images.size() == MAX_IMAGES) {
            throw invalid("more than " + MAX_IMAGES + " images");
        }
        texts.add(Optional.empty());
        images.add(image.asText());
    }

    /** The JSON and the files of the images. */
    byte[][] parts(byte[] json, Optional<Path> folder) throws IOException, RejectedException {
        byte[][] parts = new byte[1 + images.size()][];
        parts[0] = json;
        for (int i = 0; i < images.size(); i++) {
            parts[1 + i] = image(images.get(i), folder);
        }
        return parts;
    }

    private static byte[] image(String image, Optional<Path> folder) throws IOException, RejectedException {
        if (image.startsWith("http://") || image.startsWith("https://")) {
            throw new RejectedException(
                    RejectReason.ImageMissing,
                    "images of documents are not downloaded (" + IndexRow.cut(image)
                            + "); put the files into a folder");
        }
        boolean dataUrl = image.startsWith("data:");
        if (!dataUrl && folder.isPresent() && image.length() <= MAX_PATH) {
            return ImageFolder.read(folder, image);
        }
        int comma = dataUrl ? image.indexOf(',') : -1;
        if (dataUrl && (comma < 0 || !image.substring(0, comma).endsWith(";base64"))) {
            throw new RejectedException(RejectReason.ImageUndecodable, "a data url without ;base64");
        }
        if (image.length() > SampleRules.MAX_IMAGE_BYTES / 3 * 4) {
            throw new RejectedException(RejectReason.ImageTooLarge, image.length() + " characters of Base64");
        }
        try {
            return Base64.getDecoder().decode(image.substring(comma + 1));
        } catch (IllegalArgumentException e) {
            throw new RejectedException(
                    RejectReason.ImageMissing,
                    "'" + IndexRow.cut(image) + "' is no Base64"
                            + (folder.isEmpty() ? ", and the source names no folder of images" : ""));
        }
    }

    /** Literal image places in the texts, which stay text. */
    int imageLiterals() {
        return texts.stream()
                .flatMap(Optional::stream)
                .mapToInt(text -> SampleRules.count(text, Tokenizer.IMAGE))
                .sum();
    }

    private static RejectedException invalid(String detail) {
        return new RejectedException(RejectReason.DocumentInvalid, detail);
    }
}
