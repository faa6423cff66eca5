package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.TrainerException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The options {@code --mount CLAIM=FOLDER}. */
final class Mounts {
    private Mounts() {}

    /**
     * Folders by claim.
     *
     * @throws TrainerException InvalidConfiguration for another form, a missing folder or a claim named twice
     */
    static Map<String, Path> parse(List<String> options) {
        Map<String, Path> mounts = new LinkedHashMap<>();
        for (String text : options) {
            int equals = text.indexOf('=');
            if (equals < 1) {
                throw TrainerException.configuration("--mount '" + text + "'; write --mount CLAIM=FOLDER");
            }
            Path folder = Path.of(text.substring(equals + 1)).toAbsolutePath().normalize();
            if (!Files.isDirectory(folder)) {
                throw TrainerException.configuration("--mount " + text + ": " + folder + " is no folder");
            }
            if (mounts.put(text.substring(0, equals), folder) != null) {
                throw TrainerException.configuration("--mount " + text.substring(0, equals) + " stands twice");
            }
        }
        return mounts;
    }
}
