package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Export;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.checkpoint.Importer;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** {@code vlm-trainer export} and {@code vlm-trainer import}: models to and from the folders of other libraries. */
final class ModelCommands {
    private static final int MAX_TOKENS_PER_IMAGE = 1 << 20;

    private ModelCommands() {}

    static int export(List<String> words, Map<String, String> environment, PrintStream out) throws IOException {
        Arguments arguments = Arguments.parse(
                words,
                List.of("--checkpoint", "--to", "--type"),
                List.of("--mount"),
                List.of("--as-729", "--text-only"));
        arguments.requireNone();
        Places places = Places.of(arguments, environment);
        Path to = path(arguments, places, "--to");
        if (Files.exists(to) && !Files.exists(to.resolve("config.json"))) {
            throw TrainerException.configuration(to + " exists and is no model's folder; name another");
        }
        ModelLoader.Source source = ModelLoader.find(path(arguments, places, "--checkpoint"), Optional.empty());
        boolean textOnly = arguments.has("--text-only");
        ModelConfig config = source.config();
        int tokens = config.projector().tokensPerImage();
        int patches = config.vision().patches();
        if (tokens != patches && !textOnly && !arguments.has("--as-729")) {
            throw TrainerException.configuration(
                    "the model has " + tokens + " tokens per image, a stock LLaVA model one for each of the "
                            + patches + " patches. Train it at " + patches
                            + " first (an SFTJob with tokensPerImage), or export it with --as-729, which changes the model: the projector"
                            + " gets unpooled patches that it was not trained on");
        }
        DType type = arguments.one("--type").map(ModelCommands::type).orElse(source.type());
        byte[] tokenizer = Files.readAllBytes(source.tokenizer());
        if (!textOnly) {
            ModelConfig unpooled = new ModelConfig(config.language(), config.vision(), new ProjectorConfig(patches));
            Optional<String> reason = Export.whyNotStock(unpooled, tokenizer);
            if (reason.isPresent()) {
                throw TrainerException.configuration("the model can't be a stock LLaVA model: " + reason.get());
            }
        }
        try (Scope scope = Scope.open()) {
            ModelLoader.Loaded loaded =
                    ModelLoader.open(source, Set.of(), textOnly ? OptionalInt.empty() : OptionalInt.of(patches), scope);
            if (textOnly) {
                Export.writeText(to, loaded.model(), tokenizer, type);
                out.println("written: " + to + ", the text model alone (Qwen2), " + name(type));
                return 0;
            }
            Optional<Path> carried = source.isFolder() ? Optional.of(source.folder()) : Optional.empty();
            Export.write(to, loaded.model(), tokenizer, source.step(), new Export.Options(type, carried), Faults.NONE);
            out.println("written: " + to + ", LlavaForConditionalGeneration, " + patches + " tokens per image, "
                    + name(type));
            if (tokens != patches) {
                out.println(
                        "changed: the model was trained with " + tokens + " tokens per image, here it has " + patches);
            }
            return 0;
        }
    }

    static int imports(List<String> words, Map<String, String> environment, PrintStream out) {
        Arguments arguments = Arguments.parse(
                words,
                List.of(
                        "--to",
                        "--llava",
                        "--language",
                        "--vision",
                        "--projector",
                        "--released",
                        "--tokenizer",
                        "--tokens-per-image",
                        "--activation"),
                List.of("--mount"));
        arguments.requireNone();
        Places places = Places.of(arguments, environment);
        Importer.Source source;
        Path usualTokenizer;
        if (arguments.one("--llava").isPresent()) {
            usualTokenizer = path(arguments, places, "--llava");
            source = new Importer.Llava(usualTokenizer);
        } else if (arguments.one("--language").isEmpty()) {
            throw TrainerException.configuration(
                    "import needs --llava DIR, or --language DIR with --vision DIR and --projector FILE, or --released FILE"
                            + " with --language DIR and --vision DIR");
        } else {
            usualTokenizer = path(arguments, places, "--language");
            source = arguments.one("--released").isPresent()
                    ? new Importer.Released(
                            path(arguments, places, "--released"), usualTokenizer, path(arguments, places, "--vision"))
                    : new Importer.Parts(
                            usualTokenizer,
                            path(arguments, places, "--vision"),
                            path(arguments, places, "--projector"));
        }
        Importer.Settings settings = new Importer.Settings(
                arguments.one("--tokenizer").map(places::path).orElse(usualTokenizer),
                arguments.number("--tokens-per-image", MAX_TOKENS_PER_IMAGE),
                arguments.one("--activation").map(ModelCommands::activation));
        Path to = path(arguments, places, "--to");
        ModelConfig config = Importer.run(source, settings, to);
        out.println("written: " + to + ", " + config.projector().tokensPerImage() + " tokens per image, "
                + config.vision().activation() + " in the encoder");
        return 0;
    }

    private static DType type(String name) {
        return switch (name) {
            case "Float32" -> DType.FLOAT32;
            case "BFloat16" -> DType.BFLOAT16;
            default ->
                throw TrainerException.configuration("--type is '" + name + "'; Float32 and BFloat16 are written");
        };
    }

    private static String name(DType type) {
        return type == DType.BFLOAT16 ? "BFloat16" : "Float32";
    }

    private static VisionConfig.Activation activation(String name) {
        try {
            return VisionConfig.Activation.valueOf(name);
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration("--activation is '" + name + "'; there are Erf and Tanh");
        }
    }

    private static Path path(Arguments arguments, Places places, String option) {
        return places.path(arguments
                .one(option)
                .orElseThrow(() ->
                        TrainerException.configuration("option " + option + " is missing; see vlm-trainer --help")));
    }
}
