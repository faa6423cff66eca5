package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.nio.file.Path;
import java.util.Map;

/**
 * What a person names behind a command: a path of this machine, or a location ({@code s3://bucket/key}, {@code pvc://CLAIM/path} with
 * {@code --mount CLAIM=FOLDER} or in a pod, {@code file:///path}).
 */
final class Places {
    private final Locations locations;

    private Places(Locations locations) {
        this.locations = locations;
    }

    /** @param arguments whose {@code --mount} counts; without one, claims lie where a pod has them */
    static Places of(Arguments arguments, Map<String, String> environment) {
        Map<String, Path> mounts = Mounts.parse(arguments.many("--mount"));
        Locations locations = mounts.isEmpty()
                ? Locations.under(
                        Path.of(environment.getOrDefault(PodEnvironment.MOUNT_ROOT, PodEnvironment.DEFAULT_MOUNT_ROOT)))
                : Locations.of(mounts);
        return new Places(locations.in(environment));
    }

    Locations locations() {
        return locations;
    }

    /**
     * The path of a word.
     *
     * @throws TrainerException InvalidConfiguration for a location that can't be resolved, StorageFailed when its store does not answer
     */
    Path path(String text) {
        return text.contains("://") ? locations.resolve(text) : Path.of(text);
    }

    /**
     * The path of a word where files of this machine alone are of use.
     *
     * @param what it is, such as "verify"
     * @throws TrainerException InvalidConfiguration for a location, with what to do
     */
    static Path here(String text, String what) {
        if (text.startsWith("file:///")) {
            return Path.of(text.substring("file://".length()));
        }
        if (text.contains("://")) {
            throw TrainerException.configuration(what + " works on files of this machine, not on " + text
                    + "; bring them with 'vlm-trainer data fetch FOLDER --folder " + text + "' and name the folder");
        }
        return Path.of(text);
    }
}
