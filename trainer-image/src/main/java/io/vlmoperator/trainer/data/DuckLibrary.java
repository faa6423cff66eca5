package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The driver unpacks its library of some 60 MB into the folder for temporary files and removes it when the JVM ends in good order. Ours are
 * also killed, or end at once by an exit code: then each would leave a copy. Once loaded, Linux does not need the name any more.
 */
final class DuckLibrary {
    private static final Path MAPS = Path.of("/proc/self/maps");
    private static final String NAME = "libduckdb_java";

    private DuckLibrary() {}

    /** Removes the name of the loaded library. Where that can't be done (no Linux, no such file) it stays for the driver to remove. */
    static void unlink() {
        try {
            for (Path file : loaded(Files.readAllLines(MAPS), Path.of(System.getProperty("java.io.tmpdir")))) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            // The file is the driver's, and removed by it when the JVM ends in good order.
        }
    }

    /**
     * The driver's unpacked libraries among what is mapped.
     *
     * @param maps lines of {@code /proc/PID/maps}: range, rights, offset, device, inode, path
     */
    static List<Path> loaded(List<String> maps, Path folder) {
        return maps.stream()
                .filter(line -> line.contains("/" + NAME) && line.endsWith(".so"))
                .map(line -> Path.of(line.substring(line.indexOf('/'))))
                .filter(file -> folder.toAbsolutePath().equals(file.getParent()))
                .distinct()
                .toList();
    }
}
