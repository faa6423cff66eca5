package io.vlmoperator.local.node;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The programs of a node: image repository to command line. A repository is an image name without tag and digest. Programs may be added
 * while the node runs; a pod that waits for one starts soon after.
 */
public final class Images {
    private final Map<String, List<String>> programs = new ConcurrentHashMap<>();

    /** No programs yet. */
    public Images() {}

    /**
     * Says what an image runs.
     *
     * @param image its name; a tag or digest is left out
     * @param command an executable with an absolute path, and arguments that come before the container's own
     */
    public Images put(String image, List<String> command) {
        if (command.isEmpty() || !Path.of(command.getFirst()).isAbsolute()) {
            throw new IllegalArgumentException("the program of image " + image + " needs an absolute path, not "
                    + (command.isEmpty() ? "nothing" : command.getFirst()));
        }
        programs.put(repository(image), List.copyOf(command));
        return this;
    }

    /** The command line for an image, if this node has it. */
    Optional<List<String>> find(String image) {
        return Optional.ofNullable(programs.get(repository(image)));
    }

    /** Why an image cannot be had, with the ones that can. */
    String unknown(String image) {
        return "image \"" + image + "\" is not on this node; it knows "
                + (programs.isEmpty() ? "none" : new TreeSet<>(programs.keySet()))
                + " (the node's --program option adds one)";
    }

    /** What is wrong with a program, if something is. */
    static Optional<String> broken(List<String> command) {
        Path executable = Path.of(command.getFirst());
        if (executable.isAbsolute() && !Files.isExecutable(executable)) {
            return Optional.of(executable + (Files.exists(executable) ? " is not executable" : " does not exist"));
        }
        return Optional.empty();
    }

    /** {@code host:5000/a/b:tag@sha256:...} without tag and digest. */
    static String repository(String image) {
        String name = image.contains("@") ? image.substring(0, image.indexOf('@')) : image;
        int colon = name.indexOf(':', name.lastIndexOf('/') + 1);
        return colon < 0 ? name : name.substring(0, colon);
    }
}
