package io.vlmoperator.emoji;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;

/** Three small packages of hand-made drawings, laid out like the real ones. */
final class Fixture {
    private static final int COMPLETE = 10;

    private Fixture() {}

    /** Ten complete emoji in two categories, a swatch, one that Facebook lacks, and a younger one drawn like another. */
    static Map<DrawingSet, Path> packages(Path folder) throws IOException {
        List<String> table = new ArrayList<>();
        for (int i = 0; i < COMPLETE; i++) {
            table.add(entry(
                    i, "SHAPE  Number " + (char) ('a' + i), i % 2 == 0 ? "Food & Drink" : "Objects", "1.0", true));
        }
        table.add(entry(10, "SWATCH", "Component", "1.0", true));
        table.add(entry(11, "NOT AT FACEBOOK", "Objects", "1.0", false));
        table.add(entry(12, "TWIN", "Objects", "2.0", true).replace("\"sort_order\": 12", "\"sort_order\": -1"));
        Map<DrawingSet, Path> files = new EnumMap<>(DrawingSet.class);
        for (DrawingSet set : DrawingSet.values()) {
            Path file = folder.resolve(set.id() + ".tgz");
            try (TarArchiveOutputStream tar =
                    new TarArchiveOutputStream(new GZIPOutputStream(Files.newOutputStream(file)))) {
                add(
                        tar,
                        "package/emoji.json",
                        ("[" + String.join(",\n", table) + "]").getBytes(StandardCharsets.UTF_8));
                for (int i = 0; i <= 12; i++) {
                    // The twin has the picture of number 3 in Twitter's set only.
                    int picture = i == 12 && set == DrawingSet.TWITTER ? 3 : i;
                    add(tar, "package/img/" + set.id() + "/64/" + file(i), png(picture, set));
                    add(tar, "package/img/" + set.id() + "/sheets/" + file(i), new byte[] {1, 2, 3});
                }
            }
            files.put(set, file);
        }
        return files;
    }

    static String file(int number) {
        return "1f60" + Integer.toHexString(number) + ".png";
    }

    private static String entry(int number, String name, String category, String addedIn, boolean facebook) {
        return """
                {"name": "%s", "unified": "1F60%X", "image": "%s", "category": "%s", "added_in": "%s", "sort_order": %d,
                 "has_img_google": true, "has_img_twitter": true, "has_img_facebook": %b}""".formatted(name, number, file(number), category, addedIn, number, facebook);
    }

    /** A half transparent shape whose colour says the emoji and whose form says the set. */
    private static byte[] png(int number, DrawingSet set) throws IOException {
        BufferedImage image = new BufferedImage(Drawing.SIDE, Drawing.SIDE, BufferedImage.TYPE_INT_ARGB);
        Graphics2D graphics = image.createGraphics();
        graphics.setColor(new Color(20 * number, 255 - 20 * number, 100, 180));
        switch (set) {
            case GOOGLE -> graphics.fillRect(10, 10, 40, 40);
            case TWITTER -> graphics.fillOval(5, 5, 50, 50);
            case FACEBOOK -> graphics.fillRect(20, 5, 20, 50);
        }
        graphics.dispose();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.write(image, "png", out);
        return out.toByteArray();
    }

    private static void add(TarArchiveOutputStream tar, String name, byte[] bytes) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }
}
