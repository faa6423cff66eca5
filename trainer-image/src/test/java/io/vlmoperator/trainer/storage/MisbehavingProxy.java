package io.vlmoperator.trainer.storage;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** An S3 server behind a proxy that answers some requests as stores and networks do on bad days. One request a connection. */
public final class MisbehavingProxy implements ObjectServer {
    /** What happens to a request. */
    public enum Fault {
        /** None. */
        NONE,
        /** 503, without a look at the request. */
        SLOW_DOWN,
        /** 500, without a look at the request. */
        INTERNAL_ERROR,
        /** The connection is closed at once. */
        CLOSED,
        /** Half of the body, or of the head where there is none, reaches the server, then both connections break. */
        CUT_REQUEST,
        /** All of the request reaches the server, half of the answer the client. */
        CUT_ANSWER,
        /** The server does it, and the client hears nothing of it. */
        LOST_ANSWER,
        /** Nothing at all, until the client gives up. */
        SILENCE,
        /** 403: the clocks differ. */
        SKEWED,
        /** 400: the credentials are too old. */
        EXPIRED
    }

    /** Decides about a request. */
    public interface Plan {
        /** @param target path and query */
        Fault fault(String method, String target);
    }

    private static final int MAX_HEAD = 1 << 16;
    private static final Duration SKEW = Duration.ofHours(3);

    private final ObjectServer behind;
    private final int backend;
    private final ServerSocket listening;
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicInteger faults = new AtomicInteger();
    private volatile Plan plan = (method, target) -> Fault.NONE;

    /** @param behind is closed with this */
    public MisbehavingProxy(ObjectServer behind) throws IOException {
        this.behind = behind;
        backend = URI.create(behind.endpoint()).getPort();
        listening = new ServerSocket(0, 200, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().start(this::accept);
    }

    /** What happens to requests from now on. */
    public void plan(Plan next) {
        plan = next;
    }

    /** Every request fails the first time that it is made. */
    public void firstTriesFail(Fault fault) {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        plan((method, target) -> seen.add(method + " " + target) ? fault : Fault.NONE);
    }

    /** How many requests something has happened to. */
    public int faults() {
        return faults.get();
    }

    /** The server without the proxy. */
    public ObjectServer behind() {
        return behind;
    }

    private void accept() {
        while (!listening.isClosed()) {
            try {
                Socket client = listening.accept();
                Thread.ofVirtual().start(() -> serve(client));
            } catch (IOException e) {
                return; // closed
            }
        }
    }

    private void serve(Socket client) {
        open.add(client);
        try (client) {
            InputStream in = new BufferedInputStream(client.getInputStream());
            String head = head(in);
            if (head.isEmpty()) {
                return;
            }
            String[] words = head.lines().findFirst().orElseThrow().split(" ", -1);
            Fault fault = plan.fault(words[0], words[1]);
            if (fault != Fault.NONE) {
                faults.incrementAndGet();
            }
            switch (fault) {
                case SLOW_DOWN -> answer(head, in, client, 503, "SlowDown", Duration.ZERO);
                case INTERNAL_ERROR -> answer(head, in, client, 500, "InternalError", Duration.ZERO);
                case SKEWED -> answer(head, in, client, 403, "RequestTimeTooSkewed", SKEW);
                case EXPIRED -> answer(head, in, client, 400, "ExpiredToken", Duration.ZERO);
                case CLOSED -> {}
                case SILENCE -> in.transferTo(OutputStream.nullOutputStream());
                case NONE, CUT_REQUEST, CUT_ANSWER, LOST_ANSWER -> forward(head, in, client, fault);
            }
        } catch (IOException e) {
            return; // one of the two has gone, which is what this class is for
        } finally {
            open.remove(client);
        }
    }

    private static String head(InputStream in) throws IOException {
        ByteArrayOutputStream head = new ByteArrayOutputStream();
        int ends = 0;
        while (ends < 4 && head.size() < MAX_HEAD) {
            int b = in.read();
            if (b < 0) {
                return "";
            }
            head.write(b);
            ends = b == (ends % 2 == 0 ? '\r' : '\n') ? ends + 1 : b == '\r' ? 1 : 0;
        }
        return head.toString(StandardCharsets.ISO_8859_1);
    }

    private static String header(String head, String name) {
        return head.lines()
                .filter(line -> line.regionMatches(true, 0, name + ":", 0, name.length() + 1))
                .map(line -> line.substring(name.length() + 1).strip())
                .findFirst()
                .orElse("");
    }

    private static long length(String head) {
        String length = header(head, "Content-Length");
        return length.isEmpty() ? 0 : Long.parseLong(length);
    }

    private static void answer(String head, InputStream in, Socket client, int status, String code, Duration ahead)
            throws IOException {
        if (header(head, "Expect").isEmpty()) {
            in.skipNBytes(length(head)); // or the client may find a broken connection before it reads the answer
        }
        String body = "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>as asked</Message></Error>";
        String date = DateTimeFormatter.RFC_1123_DATE_TIME.format(
                ZonedDateTime.now(ZoneOffset.UTC).plus(ahead));
        String answer = "HTTP/1.1 " + status + " no\r\nDate: " + date + "\r\nContent-Type: application/xml\r\n"
                + "Connection: close\r\nContent-Length: " + body.length() + "\r\n\r\n"
                + (head.startsWith("HEAD ") ? "" : body);
        client.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
        client.getOutputStream().flush();
    }

    private void forward(String head, InputStream in, Socket client, Fault fault) throws IOException {
        try (Socket server = new Socket(InetAddress.getLoopbackAddress(), backend)) {
            open.add(server);
            String closing = head.replaceFirst("(?i)\r\nConnection: [^\r]*", "")
                    .replaceFirst("\r\n\r\n$", "\r\nConnection: close\r\n\r\n");
            OutputStream to = server.getOutputStream();
            byte[] first = closing.getBytes(StandardCharsets.ISO_8859_1);
            boolean bare = fault == Fault.CUT_REQUEST && length(head) < 2;
            to.write(first, 0, bare ? first.length / 2 : first.length);
            to.flush();
            if (fault == Fault.CUT_REQUEST) {
                to.write(in.readNBytes((int) Math.min(1 << 24, length(head) / 2)));
                to.flush();
                return;
            }
            Thread up = Thread.ofVirtual().start(() -> {
                try {
                    byte[] buffer = new byte[1 << 16];
                    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                        to.write(buffer, 0, n);
                        to.flush();
                    }
                } catch (IOException e) {
                    return; // the answer is there, or never comes
                }
            });
            try {
                down(server.getInputStream(), client.getOutputStream(), fault);
            } finally {
                open.remove(server);
                client.close();
                server.close();
                up.interrupt();
            }
        }
    }

    private static void down(InputStream from, OutputStream to, Fault fault) throws IOException {
        if (fault == Fault.NONE) {
            byte[] buffer = new byte[1 << 16];
            for (int n = from.read(buffer); n >= 0; n = from.read(buffer)) {
                to.write(buffer, 0, n);
                to.flush();
            }
            return;
        }
        byte[] all = from.readAllBytes();
        if (fault == Fault.CUT_ANSWER) {
            String text = new String(all, StandardCharsets.ISO_8859_1);
            int body = text.indexOf("\r\n\r\n") + 4;
            // Half of the body; where there is none, half of the head.
            to.write(all, 0, body < all.length ? (body + all.length) / 2 : all.length / 2);
            to.flush();
        }
    }

    @Override
    public String endpoint() {
        return "http://127.0.0.1:" + listening.getLocalPort();
    }

    @Override
    public boolean listsUploadsOfFolders() {
        return behind.listsUploadsOfFolders();
    }

    @Override
    public boolean isAtomic() {
        return behind.isAtomic();
    }

    @Override
    public void close() throws Exception {
        listening.close();
        for (Socket socket : open) {
            socket.close();
        }
        behind.close();
    }
}
