package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.images.builder.ImageFromDockerfile;

/**
 * MinIO, one disk: in a container where a container engine answers, else as a process of this machine. {@code make test-minio} builds the
 * program and names it by {@code VLM_MINIO}; {@code VLM_MINIO_IN} (container, process) makes the choice by hand.
 */
public final class MinioServer implements ObjectServer {
    /** The program's path. Tests of MinIO are skipped without it. */
    public static final String PROGRAM = "VLM_MINIO";

    /** Why they are skipped. */
    public static final String SKIPPED =
            "no MinIO here; 'make test-minio' builds it, which takes minutes, and runs this";

    private static final String IN = "VLM_MINIO_IN";
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final int INSIDE = 9000;
    private static final int TRIES = 5;
    private static final Map<String, String> SETTINGS = Map.of(
            "MINIO_ROOT_USER", KEY,
            "MINIO_ROOT_PASSWORD", SECRET,
            "MINIO_BROWSER", "off",
            "MINIO_UPDATE", "off",
            "MINIO_CI_CD", "on"); // its data may lie on the machine's own disk

    private final String endpoint;
    private final AutoCloseable running;

    private MinioServer(String endpoint, AutoCloseable running) {
        this.endpoint = endpoint;
        this.running = running;
    }

    /** Starts one; several may run. */
    public static MinioServer start() throws Exception {
        Path program = Path.of(System.getenv(PROGRAM));
        String in =
                Optional.ofNullable(System.getenv(IN)).filter(v -> !v.isBlank()).orElse("");
        boolean container = in.isEmpty() ? DockerClientFactory.instance().isDockerAvailable() : in.equals("container");
        MinioServer server = container ? container(program) : process(program);
        System.out.println("MinIO " + (container ? "in a container" : "as a process") + " at " + server.endpoint);
        return server;
    }

    private static MinioServer container(Path program) throws IOException {
        ImageFromDockerfile image = new ImageFromDockerfile("vlm-operator-test/minio:local", false)
                .withFileFromPath("minio", program)
                .withFileFromString("Dockerfile", "FROM scratch\nCOPY minio /minio\nENTRYPOINT [\"/minio\"]\n");
        boolean bridged = DockerClientFactory.instance().client().listNetworksCmd().exec().stream()
                .anyMatch(network -> "bridge".equals(network.getName()));
        // An engine without a network of its own lends the machine's.
        int port = bridged ? INSIDE : free();
        GenericContainer<?> container = new GenericContainer<>(image)
                .withImagePullPolicy(name -> false)
                .withEnv(SETTINGS)
                .withTmpFs(Map.of("/data", "rw", "/tmp", "rw"))
                .withCommand("server", "/data", "--address", (bridged ? "" : "127.0.0.1") + ":" + port)
                .withStartupTimeout(PATIENCE);
        if (bridged) {
            container.withExposedPorts(port).waitingFor(Wait.forHttp("/minio/health/live"));
        } else {
            container
                    .withNetworkMode("host")
                    .waitingFor(Wait.forLogMessage(".*API: .*", 1).withStartupTimeout(PATIENCE));
        }
        container.start();
        String host = bridged ? container.getHost() : "127.0.0.1";
        return new MinioServer(
                "http://" + host + ":" + (bridged ? container.getMappedPort(port) : port), container::stop);
    }

    private static int free() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    /** Its port is looked for ahead, so that another program may take it: it is tried again then. */
    private static MinioServer process(Path program) throws Exception {
        Path folder = Files.createTempDirectory("minio-");
        for (int i = 1; i <= TRIES; i++) {
            String address = "127.0.0.1:" + free();
            Path log = folder.resolve("log");
            ProcessBuilder builder = new ProcessBuilder(
                    program.toString(), "server", folder.resolve("data").toString(), "--address", address);
            builder.environment().putAll(SETTINGS);
            Process process = builder.redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            Thread last = new Thread(process::destroyForcibly);
            Runtime.getRuntime().addShutdownHook(last);
            if (answers(process, "http://" + address)) {
                return new MinioServer("http://" + address, () -> {
                    stop(process);
                    Runtime.getRuntime().removeShutdownHook(last);
                    Scratch.delete(folder);
                });
            }
            stop(process);
            Runtime.getRuntime().removeShutdownHook(last);
            if (i == TRIES) {
                throw new IOException("MinIO does not start: " + Files.readString(log));
            }
        }
        throw new AssertionError("not reached");
    }

    private static void stop(Process process) throws InterruptedException {
        process.destroy();
        if (!process.waitFor(20, TimeUnit.SECONDS)) {
            process.destroyForcibly().waitFor();
        }
    }

    private static boolean answers(Process process, String endpoint) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        try (HttpClient client = HttpClient.newHttpClient()) {
            while (process.isAlive() && System.nanoTime() < end) {
                try {
                    HttpRequest request = HttpRequest.newBuilder(URI.create(endpoint + "/minio/health/live"))
                            .timeout(Duration.ofSeconds(10))
                            .build();
                    HttpResponse<Void> answer = client.send(request, HttpResponse.BodyHandlers.discarding());
                    if (answer.statusCode() == 200 && process.isAlive()) {
                        return true;
                    }
                } catch (IOException e) {
                    Thread.sleep(100); // not there yet
                    continue;
                }
                Thread.sleep(100);
            }
        }
        return false;
    }

    @Override
    public String endpoint() {
        return endpoint;
    }

    @Override
    public boolean listsUploadsOfFolders() {
        return false;
    }

    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    public void close() throws Exception {
        running.close();
    }
}
