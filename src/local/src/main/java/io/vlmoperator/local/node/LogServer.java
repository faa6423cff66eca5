package io.vlmoperator.local.node;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsExchange;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import io.vlmoperator.local.Files2;
import io.vlmoperator.local.LocalClusterException;
import io.vlmoperator.local.Pki;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BiFunction;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;

/**
 * What the API server asks a node for: {@code kubectl logs}. HTTPS at the node's own address, for the API server's certificate only.
 *
 * <p>That address, {@code 127.A.B.1}, also decides the addresses of the node's pods; holding the port is what keeps two nodes on one
 * machine, of whatever cluster, from taking the same.
 */
final class LogServer implements AutoCloseable {
    private static final int PORT = 10250;
    private static final int MOST_READERS = 64;
    private static final String READER = "kube-apiserver-kubelet-client";

    private final HttpsServer server;
    private final NodeFolder folder;
    private final String address;
    private final String certificate;
    private final BiFunction<String, String, Optional<PodRunner>> pods;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final Semaphore readers = new Semaphore(MOST_READERS);

    private LogServer(
            HttpsServer server,
            NodeFolder folder,
            String address,
            String certificate,
            BiFunction<String, String, Optional<PodRunner>> pods) {
        this.server = server;
        this.folder = folder;
        this.address = address;
        this.certificate = certificate;
        this.pods = pods;
    }

    /** Takes the node's address of last time, or a free one, and makes its certificate. */
    static LogServer bind(NodeFolder folder, Pki pki, BiFunction<String, String, Optional<PodRunner>> pods) {
        Optional<String> before = Files2.read(folder.addressFile()).map(String::strip);
        IOException last = null;
        for (int attempt = 0; attempt < 50; attempt++) {
            String address = attempt == 0 && before.isPresent()
                    ? before.get()
                    : "127." + ThreadLocalRandom.current().nextInt(16, 255) + "."
                            + ThreadLocalRandom.current().nextInt(0, 256) + ".1";
            try {
                HttpsServer server = HttpsServer.create(new InetSocketAddress(address, PORT), 64);
                String certificate = "node-" + folder.name() + "-" + address;
                pki.issue(
                        certificate,
                        "O=system:nodes,CN=system:node:" + folder.name(),
                        List.of(folder.name(), "localhost", address));
                SSLContext context = pki.context(certificate);
                server.setHttpsConfigurator(new HttpsConfigurator(context) {
                    @Override
                    public void configure(HttpsParameters parameters) {
                        SSLParameters tls = context.getDefaultSSLParameters();
                        tls.setNeedClientAuth(true);
                        parameters.setSSLParameters(tls);
                    }
                });
                Files2.writeAtomically(folder.addressFile(), address + "\n");
                return new LogServer(server, folder, address, certificate, pods);
            } catch (IOException e) {
                last = e;
                if (attempt == 0 && before.isPresent()) {
                    continue; // another cluster has it now; the pods that ran there are cleared away
                }
            }
        }
        throw new LocalClusterException("cannot listen on port " + PORT + " of any loopback address: " + last, last);
    }

    void start() {
        server.setExecutor(threads);
        server.createContext("/", this::handle);
        server.start();
    }

    String address() {
        return address;
    }

    int port() {
        return PORT;
    }

    String certificate() {
        return certificate;
    }

    private void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            String caller = ((HttpsExchange) exchange)
                    .getSSLSession()
                    .getPeerPrincipal()
                    .getName();
            String[] path = exchange.getRequestURI().getPath().split("/");
            if (folder.lost()) {
                answer(exchange, 503, "this node is lost\n");
            } else if (!caller.contains("CN=" + READER)) {
                answer(exchange, 403, "only the API server may ask");
            } else if (path.length == 2 && path[1].equals("healthz")) {
                answer(exchange, 200, "ok");
            } else if (path.length != 5 || !path[1].equals("containerLogs")) {
                answer(exchange, 501, "this node serves logs only: no exec, attach or port-forward\n");
            } else if (!readers.tryAcquire()) {
                answer(exchange, 429, "more than " + MOST_READERS + " readers of logs at once\n");
            } else {
                try {
                    logs(exchange, path[2], path[3], path[4]);
                } finally {
                    readers.release();
                }
            }
        }
    }

    private void logs(HttpExchange exchange, String namespace, String pod, String container) throws IOException {
        Map<String, String> query = query(exchange.getRequestURI().getRawQuery());
        Optional<ContainerRunner> found = pods.apply(namespace, pod).flatMap(runner -> runner.container(container));
        if (found.isEmpty()) {
            answer(exchange, 404, "container \"" + container + "\" in pod \"" + pod + "\" is not on this node\n");
            return;
        }
        for (String unknown : List.of("timestamps", "sinceSeconds", "sinceTime")) {
            if (query.containsKey(unknown) && !query.get(unknown).equals("false")) {
                answer(exchange, 400, "this node keeps no time with its log lines: leave out " + unknown + "\n");
                return;
            }
        }
        ContainerRunner runner = found.get();
        boolean previous = "true".equals(query.get("previous"));
        int number = runner.number() - (previous ? 1 : 0);
        if (previous && number < 0) {
            answer(
                    exchange,
                    400,
                    "previous terminated container \"" + container + "\" in pod \"" + pod + "\" not found\n");
            return;
        }
        Path folder = pods.apply(namespace, pod)
                .map(owner -> owner.folder().start(container, number))
                .orElseThrow();
        if (!runner.begun() || !Files.exists(folder.resolve("log"))) {
            String reason = runner.state() instanceof ContainerState.Waiting waiting ? waiting.reason() : "unknown";
            answer(
                    exchange,
                    400,
                    "container \"" + container + "\" in pod \"" + pod + "\" is waiting to start: " + reason + "\n");
            return;
        }
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream out = exchange.getResponseBody()) {
            boolean follow = "true".equals(query.get("follow")) && !previous;
            copy(
                    folder,
                    out,
                    number(query, "tailLines", Long.MAX_VALUE),
                    number(query, "limitBytes", Long.MAX_VALUE),
                    () -> follow
                            && runner.number() == number
                            && runner.process().isPresent());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static long number(Map<String, String> query, String key, long otherwise) {
        String text = query.getOrDefault(key, "");
        return text.matches("[0-9]{1,18}") ? Long.parseLong(text) : otherwise;
    }

    private static Map<String, String> query(String raw) {
        Map<String, String> all = new HashMap<>();
        for (String part : Optional.ofNullable(raw).orElse("").split("&")) {
            int equals = part.indexOf('=');
            if (equals > 0) {
                all.put(part.substring(0, equals), part.substring(equals + 1));
            }
        }
        return all;
    }

    /** Copies the log from where the last lines begin, then what is added for as long as {@code more} says so. */
    private static void copy(
            Path folder, OutputStream out, long lines, long limit, java.util.function.BooleanSupplier more)
            throws IOException, InterruptedException {
        byte[] buffer = new byte[16384];
        long left = limit;
        Path older = folder.resolve("log.1");
        if (lines == Long.MAX_VALUE && Files.exists(older)) {
            try (RandomAccessFile file = new RandomAccessFile(older.toFile(), "r")) {
                left = copyRest(file, out, buffer, left);
            }
        }
        try (RandomAccessFile file = new RandomAccessFile(folder.resolve("log").toFile(), "r")) {
            file.seek(tailStart(file, lines));
            while (true) {
                boolean goOn = more.getAsBoolean(); // asked first, so that the last lines are not missed
                left = copyRest(file, out, buffer, left);
                if (!goOn || left <= 0) {
                    return;
                }
                out.flush();
                Thread.sleep(100);
                if (file.length() < file.getFilePointer()) {
                    file.seek(0); // the log was moved aside
                }
            }
        }
    }

    private static long copyRest(RandomAccessFile file, OutputStream out, byte[] buffer, long left) throws IOException {
        int count = 0;
        long remaining = left;
        while (remaining > 0 && (count = file.read(buffer, 0, (int) Math.min(buffer.length, remaining))) > 0) {
            out.write(buffer, 0, count);
            remaining -= count;
        }
        return remaining;
    }

    /** Where the last {@code lines} lines begin. */
    static long tailStart(RandomAccessFile file, long lines) throws IOException {
        long end = file.length();
        if (lines == 0) {
            return end;
        }
        if (lines >= end) {
            return 0;
        }
        byte[] block = new byte[8192];
        long seen = 0;
        long position = end;
        while (position > 0) {
            int size = (int) Math.min(block.length, position);
            position -= size;
            file.seek(position);
            file.readFully(block, 0, size);
            for (int i = size - 1; i >= 0; i--) {
                // The line feed that ends the last line does not begin another.
                if (block[i] == '\n' && position + i != end - 1 && ++seen == lines) {
                    return position + i + 1;
                }
            }
        }
        return 0;
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
