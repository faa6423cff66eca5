package io.vlmoperator.local;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** The folder with the programs of the cluster (etcd, kube-apiserver, ..., kubectl, helm) that {@code make tools} builds. */
public final class Tools {
    private static final List<String> NEEDED =
            List.of("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler");
    private static final String SCRIPT = "src/local/bin/build-tools";

    private Tools() {}

    /** The folder, found through {@code VLM_TOOLS_DIR} or else through the checkout this program runs in. */
    public static Path locate() {
        Path folder = Optional.ofNullable(System.getenv("VLM_TOOLS_DIR"))
                .map(Path::of)
                .orElseGet(() -> printed(checkout().resolve(SCRIPT)));
        return check(folder);
    }

    /** The root of the checkout, looked for upwards from the working folder and from where this class was loaded. */
    public static Path checkout() {
        return Stream.of(Path.of("").toAbsolutePath(), codeSource())
                .flatMap(start -> Stream.iterate(start, folder -> folder != null, Path::getParent))
                .filter(folder -> Files.isExecutable(folder.resolve(SCRIPT)))
                .findFirst()
                .orElseThrow(
                        () -> new LocalClusterException(
                                "cannot find " + SCRIPT + " above "
                                        + Path.of("").toAbsolutePath()
                                        + "; run inside the checkout, or set VLM_TOOLS_DIR to the folder with etcd and kube-apiserver"));
    }

    static Path check(Path folder) {
        List<String> missing = NEEDED.stream()
                .filter(name -> !Files.isExecutable(folder.resolve(name)))
                .toList();
        if (!missing.isEmpty()) {
            throw new LocalClusterException("the cluster's programs are not built: no " + String.join(", ", missing)
                    + " in " + folder + ". Run: make tools");
        }
        return folder;
    }

    private static Path printed(Path script) {
        try {
            Process process = new ProcessBuilder(script.toString(), "--print")
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readNBytes(8192), StandardCharsets.UTF_8).strip();
            if (!process.waitFor(60, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new LocalClusterException(script + " --print does not end");
            }
            if (output.isEmpty()) {
                throw new LocalClusterException(script + " --print failed; run it to see why");
            }
            return Path.of(output);
        } catch (IOException e) {
            throw new LocalClusterException("cannot run " + script + ": " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalClusterException("interrupted", e);
        }
    }

    private static Path codeSource() {
        try {
            return Path.of(Tools.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
