package io.vlmoperator.operator.progress;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.operator.engine.Reports;
import io.vlmoperator.operator.model.Observed.Report;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Pins;
import io.vlmoperator.operator.status.StatusCodec;
import io.vlmoperator.operator.workload.AttemptModel;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jboss.logging.Logger;

/** Takes reports: who may report, what is stale, what is news. Knows nothing of HTTP but its status codes. */
public final class ProgressService {
    private static final Logger LOG = Logger.getLogger(ProgressService.class);
    /** Fastest reports of one resource. */
    static final Duration SHORTEST = Duration.ofMillis(100);
    /** Partial results wake the reconciler so often at most. */
    static final Duration PARTIAL = Duration.ofSeconds(15);

    private static final int MOST = 20_000;

    private final Directory directory;
    private final TokenCheck tokens;
    private final Reports reports;
    private final Listener listener;
    private final Clock clock;
    private final Map<String, Pace> paces = new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Pace> eldest) {
            return size() > MOST;
        }
    };

    private record Pace(Instant accepted, Instant partialNews) {}

    /** The resources of the cluster. */
    public interface Directory {
        Optional<Subject> find(Kind kind, String namespace, String name);

        /** What may refer to checkpoints of this namespace. */
        Collection<Pins.Neighbour> neighbours(String namespace);
    }

    /** Hears of accepted reports. */
    public interface Listener {
        /** @param news the reconciler shall look at it now */
        void accepted(Subject subject, ProgressReport report, boolean news);
    }

    /** @param body null for an empty one */
    public record Reply(int status, Object body) {
        static Reply error(int status, String message) {
            return new Reply(status, Map.of("error", message));
        }
    }

    public ProgressService(Directory directory, TokenCheck tokens, Reports reports, Listener listener, Clock clock) {
        this.directory = directory;
        this.tokens = tokens;
        this.reports = reports;
        this.listener = listener;
        this.clock = clock;
    }

    /** @param token from the Authorization header, without "Bearer " */
    public Reply report(String namespace, String plural, String name, Optional<String> token, byte[] body) {
        var kind = Arrays.stream(Kind.values())
                .filter(k -> k.plural().equals(plural))
                .findFirst();
        if (kind.isEmpty()) {
            return Reply.error(404, "No such kind: use datasets, pretrainjobs, sftjobs or evaljobs");
        }
        if (token.filter(text -> !text.isBlank()).isEmpty()) {
            return Reply.error(401, "Send the projected token: Authorization: Bearer ...");
        }
        if (body.length > ProgressReport.MAX_BYTES) {
            return Reply.error(413, "A report has at most " + ProgressReport.MAX_BYTES + " bytes");
        }
        var found = directory.find(kind.get(), namespace, name);
        if (found.isEmpty()) {
            // Nobody may learn by asking which resources exist.
            return Reply.error(403, "The token is not for this resource");
        }
        var subject = found.get();
        try {
            var audience = AttemptModel.audience(namespace, plural, name, subject.uid());
            var identity = tokens.check(token.get(), audience);
            if (identity.isEmpty()) {
                return Reply.error(401, "The token is not valid for audience " + audience);
            }
            if (!mayReport(identity.get(), subject)) {
                return Reply.error(403, "The token is not of a worker of this resource");
            }
        } catch (TokenCheck.BusyException e) {
            return Reply.error(429, e.getMessage());
        } catch (KubernetesClientException e) {
            LOG.warnf("TokenReview failed: %s", e.getMessage());
            return Reply.error(503, "The token can't be checked now; come again");
        }
        return take(subject, body);
    }

    /** A service account of the same namespace; where the token tells its pod, a pod of this resource. */
    private static boolean mayReport(TokenCheck.Identity identity, Subject subject) {
        return identity.user().startsWith("system:serviceaccount:" + subject.namespace() + ":")
                && (identity.pod().isEmpty() || identity.pod().startsWith(subject.childPrefix() + "-"));
    }

    private Reply take(Subject subject, byte[] body) {
        ProgressReport report;
        try {
            report = StatusCodec.json().readValue(body, ProgressReport.class);
        } catch (JsonProcessingException e) {
            return Reply.error(400, "Not a progress report: " + e.getOriginalMessage());
        } catch (IOException e) {
            return Reply.error(400, "Not a progress report");
        }
        if (report == null || report.uid() == null || report.attempt() == null || report.sequence() == null) {
            return Reply.error(400, "uid, attempt and sequence are required");
        }
        if (report.attempt() < 1 || report.sequence() < 0) {
            return Reply.error(400, "attempt begins at 1 and sequence at 0");
        }
        if (!report.uid().equals(subject.uid())) {
            return Reply.error(409, "The resource was made anew; this report is of an earlier one");
        }
        if (stale(subject, report)) {
            return Reply.error(409, "Attempt " + report.attempt() + " is over");
        }
        var now = clock.instant();
        var before = reports.of(subject.uid());
        boolean news;
        synchronized (paces) {
            var pace = paces.get(subject.uid());
            if (pace != null && now.isBefore(pace.accepted().plus(SHORTEST))) {
                return Reply.error(429, "At most one report in " + SHORTEST.toMillis() + " ms");
            }
            if (!reports.offer(report, now)) {
                return Reply.error(409, "Sequence " + report.sequence() + " or a later one was taken already");
            }
            boolean partial = partial(before, report)
                    && (pace == null || !now.isBefore(pace.partialNews().plus(PARTIAL)));
            news = partial || news(before, report);
            var partialNews = partial ? now : pace == null ? Instant.EPOCH : pace.partialNews();
            paces.put(subject.uid(), new Pace(now, partialNews));
        }
        listener.accepted(subject, report, news);
        var pins = Pins.of(subject.kind(), subject.name(), subject.status(), directory.neighbours(subject.namespace()));
        var none = new ProgressAnswer.Command(subject.uid() + "-none", ProgressAnswer.Action.None);
        return new Reply(200, new ProgressAnswer(pins, none));
    }

    private static boolean stale(Subject subject, ProgressReport report) {
        return subject.status()
                .lastAttempt()
                .filter(last -> report.attempt() < last.number()
                        || report.attempt().equals(last.number()) && last.endedAt() != null)
                .isPresent();
    }

    private static boolean news(Optional<Report> before, ProgressReport now) {
        if (before.filter(old -> old.body().attempt().equals(now.attempt())).isEmpty()) {
            return true;
        }
        var old = before.get().body();
        return !Objects.equals(latest(old), latest(now))
                || !Objects.equals(old.best(), now.best())
                || !Objects.equals(warning(old), warning(now));
    }

    private static String warning(ProgressReport report) {
        return report.warnings().isEmpty() ? null : report.warnings().getFirst();
    }

    private static Long latest(ProgressReport report) {
        return report.checkpoints().stream()
                .map(Checkpoint::step)
                .filter(Objects::nonNull)
                .max(Long::compare)
                .orElse(null);
    }

    private static boolean partial(Optional<Report> before, ProgressReport now) {
        return !before.map(old -> old.body().results().equals(now.results())
                        && Objects.equals(old.body().dataset(), now.dataset()))
                .orElse(now.results().isEmpty() && now.dataset() == null);
    }
}
