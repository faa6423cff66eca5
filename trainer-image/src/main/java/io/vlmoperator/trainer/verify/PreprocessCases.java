package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.data.Bicubic;
import io.vlmoperator.trainer.data.ImageDecoder;
import io.vlmoperator.trainer.data.Normalize;
import io.vlmoperator.trainer.data.Pixels;
import io.vlmoperator.trainer.data.RejectReason;
import io.vlmoperator.trainer.data.RejectedException;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Image files: RGB pixels, the resize, the normalised tensor, malformed files, and the bare resampling. */
final class PreprocessCases {
    private static final int SIDE = 384;
    private static final String KIND = "preprocess";

    private final Path folder;
    private final Findings findings;
    private final ImageDecoder decoder = new ImageDecoder();

    PreprocessCases(Path folder, Findings findings) {
        this.folder = folder;
        this.findings = findings;
    }

    void run() throws IOException {
        if (Files.exists(folder.resolve("cases.json"))) {
            ArrayNode own = JsonNodeFactory.instance.arrayNode();
            for (JsonNode row : json("cases.json").path("cases")) {
                own.add(picture(row));
            }
            findings.json(KIND, "cases.json", own);
        }
        if (Files.exists(folder.resolve("malformed.json"))) {
            ArrayNode own = JsonNodeFactory.instance.arrayNode();
            for (JsonNode row : json("malformed.json").path("cases")) {
                own.add(malformed(row));
            }
            findings.json(KIND, "malformed.json", own);
        }
        if (Files.exists(folder.resolve("resize_arrays.safetensors"))) {
            arrays();
        }
    }

    private JsonNode json(String name) throws IOException {
        return new ObjectMapper().readTree(folder.resolve(name).toFile());
    }

    private ObjectNode picture(JsonNode golden) throws IOException {
        String name = golden.path("name").asText();
        String what = KIND + "/" + name + "/";
        ObjectNode own = JsonNodeFactory.instance.objectNode().put("name", name);
        own.put("file", golden.path("file").asText());
        Map<String, Values> tensors = new LinkedHashMap<>();
        Optional<Pixels> stored = png(golden.path("rgb_png").asText());
        Optional<Pixels> rgb;
        try {
            rgb = Optional.of(decoder.decode(file(golden.path("file").asText())));
        } catch (RejectedException e) {
            rgb = Optional.empty();
            own.put("refused", e.reason() + ": " + e.getMessage());
            boolean webp = golden.path("format").asText().equals("WEBP");
            if (webp && e.reason() == RejectReason.ImageUnsupported) {
                findings.leftOut(what + "rgb", "refused by name: " + e.reason() + ": " + e.getMessage());
            } else {
                findings.failed(what + "rgb", e.reason() + ": " + e.getMessage());
            }
        }
        if (rgb.isPresent()) {
            own.put("width", rgb.get().width()).put("height", rgb.get().height());
            own.put("rgb_sha256", Digests.sha256(rgb.get().rgbHWC()));
            bytes(what + "rgb", rgb.get(), golden.path("rgb_sha256").asText(), stored);
            tensors.put("rgb", Values.pixels(rgb.get()));
        }
        // A decoder may be another one; from the decoded pixels on everything must be equal.
        Optional<Pixels> source = stored.isPresent() ? stored : rgb;
        if (source.isPresent()) {
            Pixels resized = Bicubic.resize(source.get(), SIDE, SIDE);
            own.put("resized_sha256", Digests.sha256(resized.rgbHWC()));
            bytes(
                    what + "resized",
                    resized,
                    golden.path("resized_sha256").asText(),
                    png(golden.path("resized_png").asText()));
            float[] tensor = new float[3 * SIDE * SIDE];
            Normalize.toCHW(resized, tensor, 0);
            tensors.put("resized", Values.pixels(resized));
            tensors.put("tensor", new Values(List.of(3L, (long) SIDE, (long) SIDE), tensor));
            tensor(what + "tensor", tensor, golden, own);
        }
        findings.tensors(KIND, name, tensors);
        return own;
    }

    private void tensor(String what, float[] tensor, JsonNode golden, ObjectNode own) {
        String digest = Digests.sha256(Digests.bytes(tensor));
        own.put("tensor_sha256_float32_little_endian", digest);
        try (Findings.Tally tally = findings.tally(what)) {
            JsonNode first = golden.path("tensor_first");
            for (int i = 0; i < first.size(); i++) {
                tally.equal("element " + i, tensor[i], (float) first.get(i).asDouble());
            }
            tally.equal(
                    "sha256",
                    digest,
                    golden.path("tensor_sha256_float32_little_endian").asText());
        }
    }

    /** Equal by digest, or else how many bytes differ and by how much, if the expected pixels are given. */
    private void bytes(String what, Pixels actual, String digest, Optional<Pixels> expected) {
        try (Findings.Tally tally = findings.tally(what)) {
            boolean comparable = expected.isPresent() && expected.get().rgbHWC().length == actual.rgbHWC().length;
            if (Digests.sha256(actual.rgbHWC()).equals(digest) || !comparable) {
                tally.equal("sha256", Digests.sha256(actual.rgbHWC()), digest);
                return;
            }
            int worst = 0;
            for (int i = 0; i < actual.rgbHWC().length; i++) {
                int off = Math.abs((actual.rgbHWC()[i] & 0xFF) - (expected.get().rgbHWC()[i] & 0xFF));
                worst = Math.max(worst, off);
            }
            int largest = worst;
            for (int i = 0; i < actual.rgbHWC().length; i++) {
                tally.equal(
                        "byte " + i,
                        actual.rgbHWC()[i] == expected.get().rgbHWC()[i],
                        () -> "differs; the largest difference of all is " + largest + " levels");
            }
        }
    }

    private ObjectNode malformed(JsonNode golden) throws IOException {
        String name = golden.path("file").asText();
        ObjectNode own = JsonNodeFactory.instance.objectNode().put("file", name);
        String expected = golden.path("error").asText("");
        try (Findings.Tally tally =
                findings.tally(KIND + "/" + name + " (" + (expected.isEmpty() ? "readable" : expected) + ")")) {
            try {
                Pixels image = decoder.decode(file(name));
                own.put("read", image.width() + " x " + image.height());
                tally.equal("refused", "read", expected.isEmpty() ? "read" : "refused");
            } catch (RejectedException e) {
                own.put("reason", e.reason().name()).put("message", e.getMessage());
                boolean right = switch (expected) {
                    case "" -> false;
                    case "DecompressionBombError" -> e.reason() == RejectReason.ImageTooLarge;
                    default ->
                        e.reason() == RejectReason.ImageUndecodable
                                || e.reason() == RejectReason.ImageTooLarge
                                || e.reason() == RejectReason.ImageUnsupported;
                };
                tally.equal("reason", right, () -> e.reason() + ": " + e.getMessage());
            }
        }
        return own;
    }

    /** The bare resampling of {@code resize_arrays}. */
    private void arrays() throws IOException {
        try (Case result = Case.open(folder, "resize_arrays")) {
            for (int i = 0; result.has(i + ".input"); i++) {
                Safetensors.Entry to = result.golden().get(i + ".output");
                Pixels resized = Bicubic.resize(
                        image(result.input(i + ".input")),
                        Math.toIntExact(to.shape().get(1)),
                        Math.toIntExact(to.shape().get(0)));
                result.put(i + ".output", Values.pixels(resized));
                // Another order of the two passes, which is not the rule.
                result.inputs().add(i + ".output_pillow_13");
            }
            TensorComparisons.run(result, findings);
            findings.tensors(KIND, result.name(), result.produced());
        }
    }

    private static Pixels image(Safetensors.Entry array) {
        return new Pixels(
                Math.toIntExact(array.shape().get(1)),
                Math.toIntExact(array.shape().get(0)),
                array.data().toArray(ValueLayout.JAVA_BYTE));
    }

    private byte[] file(String name) throws IOException {
        return Files.readAllBytes(folder.resolve(name));
    }

    private Optional<Pixels> png(String name) throws IOException {
        if (name.isEmpty() || !Files.exists(folder.resolve(name))) {
            return Optional.empty();
        }
        try {
            return Optional.of(decoder.decode(file(name)));
        } catch (RejectedException e) {
            throw new IOException(name + ": " + e.reason() + ": " + e.getMessage(), e);
        }
    }
}
