package io.vlmoperator.local.node;

import io.vlmoperator.local.Files2;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;

/**
 * The files of a ConfigMap, Secret, downward API or projected volume, laid out as the kubelet does: {@code NAME -> ..data/NAME} and
 * {@code ..data -> ..VERSION}. An update changes one link, so that a reader sees all of the old or all of the new files.
 */
final class Payload {
    private final Map<String, Entry> files = new TreeMap<>();

    /**
     * One file.
     *
     * @param mode permission bits, such as 0644
     */
    record Entry(byte[] content, int mode) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Entry entry && mode == entry.mode && Arrays.equals(content, entry.content);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(content) * 31 + mode;
        }
    }

    /** Adds a file; a later one of the same path wins. */
    void add(String path, byte[] content, int mode) {
        files.put(path, new Entry(content, mode));
    }

    Map<String, Entry> files() {
        return files;
    }

    /** Puts the files into a folder; says whether something changed. */
    boolean writeTo(Path folder) throws IOException {
        Files2.privateFolder(folder);
        Path data = folder.resolve("..data");
        if (Files.isSymbolicLink(data) && current(data).equals(files)) {
            return false;
        }
        Path old = Files.isSymbolicLink(data) ? folder.resolve(Files.readSymbolicLink(data)) : null;
        Path version = folder.resolve(".." + Long.toHexString(System.currentTimeMillis()) + "_"
                + Integer.toHexString(ThreadLocalRandom.current().nextInt()));
        Files.createDirectory(version);
        Set<String> tops = new HashSet<>();
        for (var file : files.entrySet()) {
            Path target = version.resolve(file.getKey());
            Files.createDirectories(target.getParent());
            Files.write(target, file.getValue().content());
            Files.setPosixFilePermissions(target, permissions(file.getValue().mode()));
            tops.add(Path.of(file.getKey()).getName(0).toString());
        }
        Path next = folder.resolve("..data_tmp");
        Files.deleteIfExists(next);
        Files.createSymbolicLink(next, version.getFileName());
        Files.move(next, data, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        for (String top : tops) {
            Path link = folder.resolve(top);
            if (!Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
                Files.createSymbolicLink(link, Path.of("..data", top));
            }
        }
        try (Stream<Path> entries = Files.list(folder)) {
            for (Path entry : entries.filter(Files::isSymbolicLink).toList()) {
                String name = entry.getFileName().toString();
                if (!name.equals("..data") && !tops.contains(name)) {
                    Files.delete(entry);
                }
            }
        }
        if (old != null) {
            Files2.deleteTree(old);
        }
        return true;
    }

    private static Map<String, Entry> current(Path data) throws IOException {
        Map<String, Entry> found = new TreeMap<>();
        Path root = data.toRealPath();
        try (Stream<Path> walk = Files.walk(root)) {
            for (Path file : walk.filter(Files::isRegularFile).toList()) {
                found.put(root.relativize(file).toString(), new Entry(Files.readAllBytes(file), mode(file)));
            }
        }
        return found;
    }

    private static int mode(Path file) throws IOException {
        int mode = 0;
        for (PosixFilePermission permission : Files.getPosixFilePermissions(file)) {
            mode |= 0400 >> permission.ordinal();
        }
        return mode;
    }

    private static Set<PosixFilePermission> permissions(int mode) {
        Set<PosixFilePermission> set = EnumSet.noneOf(PosixFilePermission.class);
        for (PosixFilePermission permission : PosixFilePermission.values()) {
            if ((mode & (0400 >> permission.ordinal())) != 0) { // the enum's order is that of the bits
                set.add(permission);
            }
        }
        return set;
    }
}
