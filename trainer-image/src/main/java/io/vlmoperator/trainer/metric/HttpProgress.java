package io.vlmoperator.trainer.metric;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Posts reports to the operator from a thread of its own. Only the newest report waits; a lost one is not repeated, because the next
 * one says more. The authority's file and the token are read again for every post: both are rotated while a run goes on.
 */
public final class HttpProgress implements Progress {
    private static final Duration INTERVAL = Duration.ofSeconds(3);
    private static final Duration PAUSE_AFTER_FAILURE = Duration.ofSeconds(5);
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(5);
    private static final int MAX_ANSWER_BYTES = 64 * 1024;
    private static final int MAX_TOKEN_BYTES = 64 * 1024;
    private static final ObjectMapper ANSWERS =
            new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    private final URI url;
    private final Optional<Path> authority;
    private final Optional<Path> token;
    private final String uid;
    private final int attempt;
    private final Consumer<String> log;
    private final Duration interval;
    private final Thread sender;

    private final Object lock = new Object();
    // Guarded by lock.
    private Optional<ProgressReport> pending = Optional.empty();
    private boolean urgent;
    private boolean closing;
    private long sequence;
    private Set<Long> pins = Set.of();
    private Optional<ProgressAnswer.Command> command = Optional.empty();
    private String lastCommandId = "";
    private long heardAt = System.nanoTime();

    // Used by the sender only.
    private String authorityText = "";
    private HttpClient client;
    private String lastFailure = "";

    private HttpProgress(
            URI url,
            Optional<Path> authority,
            Optional<Path> token,
            String uid,
            int attempt,
            Duration interval,
            Consumer<String> log) {
        this.url = url;
        this.authority = authority;
        this.token = token;
        this.uid = uid;
        this.attempt = attempt;
        this.interval = interval;
        this.log = log;
        this.client = HttpClient.newBuilder().connectTimeout(LIMIT).build();
        this.sender = Thread.ofPlatform().daemon().name("progress").unstarted(this::send);
    }

    /**
     * Starts the sender.
     *
     * @param authority PEM file; without one the JDK's authorities are trusted
     * @param token file with the bearer token
     * @param log gets a line when posting begins to fail and when it works again
     */
    public static HttpProgress start(
            URI url, Optional<Path> authority, Optional<Path> token, String uid, int attempt, Consumer<String> log) {
        return start(url, authority, token, uid, attempt, INTERVAL, log);
    }

    static HttpProgress start(
            URI url,
            Optional<Path> authority,
            Optional<Path> token,
            String uid,
            int attempt,
            Duration interval,
            Consumer<String> log) {
        HttpProgress progress = new HttpProgress(url, authority, token, uid, attempt, interval, log);
        progress.sender.start();
        return progress;
    }

    @Override
    public void report(ProgressReport report, boolean now) {
        synchronized (lock) {
            pending = Optional.of(report);
            urgent |= now;
            lock.notifyAll();
        }
    }

    @Override
    public Set<Long> pins() {
        synchronized (lock) {
            return pins;
        }
    }

    @Override
    public boolean heardWithin(Duration time) {
        synchronized (lock) {
            return System.nanoTime() - heardAt < time.toNanos();
        }
    }

    @Override
    public Optional<ProgressAnswer.Command> takeCommand() {
        synchronized (lock) {
            Optional<ProgressAnswer.Command> taken = command;
            command = Optional.empty();
            return taken;
        }
    }

    @Override
    public void close() {
        synchronized (lock) {
            closing = true;
            lock.notifyAll();
        }
        try {
            sender.join(CLOSE_LIMIT);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        sender.interrupt();
    }

    private void send() {
        try {
            long notBefore = System.nanoTime();
            for (Optional<ProgressReport> next = next(notBefore); next.isPresent(); next = next(notBefore)) {
                Duration pause = interval;
                try {
                    post(next.get());
                    if (!lastFailure.isEmpty()) {
                        lastFailure = "";
                        log.accept("progress reports arrive again");
                    }
                } catch (IOException | GeneralSecurityException | RuntimeException e) {
                    pause = PAUSE_AFTER_FAILURE;
                    String failure = e.getClass().getSimpleName() + ": " + e.getMessage();
                    if (!failure.equals(lastFailure)) {
                        lastFailure = failure;
                        log.accept("a progress report was not delivered (training goes on): " + failure);
                    }
                }
                notBefore = System.nanoTime() + pause.toNanos();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The next report to send; empty at the end. */
    private Optional<ProgressReport> next(long notBefore) throws InterruptedException {
        synchronized (lock) {
            while (true) {
                long wait = notBefore - System.nanoTime();
                if (pending.isPresent() && (urgent || closing || wait <= 0)) {
                    Optional<ProgressReport> taken = pending;
                    pending = Optional.empty();
                    urgent = false;
                    return taken;
                }
                if (closing && pending.isEmpty()) {
                    return Optional.empty();
                }
                lock.wait(pending.isPresent() ? Math.max(1, wait / 1_000_000) : 0);
            }
        }
    }

    private void post(ProgressReport report) throws IOException, GeneralSecurityException, InterruptedException {
        long number;
        synchronized (lock) {
            number = ++sequence;
        }
        byte[] body = Reports.bounded(Reports.addressed(report, uid, attempt, number));
        HttpRequest.Builder request = HttpRequest.newBuilder(url)
                .timeout(LIMIT)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofByteArray(body));
        if (token.isPresent()) {
            request.header("Authorization", "Bearer " + small(token.get()).strip());
        }
        HttpResponse<byte[]> response = client().send(
                        request.build(),
                        HttpResponse.BodyHandlers.limiting(HttpResponse.BodyHandlers.ofByteArray(), MAX_ANSWER_BYTES));
        if (response.statusCode() != 200) {
            throw new IOException("the operator answered " + response.statusCode());
        }
        ProgressAnswer answer = ANSWERS.readValue(response.body(), ProgressAnswer.class);
        synchronized (lock) {
            heardAt = System.nanoTime();
            pins = Set.copyOf(answer.pins());
            ProgressAnswer.Command asked = answer.command();
            if (asked != null
                    && asked.id() != null
                    && asked.action() != null
                    && !asked.id().equals(lastCommandId)) {
                lastCommandId = asked.id();
                if (asked.action() != ProgressAnswer.Action.None) {
                    command = Optional.of(asked);
                }
            }
        }
    }

    private HttpClient client() throws IOException, GeneralSecurityException {
        if (authority.isEmpty()) {
            return client;
        }
        String text = small(authority.get());
        if (!text.equals(authorityText)) {
            client.close();
            client = HttpClient.newBuilder()
                    .connectTimeout(LIMIT)
                    .sslContext(trusting(authority.get()))
                    .build();
            authorityText = text;
        }
        return client;
    }

    private static SSLContext trusting(Path pem) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = Files.newInputStream(pem)) {
            int i = 0;
            for (Certificate certificate :
                    CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("ca" + i++, certificate);
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    private static String small(Path file) throws IOException {
        if (Files.size(file) > MAX_TOKEN_BYTES) {
            throw new IOException(file + " is longer than " + MAX_TOKEN_BYTES + " bytes");
        }
        return Files.readString(file, StandardCharsets.UTF_8);
    }
}
