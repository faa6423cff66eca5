package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.spec.SFTJobSpec.Template;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.SampleView;
import io.vlmoperator.trainer.data.SampleView.Sample;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** {@code vlm-trainer data show}: a sample of a finished Dataset as the model sees it; {@code data score}: see {@link DataScoreCommand}. */
final class DataCommand {
    private static final int LAST = 999_999_999;

    private final Arguments arguments;
    private final Map<String, String> environment;
    private final PrintStream out;

    DataCommand(List<String> words, Map<String, String> environment, PrintStream out) {
        this.arguments = Arguments.parse(
                words,
                List.of("--sample", "--tokenizer", "--images", "--image-size", "--template"),
                List.of("--mount"));
        this.environment = environment;
        this.out = out;
    }

    int run() {
        List<String> words = arguments.words();
        if (words.size() != 2 || !words.getFirst().equals("show")) {
            throw TrainerException.configuration(
                    "write: data show DATASET --tokenizer DIR [--mount CLAIM=FOLDER]... [--sample N] [--images DIR] [--image-size N]"
                            + " [--template ChatML|PaperCompatible]; there are data fetch and data score, too");
        }
        Places places = Places.of(arguments, environment);
        Path folder = places.path(words.get(1));
        Path tokenizerFolder = places.path(arguments
                .one("--tokenizer")
                .orElseThrow(() -> TrainerException.configuration(
                        "option --tokenizer is missing: the folder of the tokenizer that the Dataset was made with")));
        Template template = arguments
                .one("--template")
                .map(name -> Arrays.stream(Template.values())
                        .filter(t -> t.name().equals(name))
                        .findFirst()
                        .orElseThrow(() -> TrainerException.configuration(
                                "--template is one of " + Arrays.toString(Template.values()))))
                .orElse(Template.ChatML);
        String number = arguments.one("--sample").orElse("0");
        if (!number.matches("\\d{1,9}")) {
            throw TrainerException.configuration("--sample is '" + number + "'; 0 to " + LAST + " is possible");
        }
        int side = arguments.number("--image-size", 4096).orElse(384);
        try (Tokenizer tokenizer = Tokenizer.load(tokenizerFolder);
                SampleView view = SampleView.open(folder, places.locations(), tokenizer, template)) {
            Sample sample = view.sample(Integer.parseInt(number), side);
            print(sample, Integer.parseInt(number), view.size(), tokenizer);
            if (arguments.one("--images").isPresent()) {
                write(
                        sample,
                        number,
                        side,
                        places.path(arguments.one("--images").get()));
            }
        }
        return 0;
    }

    private void print(Sample sample, int number, long size, Tokenizer tokenizer) {
        EncodedText text = sample.text();
        out.printf(
                "sample %d of %d: row %d, position %d%n%s, key %s, uid %s%n",
                number, size, sample.row(), sample.position(), sample.shard(), printable(sample.key()), sample.uid());
        out.printf(
                "%d tokens in the row: %d of text, %d image(s) of %d%n%n",
                sample.length(), text.textTokens(), text.images(), sample.tokensPerImage());
        out.println("text (places of images in brackets):");
        out.println(shown(text, tokenizer));
        out.println();
        out.println("   place        id  target  token");
        int place = 0;
        int image = 0;
        for (int i = 0; i < text.ids().length; i++) {
            if (text.ids()[i] == EncodedText.IMAGE) {
                out.printf(
                        "%8d  %8s  %6s  [image %d: places %d to %d]%n",
                        place, "image", "no", image++, place, place + sample.tokensPerImage() - 1);
                place += sample.tokensPerImage();
                continue;
            }
            boolean target = text.labels()[i] != EncodedText.IGNORE && i > 0;
            String token = tokenizer.decode(new int[] {text.ids()[i]}, false);
            out.printf("%8d  %8d  %6s  %s%n", place++, text.ids()[i], target ? "yes" : "no", quoted(token));
        }
    }

    private static String shown(EncodedText text, Tokenizer tokenizer) {
        StringBuilder shown = new StringBuilder();
        int image = 0;
        int from = 0;
        for (int i = 0; i <= text.ids().length; i++) {
            if (i == text.ids().length || text.ids()[i] == EncodedText.IMAGE) {
                shown.append(printable(tokenizer.decode(Arrays.copyOfRange(text.ids(), from, i), false)));
                if (i < text.ids().length) {
                    shown.append("[image ").append(image++).append(']');
                }
                from = i + 1;
            }
        }
        return shown.toString();
    }

    private static String quoted(String token) {
        return '"' + printable(token).replace("\n", "\\n").replace("\t", "\\t") + '"';
    }

    /** Data must not steer the terminal. */
    private static String printable(String text) {
        StringBuilder safe = new StringBuilder();
        text.codePoints().forEach(c -> {
            if (Character.isISOControl(c) && c != '\n' && c != '\t' || Character.getType(c) == Character.FORMAT) {
                safe.append("\\u{").append(Integer.toHexString(c)).append('}');
            } else {
                safe.appendCodePoint(c);
            }
        });
        return safe.toString();
    }

    private void write(Sample sample, String number, int side, Path folder) {
        try {
            Files.createDirectories(folder);
            for (int i = 0; i < sample.images().size(); i++) {
                Path file = folder.resolve("sample-" + number + "-image-" + i);
                Path original = file.resolveSibling(file.getFileName() + "."
                        + SampleView.fileType(sample.images().get(i)));
                Path seen = file.resolveSibling(file.getFileName() + "-" + side + ".png");
                Files.write(original, sample.images().get(i));
                Files.write(seen, sample.seen().get(i));
                out.println("written: " + original + ", and as the model sees it " + seen);
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't write the images to " + folder + ": " + e, e);
        }
    }
}
