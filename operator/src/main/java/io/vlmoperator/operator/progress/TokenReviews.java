package io.vlmoperator.operator.progress;

import io.fabric8.kubernetes.api.model.authentication.TokenReviewBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.operator.status.StatusCodec;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Asks the API server by TokenReview. Good answers are kept until the token expires, at most five minutes; bad ones for half a minute,
 * so that a stranger can't make the API server work. Both caches are bounded, and so is the number of questions at a time.
 */
public final class TokenReviews implements TokenCheck {
    private static final Duration LONGEST = Duration.ofMinutes(5);
    private static final Duration REFUSED = Duration.ofSeconds(30);
    private static final int MOST = 4096;
    private static final int AT_ONCE = 8;
    private static final int LONGEST_TOKEN = 8192;

    private final KubernetesClient client;
    private final Clock clock;
    private final Semaphore questions = new Semaphore(AT_ONCE);
    private final Map<String, Answer> good = bounded();
    private final Map<String, Answer> bad = bounded();

    private record Answer(Optional<Identity> identity, Instant until) {}

    public TokenReviews(KubernetesClient client, Clock clock) {
        this.client = client;
        this.clock = clock;
    }

    private static Map<String, Answer> bounded() {
        return new LinkedHashMap<>() {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<String, Answer> eldest) {
                return size() > MOST;
            }
        };
    }

    @Override
    public Optional<Identity> check(String token, String audience) {
        if (token.length() > LONGEST_TOKEN) {
            return Optional.empty();
        }
        var key = digest(token + "\n" + audience);
        var now = clock.instant();
        synchronized (this) {
            for (var cache : List.of(good, bad)) {
                var known = cache.get(key);
                if (known != null && now.isBefore(known.until())) {
                    return known.identity();
                }
            }
        }
        var identity = ask(token, audience);
        var until = identity.isPresent()
                ? expiry(token).filter(end -> end.isBefore(now.plus(LONGEST))).orElse(now.plus(LONGEST))
                : now.plus(REFUSED);
        synchronized (this) {
            (identity.isPresent() ? good : bad).put(key, new Answer(identity, until));
        }
        return identity;
    }

    private Optional<Identity> ask(String token, String audience) {
        try {
            if (!questions.tryAcquire(1, TimeUnit.SECONDS)) {
                throw new BusyException("Too many tokens are being checked; come again");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BusyException("Interrupted");
        }
        try {
            var review = client.resource(new TokenReviewBuilder()
                            .withNewSpec()
                            .withToken(token)
                            .withAudiences(audience)
                            .endSpec()
                            .build())
                    .create();
            var status = review.getStatus();
            boolean valid = status != null
                    && Boolean.TRUE.equals(status.getAuthenticated())
                    && status.getAudiences() != null
                    && status.getAudiences().contains(audience);
            if (!valid) {
                return Optional.empty();
            }
            var extra = status.getUser().getExtra();
            var pods = extra == null ? null : extra.get("authentication.kubernetes.io/pod-name");
            return Optional.of(new Identity(
                    status.getUser().getUsername(), pods == null || pods.isEmpty() ? "" : pods.getFirst()));
        } finally {
            questions.release();
        }
    }

    /** When a token says it ends; the review has checked its signature. */
    static Optional<Instant> expiry(String token) {
        var first = token.indexOf('.');
        var last = token.lastIndexOf('.');
        if (first < 0 || last <= first) {
            return Optional.empty();
        }
        try {
            var claims = StatusCodec.json().readTree(Base64.getUrlDecoder().decode(token.substring(first + 1, last)));
            return claims != null && claims.path("exp").canConvertToLong()
                    ? Optional.of(Instant.ofEpochSecond(claims.path("exp").asLong()))
                    : Optional.empty();
        } catch (IllegalArgumentException | IOException e) {
            return Optional.empty();
        }
    }

    private static String digest(String text) {
        try {
            var hash = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
