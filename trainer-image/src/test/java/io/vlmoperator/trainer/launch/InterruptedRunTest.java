package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Who ends {@code vlm-trainer run} while data is made need not wait for it. */
@Timeout(600)
class InterruptedRunTest {
    private static final String MANIFEST = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: d}
            spec:
              sources:
              - name: s
                urlList: {location: "pvc://c/list.csv", timeoutSeconds: 300, allowPrivateAddresses: true}
              pack: {contextLength: 64, tokensPerImage: 4, tokenizer: "pvc://c/tokenizer"}
              output: {location: "pvc://c/out"}
            """;

    @TempDir
    Path folder;

    @Test
    void aSignalEndsADatasetAtOnceAndSaysHowToGoOn() throws Exception {
        try (var in = InterruptedRunTest.class.getResourceAsStream("/tokenizer/small/tokenizer.json")) {
            Files.copy(in, Files.createDirectories(folder.resolve("tokenizer")).resolve("tokenizer.json"));
        }
        Path manifest = Files.writeString(folder.resolve("d.yaml"), MANIFEST);
        Path said = folder.resolve("said");
        // It takes every connection and never answers, so the work goes on until somebody ends it.
        try (ServerSocket silent = new ServerSocket(0, 8, InetAddress.getLoopbackAddress())) {
            Files.writeString(
                    folder.resolve("list.csv"),
                    "url,text\nhttp://127.0.0.1:" + silent.getLocalPort() + "/a.png,a\n",
                    StandardCharsets.UTF_8);
            List<String> command =
                    new ArrayList<>(ChildProcesses.command("run", manifest.toString(), "--mount", "c=" + folder));
            Process run = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(said.toFile())
                    .start();
            try (Socket asked = accepted(silent, run, said)) {
                assertThat(asked.isConnected()).isTrue();
                run.destroy(); // SIGTERM
                assertThat(run.waitFor(5, TimeUnit.MINUTES)).isTrue();
            } finally {
                run.destroyForcibly();
            }
            assertThat(Files.readString(said)).contains("Terminated: SIGTERM; what is finished stays, run the same");
            assertThat(run.exitValue()).isEqualTo(ExitCode.Terminated.code());
        }
    }

    private static Socket accepted(ServerSocket silent, Process run, Path said) throws IOException {
        silent.setSoTimeout(1_000);
        while (true) {
            try {
                return silent.accept();
            } catch (java.net.SocketTimeoutException e) {
                assertThat(run.isAlive()).as("%s", Files.readString(said)).isTrue();
            }
        }
    }
}
