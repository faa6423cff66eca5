package io.vlmoperator.trainer.fetch;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.vlmoperator.trainer.Json;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A model hub on the loopback that speaks Hugging Face's protocol: large files are redirected to a second server, as to a network that
 * delivers content. It misbehaves as it is told.
 */
final class HubServer implements AutoCloseable {
    static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    static final String REPOSITORY = "team/tiny";

    /** Decides about one request; true when it has answered. */
    interface Trouble {
        boolean answers(HttpExchange exchange) throws IOException;
    }

    /** What a request brought along. */
    record Seen(String server, String path, String range, String authorization) {}

    final Map<String, byte[]> files = new TreeMap<>();
    final List<Seen> seen = new CopyOnWriteArrayList<>();
    volatile Trouble atHub = exchange -> false;
    volatile Trouble atContent = exchange -> false;
    volatile String token = "";

    /** Files of at least so many bytes are redirected. */
    int large = 1000;

    private final HttpServer hub;
    private final HttpServer content;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    HubServer() throws IOException {
        hub = server("hub", this::hub);
        content = server("content", this::content);
    }

    private interface Handler {
        void handle(HttpExchange exchange) throws IOException;
    }

    private HttpServer server(String name, Handler handler) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 50);
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            try (exchange) {
                seen.add(new Seen(
                        name,
                        exchange.getRequestURI().getPath(),
                        exchange.getRequestHeaders().getFirst("Range"),
                        exchange.getRequestHeaders().getFirst("Authorization")));
                handler.handle(exchange);
            }
        });
        server.start();
        return server;
    }

    String endpoint() {
        return "http://" + hub.getAddress().getAddress().getHostAddress() + ":"
                + hub.getAddress().getPort();
    }

    private String contentEndpoint() {
        return "http://" + content.getAddress().getAddress().getHostAddress() + ":"
                + content.getAddress().getPort();
    }

    private void hub(HttpExchange exchange) throws IOException {
        if (atHub.answers(exchange)) {
            return;
        }
        if (!token.isEmpty()
                && !("Bearer " + token).equals(exchange.getRequestHeaders().getFirst("Authorization"))) {
            refuse(exchange, 401, "GatedRepo", "Access to model " + REPOSITORY + " is restricted.");
            return;
        }
        String path = exchange.getRequestURI().getPath();
        String list = "/api/models/" + REPOSITORY + "/revision/";
        String resolve = "/" + REPOSITORY + "/resolve/" + COMMIT + "/";
        if (path.equals(list + "main") || path.equals(list + COMMIT)) {
            answer(exchange, 200, list());
        } else if (path.startsWith(list)) {
            refuse(exchange, 404, "RevisionNotFound", "Invalid rev id");
        } else if (path.startsWith(resolve) && files.containsKey(path.substring(resolve.length()))) {
            String name = path.substring(resolve.length());
            if (files.get(name).length >= large) {
                exchange.getResponseHeaders().add("Location", contentEndpoint() + "/" + name);
                exchange.getResponseHeaders().add("X-Linked-Etag", '"' + sha256(files.get(name)) + '"');
                exchange.sendResponseHeaders(302, -1);
            } else {
                send(exchange, files.get(name));
            }
        } else {
            refuse(exchange, 401, "RepoNotFound", "Repository not found");
        }
    }

    private void content(HttpExchange exchange) throws IOException {
        if (!atContent.answers(exchange)) {
            send(exchange, files.get(exchange.getRequestURI().getPath().substring(1)));
        }
    }

    /** With ranges, as both servers do. */
    static void send(HttpExchange exchange, byte[] file) throws IOException {
        String range = exchange.getRequestHeaders().getFirst("Range");
        int from = range == null ? 0 : Integer.parseInt(range.replaceAll("bytes=(\\d+)-", "$1"));
        if (from >= file.length && from > 0) {
            exchange.sendResponseHeaders(416, -1);
            return;
        }
        if (range != null) {
            exchange.getResponseHeaders()
                    .add("Content-Range", "bytes " + from + "-" + (file.length - 1) + "/" + file.length);
        }
        exchange.sendResponseHeaders(range == null ? 200 : 206, file.length == 0 ? -1 : file.length - from);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(file, from, file.length - from);
        }
    }

    /** Whatever range was asked for: as a server that knows none. */
    static void sendAll(HttpExchange exchange, byte[] file, int bytes) throws IOException {
        exchange.sendResponseHeaders(200, file.length);
        OutputStream out = exchange.getResponseBody();
        out.write(file, 0, bytes);
        out.flush();
    }

    /** Announces all of it, sends some bytes, and hangs up. */
    static void cut(HttpExchange exchange, byte[] file, int bytes) throws IOException {
        String range = exchange.getRequestHeaders().getFirst("Range");
        int from = range == null ? 0 : Integer.parseInt(range.replaceAll("bytes=(\\d+)-", "$1"));
        if (range != null) {
            exchange.getResponseHeaders()
                    .add("Content-Range", "bytes " + from + "-" + (file.length - 1) + "/" + file.length);
        }
        exchange.sendResponseHeaders(range == null ? 200 : 206, file.length - from);
        OutputStream out = exchange.getResponseBody();
        out.write(file, from, Math.min(bytes, file.length - from));
        out.flush();
        // Closing the exchange before all is sent closes the connection.
    }

    static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
    }

    static void refuse(HttpExchange exchange, int status, String code, String message) throws IOException {
        exchange.getResponseHeaders().add("X-Error-Code", code);
        exchange.getResponseHeaders().add("X-Error-Message", message);
        exchange.sendResponseHeaders(status, -1);
    }

    private byte[] list() {
        ObjectNode list = new ObjectMapper().createObjectNode();
        list.put("id", REPOSITORY).put("sha", COMMIT);
        var siblings = list.putArray("siblings");
        files.forEach((name, content) -> {
            ObjectNode file = siblings.addObject();
            file.put("rfilename", name).put("size", content.length).put("blobId", gitBlob(content));
            if (content.length >= large) {
                file.putObject("lfs").put("sha256", sha256(content)).put("size", content.length);
            }
        });
        return list.toString().getBytes(StandardCharsets.UTF_8);
    }

    static String sha256(byte[] content) {
        return HexFormat.of().formatHex(Json.sha256().digest(content));
    }

    private static String gitBlob(byte[] content) {
        MessageDigest digest = new Digest(Digest.Kind.GIT_BLOB, "").begin(content.length);
        return HexFormat.of().formatHex(digest.digest(content));
    }

    @Override
    public void close() {
        hub.stop(0);
        content.stop(0);
        threads.shutdownNow();
    }
}
