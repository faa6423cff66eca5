package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Source.UrlList;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpClient.Redirect;
import java.net.http.HttpClient.Version;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Fetches files by HTTP from hosts that nobody vouches for: so many at once in all and from one host, each try with a deadline for all of it,
 * each body with a cap, few redirects, and no address inside (unless allowed). Safe for many threads.
 */
final class Fetcher implements AutoCloseable {
    static final int MAX_URL = 8_192;
    private static final int MAX_REDIRECTS = 5;
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(60);
    private static final Set<String> DISALLOWED = Set.of("noai", "noimageai", "noindex", "noimageindex", "none");
    /** As {@code robots.txt} names us. */
    static final String NAME = "vlm-operator";

    private static final String AGENT = NAME + "/0.1";
    /** Hosts whose {@code robots.txt} is remembered. */
    private static final int MAX_ROBOTS = 4_096;

    private final UrlList rules;
    private final long pauseMillis;
    private final HttpClient client;
    private final Semaphore connections;
    private final Map<String, Semaphore> hosts = new ConcurrentHashMap<>();
    private final Map<String, Robots> robots = Collections.synchronizedMap(new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Robots> eldest) {
            return size() > MAX_ROBOTS;
        }
    });

    /**
     * @param pauseMillis before the second try; doubled for each further one
     */
    Fetcher(UrlList rules, long pauseMillis) {
        this.rules = rules;
        this.pauseMillis = pauseMillis;
        connections = new Semaphore(rules.connections());
        client = HttpClient.newBuilder()
                .version(Version.HTTP_1_1)
                .followRedirects(Redirect.NEVER) // each hop is checked here
                .connectTimeout(Duration.ofSeconds(rules.timeoutSeconds()))
                .build();
    }

    /**
     * What came of one url.
     *
     * @param body empty unless {@code reason} is null
     * @param reason null when the body is there
     * @param http last status; 0 without any answer
     */
    @SuppressWarnings("ArrayRecordComponent") // a file, handed on at once
    record Fetched(byte[] body, RejectReason reason, String detail, int http, int tries) {}

    /** A failure, and whether another try may help. */
    private static final class Failed extends Exception {
        private static final long serialVersionUID = 1;
        private final RejectReason reason;
        private final int http;
        private final boolean again;
        private final long waitMillis;

        Failed(RejectReason reason, String detail, int http, boolean again, long waitMillis) {
            super(detail);
            this.reason = reason;
            this.http = http;
            this.again = again;
            this.waitMillis = waitMillis;
        }
    }

    /** What a host allows; asked once, while others of the host wait. */
    private static final class Robots {
        private final ReentrantLock lock = new ReentrantLock();
        private RobotsText text;
    }

    /** Uses a body while the connection's permit is held, so that not more bodies lie in memory than connections are allowed. */
    interface Use {
        void fetched(Fetched fetched) throws IOException, InterruptedException;
    }

    /** Fetches, with further tries where they may help, and hands the outcome over. */
    void fetch(String url, Use use) throws IOException, InterruptedException {
        URI uri;
        try {
            uri = parse(url);
        } catch (Failed e) {
            use.fetched(new Fetched(new byte[0], e.reason, e.getMessage(), 0, 0));
            return;
        }
        for (int attempt = 1; ; attempt++) {
            long wait;
            // The host's permit first: who waits for a slow host must not keep others from the rest.
            Semaphore host = hosts.computeIfAbsent(key(uri), k -> new Semaphore(rules.connectionsPerHost()));
            host.acquire();
            try {
                connections.acquire();
                try {
                    use.fetched(new Fetched(hops(uri), null, "", 200, attempt));
                    return;
                } catch (Failed e) {
                    if (!e.again || attempt > rules.retries()) {
                        use.fetched(new Fetched(new byte[0], e.reason, e.getMessage(), e.http, attempt));
                        return;
                    }
                    wait = Math.max(e.waitMillis, pauseMillis << Math.min(attempt - 1, 16));
                } finally {
                    connections.release();
                }
            } finally {
                host.release();
            }
            Thread.sleep(Math.min(wait, LONGEST_PAUSE.toMillis()));
        }
    }

    private static String key(URI uri) {
        return uri.getHost().toLowerCase(Locale.ROOT);
    }

    private static URI parse(String url) throws Failed {
        if (url.isBlank() || url.length() > MAX_URL) {
            throw refused(url.isBlank() ? "no url" : "a url of " + url.length() + " characters");
        }
        URI uri;
        try {
            uri = new URI(url.strip());
        } catch (URISyntaxException e) {
            throw refused("no url: " + e.getReason());
        }
        String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
        if (!scheme.equals("http") && !scheme.equals("https") || uri.getHost() == null) {
            throw refused("no http or https url with a host");
        }
        if (uri.getUserInfo() != null) {
            throw refused("a url with a user name");
        }
        return uri;
    }

    private static Failed refused(String detail) {
        return new Failed(RejectReason.DownloadRefused, detail, 0, false, 0);
    }

    private byte[] hops(URI first) throws Failed, InterruptedException {
        long deadline = 0;
        URI uri = first;
        for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
            if (rules.honorRobots()) {
                requireInvited(uri);
            }
            // Right before it is asked: a host that takes its time with robots.txt must not be another one by then.
            requireAllowed(uri);
            if (hop == 0) {
                deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(rules.timeoutSeconds());
            }
            HttpResponse<byte[]> answer = send(uri, rules.maxBytes(), deadline);
            int status = answer.statusCode();
            if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
                String to = answer.headers().firstValue("location").orElse("");
                try {
                    uri = parse(uri.resolve(to).toString());
                } catch (IllegalArgumentException e) {
                    throw new Failed(RejectReason.DownloadFailed, "a redirect to no url", status, false, 0);
                }
                continue;
            }
            if (status != 200) {
                boolean again = status == 408 || status == 425 || status == 429 || status >= 500;
                throw new Failed(RejectReason.DownloadFailed, "HTTP " + status, status, again, retryAfter(answer));
            }
            if (rules.honorRobots() && disallowed(answer.headers().allValues("x-robots-tag"))) {
                throw new Failed(RejectReason.DownloadRefused, "X-Robots-Tag disallows it", status, false, 0);
            }
            return answer.body();
        }
        throw new Failed(RejectReason.DownloadFailed, "more than " + MAX_REDIRECTS + " redirects", 0, false, 0);
    }

    /** By the host's {@code robots.txt}; RFC 9309 says what an answer other than 200 means. */
    private void requireInvited(URI uri) throws Failed, InterruptedException {
        String path = uri.getRawPath() + (uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery());
        String origin = uri.getScheme().toLowerCase(Locale.ROOT) + "://" + key(uri) + ":" + uri.getPort();
        Robots known = robots.computeIfAbsent(origin, o -> new Robots());
        known.lock.lockInterruptibly();
        try {
            if (known.text == null) {
                known.text = robots(uri);
            }
        } finally {
            known.lock.unlock();
        }
        if (!known.text.allows(path)) {
            throw refused("robots.txt disallows it");
        }
    }

    private RobotsText robots(URI of) throws Failed, InterruptedException {
        URI uri = of.resolve("/robots.txt");
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(rules.timeoutSeconds());
        for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
            requireAllowed(uri);
            HttpResponse<byte[]> answer;
            try {
                answer = send(uri, RobotsText.MAX_BYTES, deadline);
            } catch (Failed e) {
                if (e.reason == RejectReason.DownloadTooLarge) {
                    return RobotsText.DISALLOW_ALL; // its rules can't be known
                }
                throw e;
            }
            int status = answer.statusCode();
            if (status == 200) {
                return RobotsText.parse(answer.body(), NAME);
            }
            if (status >= 500) {
                throw new Failed(
                        RejectReason.DownloadRefused,
                        "robots.txt answers HTTP " + status,
                        status,
                        true,
                        retryAfter(answer));
            }
            if (status < 300 || status >= 400) {
                return RobotsText.ALLOW_ALL;
            }
            try {
                uri = parse(uri.resolve(answer.headers().firstValue("location").orElse(""))
                        .toString());
            } catch (IllegalArgumentException | Failed e) {
                return RobotsText.ALLOW_ALL;
            }
        }
        return RobotsText.ALLOW_ALL;
    }

    private HttpResponse<byte[]> send(URI uri, long maxBytes, long deadline) throws Failed, InterruptedException {
        HttpRequest request;
        try {
            request = HttpRequest.newBuilder(uri)
                    .header("User-Agent", AGENT)
                    .header("Accept", uri.getPath().equals("/robots.txt") ? "text/plain" : "image/*")
                    .GET()
                    .build();
        } catch (IllegalArgumentException e) {
            throw refused("no url: " + e.getMessage());
        }
        CompletableFuture<HttpResponse<byte[]>> answer =
                client.sendAsync(request, BodyHandlers.limiting(BodyHandlers.ofByteArray(), maxBytes));
        try {
            return answer.get(Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            throw new Failed(
                    RejectReason.DownloadTimeout, "not whole after " + rules.timeoutSeconds() + " s", 0, true, 0);
        } catch (ExecutionException e) {
            String message = String.valueOf(e.getCause().getMessage());
            if (message.contains("exceeds capacity") || message.contains("capacity exceeded")) {
                throw new Failed(RejectReason.DownloadTooLarge, "more than " + maxBytes + " bytes", 0, false, 0);
            }
            throw new Failed(
                    RejectReason.DownloadFailed,
                    e.getCause().getClass().getSimpleName() + ": " + IndexRow.cut(message),
                    0,
                    e.getCause() instanceof IOException,
                    0);
        } finally {
            answer.cancel(true); // closes the connection of what was not read to its end
        }
    }

    private static long retryAfter(HttpResponse<?> answer) {
        String seconds = answer.headers().firstValue("retry-after").orElse("");
        return seconds.matches("\\d{1,6}") ? 1_000 * Long.parseLong(seconds) : 0;
    }

    /** A rule may be for one agent only ({@code name: noai}); those are not for us. */
    private static boolean disallowed(List<String> tags) {
        for (String tag : tags) {
            String text = tag.toLowerCase(Locale.ROOT);
            int colon = text.indexOf(':');
            String rest = colon < 0 || text.startsWith("unavailable_after") ? text : text.substring(colon + 1);
            boolean ours = colon < 0 || text.substring(0, colon).strip().equals(NAME);
            for (String rule : rest.split(",", -1)) {
                if (ours && DISALLOWED.contains(rule.strip())) {
                    return true;
                }
            }
        }
        return false;
    }

    private void requireAllowed(URI uri) throws Failed {
        InetAddress[] addresses;
        try {
            String host = uri.getHost();
            addresses = InetAddress.getAllByName(host);
        } catch (UnknownHostException e) {
            throw new Failed(RejectReason.DownloadFailed, "the host " + uri.getHost() + " is unknown", 0, true, 0);
        }
        if (rules.allowPrivateAddresses()) {
            return;
        }
        // The client asks the same resolver right after, which keeps what it found for 30 seconds.
        for (InetAddress address : addresses) {
            if (isInside(address)) {
                throw refused(uri.getHost() + " is inside: " + address.getHostAddress());
            }
        }
    }

    /** Addresses that are not of the public Internet (IANA's special-purpose registries). */
    static boolean isInside(InetAddress address) {
        if (address.isAnyLocalAddress()
                || address.isLoopbackAddress()
                || address.isLinkLocalAddress()
                || address.isSiteLocalAddress()
                || address.isMulticastAddress()) {
            return true;
        }
        byte[] bytes = address.getAddress();
        int a = bytes[0] & 0xFF;
        int b = bytes[1] & 0xFF;
        if (address instanceof Inet4Address) {
            return a == 0
                    || a == 100 && b >= 64 && b < 128 // shared address space
                    || a == 192 && b == 0 && bytes[2] == 0
                    || a == 198 && (b == 18 || b == 19) // benchmarking
                    || a >= 240;
        }
        return (a & 0xE0) != 0x20 // all but global unicast: unique local ones, those that hold one of version 4
                || a == 0x20 && b == 0x02 // 6to4 wraps an address of version 4
                || a == 0x20 && b == 0x01 && bytes[2] == 0 && bytes[3] == 0; // so does Teredo
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}
