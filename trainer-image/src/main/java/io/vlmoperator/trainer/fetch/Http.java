package io.vlmoperator.trainer.fetch;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * GET by HTTP with bounded waits. Redirects are followed by hand, a few of them; a token goes to the first host only, never to where it
 * redirects to, and never on from TLS to plain HTTP.
 *
 * @param connect longest wait for a connection
 * @param silence longest wait for the next byte
 */
record Http(Duration connect, Duration silence) {
    private static final int MAX_REDIRECTS = 10;
    private static final int MAX_TEXT = 300;
    private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(5);
    private static final int RANGE_NOT_SATISFIABLE = 416;

    Http() {
        this(Duration.ofSeconds(20), Duration.ofSeconds(60));
    }

    /** Says what a status means that is no success. */
    interface Refusal {
        Optional<FetchException> of(int status, String errorCode, String errorMessage);
    }

    static URI uri(String text) throws FetchException {
        try {
            URI uri = new URI(text);
            String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
            if (!(scheme.equals("https") || scheme.equals("http")) || uri.getHost() == null) {
                throw FetchException.configuration("'" + text + "' is no http or https url");
            }
            if (uri.getUserInfo() != null) {
                throw FetchException.configuration("a url with a password in it is not used; take it out");
            }
            return uri;
        } catch (URISyntaxException e) {
            throw FetchException.configuration("'" + text + "' is no url: " + e.getReason());
        }
    }

    /**
     * The body from a place on.
     *
     * @param token for the host of {@code uri}
     */
    RemoteFile.Body get(URI uri, Optional<String> token, long from, Refusal refusal) throws IOException {
        URI at = uri;
        Optional<Digest> digest = Optional.empty();
        for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
            boolean home = isSameOrigin(uri, at);
            HttpURLConnection connection = open(at, home ? token : Optional.empty(), from);
            boolean keep = false;
            try {
                int status = connection.getResponseCode();
                digest = digest.or(() -> digest(connection));
                if (REDIRECTS.contains(status)) {
                    at = next(at, connection.getHeaderField("Location"), uri);
                } else if (status == 200 || status == 206) {
                    keep = true;
                    long begin = status == 206 ? begin(connection, from, at) : 0;
                    long length = connection.getContentLengthLong();
                    return new RemoteFile.Body(
                            new Closing(connection),
                            begin,
                            length < 0 ? OptionalLong.empty() : OptionalLong.of(begin + length),
                            digest);
                } else {
                    throw refused(connection, status, at, refusal);
                }
            } catch (FetchException e) {
                throw e;
            } catch (IOException e) {
                throw FetchException.passing(host(at) + ": " + reason(e), Duration.ZERO, e);
            } finally {
                if (!keep) {
                    connection.disconnect();
                }
            }
        }
        throw FetchException.configuration(uri + " redirects more than " + MAX_REDIRECTS + " times");
    }

    private HttpURLConnection open(URI uri, Optional<String> token, long from) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
        connection.setInstanceFollowRedirects(false);
        connection.setUseCaches(false);
        connection.setConnectTimeout((int) connect.toMillis());
        connection.setReadTimeout((int) silence.toMillis());
        connection.setRequestProperty("User-Agent", "vlm-operator/0.1");
        connection.setRequestProperty("Accept-Encoding", "identity");
        token.ifPresent(secret -> connection.setRequestProperty("Authorization", "Bearer " + secret));
        if (from > 0) {
            connection.setRequestProperty("Range", "bytes=" + from + "-");
        }
        return connection;
    }

    static boolean isSameOrigin(URI one, URI other) {
        return one.getScheme().equalsIgnoreCase(other.getScheme())
                && one.getHost().equalsIgnoreCase(other.getHost())
                && port(one) == port(other);
    }

    private static int port(URI uri) {
        return uri.getPort() >= 0 ? uri.getPort() : uri.getScheme().equalsIgnoreCase("https") ? 443 : 80;
    }

    private static URI next(URI from, String location, URI first) throws FetchException {
        if (location == null) {
            throw FetchException.passing(first + ": a redirect to nowhere", Duration.ZERO, null);
        }
        URI to;
        try {
            to = uri(from.resolve(location).toString());
        } catch (IllegalArgumentException e) {
            throw FetchException.passing(first + ": a redirect to no url", Duration.ZERO, e);
        }
        if (from.getScheme().equalsIgnoreCase("https") && to.getScheme().equalsIgnoreCase("http")) {
            throw FetchException.configuration(first + " redirects from https to plain http; this is not followed");
        }
        return to;
    }

    /** A model hub says what the content comes to, in the answer that may redirect to it. */
    private static Optional<Digest> digest(HttpURLConnection connection) {
        String linked = connection.getHeaderField("X-Linked-Etag");
        String tag = linked == null ? connection.getHeaderField("ETag") : linked;
        String hex = tag == null ? "" : tag.replaceFirst("^W/", "").replace("\"", "");
        return hex.matches("[0-9a-fA-F]{64}")
                ? Optional.of(new Digest(Digest.Kind.SHA256, hex))
                : hex.matches("[0-9a-fA-F]{40}")
                        ? Optional.of(new Digest(Digest.Kind.GIT_BLOB, hex))
                        : Optional.empty();
    }

    /** The first byte of a partial answer. */
    private static long begin(HttpURLConnection connection, long from, URI at) throws FetchException {
        String range = String.valueOf(connection.getHeaderField("Content-Range"));
        if (!range.startsWith("bytes " + from + "-")) {
            throw FetchException.passing(
                    host(at) + " was asked for the bytes from " + from + " on and sent '" + cut(range) + "'",
                    Duration.ZERO,
                    null);
        }
        return from;
    }

    private static FetchException refused(HttpURLConnection connection, int status, URI at, Refusal refusal)
            throws IOException {
        String code = cut(String.valueOf(connection.getHeaderField("X-Error-Code")));
        String message = connection.getHeaderField("X-Error-Message");
        if (message == null) {
            try (InputStream error = connection.getErrorStream()) {
                message = error == null ? "" : new String(error.readNBytes(MAX_TEXT), StandardCharsets.UTF_8);
            }
        }
        String text = cut(message);
        String what = host(at) + " answers " + status + (text.isEmpty() ? "" : " (" + text + ")");
        boolean passing = status == 408 || status == 425 || status == 429 || status >= 500;
        if (passing) {
            return FetchException.passing(what, pause(connection.getHeaderField("Retry-After")), null);
        }
        if (status == RANGE_NOT_SATISFIABLE) {
            return FetchException.data(what + ": the file is shorter than what is here already");
        }
        Optional<FetchException> known = refusal.of(status, code, text);
        if (known.isPresent()) {
            return known.get();
        }
        if (status == 401 || status == 403) {
            return FetchException.configuration(what + ": access denied");
        }
        return status == 404 || status == 410
                ? FetchException.configuration(what + ": " + at.getPath() + " is not there; correct the url")
                : FetchException.configuration(what + " to " + at.getPath());
    }

    private static Duration pause(String retryAfter) {
        if (retryAfter == null || !retryAfter.matches("\\d{1,6}")) {
            return Duration.ZERO;
        }
        Duration pause = Duration.ofSeconds(Long.parseLong(retryAfter));
        return pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE;
    }

    private static String host(URI uri) {
        return uri.getHost() + (uri.getPort() < 0 ? "" : ":" + uri.getPort());
    }

    /** One line that steers no terminal. */
    static String cut(String text) {
        String line = text.replaceAll("\\p{Cntrl}+", " ").strip();
        return line.length() > MAX_TEXT ? line.substring(0, MAX_TEXT) : line;
    }

    private static String reason(IOException e) {
        return e instanceof java.net.SocketTimeoutException
                ? "no answer in time"
                : cut(e.getClass().getSimpleName() + ": " + e.getMessage());
    }

    /** Ends the connection with the body: the rest of a large one is not read for the sake of keeping it. */
    private static final class Closing extends InputStream {
        private final HttpURLConnection connection;
        private final InputStream in;

        Closing(HttpURLConnection connection) throws IOException {
            this.connection = connection;
            in = connection.getInputStream();
        }

        @Override
        public int read() throws IOException {
            return in.read();
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            return in.read(bytes, offset, length);
        }

        @Override
        public void close() {
            connection.disconnect();
        }
    }
}
