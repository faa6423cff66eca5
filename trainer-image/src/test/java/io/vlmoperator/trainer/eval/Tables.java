package io.vlmoperator.trainer.eval;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;

/** Makes small benchmark files. */
final class Tables {
    static final String HEADER = "index\timage\tquestion\tA\tB\tC\tD\tanswer\tcategory\tsplit";
    static final int SIDE = 16;
    private static final List<String> NAMES = List.of(
            "red apple",
            "cat",
            "cat face",
            "dog",
            "house",
            "tall tree",
            "boat",
            "blue kite",
            "lamp",
            "clock",
            "drum",
            "fox");

    private Tables() {}

    /** Random pictures and options. */
    static Path write(Path file, int rows, long seed) throws IOException {
        Random random = new Random(seed);
        List<String> lines = new ArrayList<>(List.of(HEADER));
        for (int i = 0; i < rows; i++) {
            List<String> names = new ArrayList<>(NAMES);
            Collections.shuffle(names, random);
            lines.add(String.join(
                    "\t",
                    Integer.toString(100 + i),
                    image(random),
                    "What is this?",
                    String.join("\t", names.subList(0, 4)),
                    Character.toString('A' + random.nextInt(4)),
                    i % 3 == 0 ? "things" : "animals",
                    "test"));
        }
        return Files.write(file, lines);
    }

    static String image(Random random) {
        BufferedImage image = new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < SIDE * SIDE; i++) {
            image.setRGB(i % SIDE, i / SIDE, random.nextInt(1 << 24));
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, "png", out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Base64.getEncoder().encodeToString(out.toByteArray());
    }

    static BenchmarkTable table(Path file) {
        return new BenchmarkTable(file, EvalStage.images());
    }
}
