package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.local.LocalCluster;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The helm program that {@code make tools} builds. */
final class Helm {
    static final Path CHART = ApiServer.REPOSITORY.resolve("charts/vlm-operator");
    private final Path program;

    /** @throws AssertionError when the program is missing */
    Helm(LocalCluster cluster) {
        program = cluster.tool("helm");
        assertThat(program).as("helm is missing: run `make tools`").isExecutable();
    }

    record Result(int code, String output) {
        String succeeded() {
            assertThat(code).as(output).isZero();
            return output;
        }
    }

    Result run(Path kubeconfig, List<String> arguments) {
        List<String> command = new ArrayList<>(List.of(program.toString(), "--kubeconfig", kubeconfig.toString()));
        command.addAll(arguments);
        try {
            Path out = Files.createTempFile("helm", ".out");
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(out.toFile())
                    .start();
            if (!process.waitFor(120, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError(command + " did not end within two minutes");
            }
            String output = Files.readString(out, StandardCharsets.UTF_8);
            Files.delete(out);
            return new Result(process.exitValue(), output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
