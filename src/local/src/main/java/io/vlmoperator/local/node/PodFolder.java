package io.vlmoperator.local.node;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.vlmoperator.local.Files2;
import io.vlmoperator.local.Proc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a node keeps on disk for one pod, so that a node that is started again, or {@code vlm-local stop}, finds its processes.
 *
 * <pre>
 * pod.json                       namespace, name, uid, address
 * hosts                          the names this pod can resolve
 * volumes/VOLUME/                what the node made for it
 * containers/CONTAINER/state.json
 * containers/CONTAINER/root/     links to the volumes at their mount paths
 * containers/CONTAINER/N/        log, log.1, shim, pid, exit of start number N
 * </pre>
 */
final class PodFolder {
    private static final JsonMapper JSON = new JsonMapper();

    private final Path folder;

    PodFolder(Path folder) {
        this.folder = folder;
    }

    /**
     * Whom the folder belongs to.
     *
     * @param address the loopback address its processes listen on
     */
    record Owner(String namespace, String name, String uid, String address) {}

    Path path() {
        return folder;
    }

    Path hosts() {
        return folder.resolve("hosts");
    }

    Path volume(String name) {
        return folder.resolve("volumes").resolve(name);
    }

    Path container(String name) {
        return folder.resolve("containers").resolve(name);
    }

    Path root(String container) {
        return container(container).resolve("root");
    }

    Path start(String container, int number) {
        return container(container).resolve(Integer.toString(number));
    }

    void writeOwner(Owner owner) {
        write(folder.resolve("pod.json"), owner);
    }

    Optional<Owner> owner() {
        return read(folder.resolve("pod.json"), Owner.class);
    }

    static void write(Path file, Object value) {
        try {
            Files2.privateFolder(file.getParent());
            Files2.writeAtomically(file, JSON.writeValueAsString(value));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The value in a file; empty when there is none, or when it was damaged. */
    static <T> Optional<T> read(Path file, Class<T> type) {
        return Files2.read(file).flatMap(text -> {
            try {
                return Optional.of(JSON.readValue(text, type));
            } catch (JsonProcessingException e) {
                return Optional.empty();
            }
        });
    }

    /** Everything that runs for this pod: the sessions of all containers. */
    List<Proc.Identity> processes() {
        return starts().stream().flatMap(start -> start.members().stream()).toList();
    }

    /** The programs of all containers, and what they started, without the shells that wait for them. */
    List<Proc.Identity> programs() {
        return starts().stream()
                .flatMap(start -> start.program().stream())
                .flatMap(program -> Proc.session(program.pid()).stream())
                .toList();
    }

    private List<ContainerProcess> starts() {
        Path containers = folder.resolve("containers");
        if (!Files.isDirectory(containers)) {
            return List.of();
        }
        List<ContainerProcess> all = new ArrayList<>();
        for (Path container : list(containers)) {
            for (Path start : list(container)) {
                ContainerProcess.readShim(start).ifPresent(all::add);
            }
        }
        return all;
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(Files::isDirectory).toList();
        } catch (IOException e) {
            return List.of(); // it was deleted meanwhile
        }
    }

    /** Kills all of it at once. */
    void killAll() {
        for (int round = 0; round < 3; round++) { // a process may fork while it is looked for
            List<Proc.Identity> left = processes();
            if (left.isEmpty()) {
                return;
            }
            left.forEach(process -> process.signal(Proc.Signal.KILL));
        }
    }

    /** The folders of all pods below a node's {@code pods} folder. */
    static List<PodFolder> all(Path pods) {
        if (!Files.isDirectory(pods)) {
            return List.of();
        }
        return list(pods).stream().map(PodFolder::new).toList();
    }
}
