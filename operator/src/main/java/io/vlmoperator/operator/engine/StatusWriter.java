package io.vlmoperator.operator.engine;

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.MicroTime;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.ObjectReferenceBuilder;
import io.fabric8.kubernetes.api.model.events.v1.EventBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.resource.Api;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.status.Bounded;
import io.vlmoperator.operator.status.Notices;
import io.vlmoperator.operator.status.Notices.Notice;
import io.vlmoperator.operator.status.StatusCodec;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jboss.logging.Logger;

/**
 * Writes statuses by server-side apply, only when they differ, then the events. Remembers what it wrote until the cache has seen it, so
 * that the next pass does not decide on an older status.
 */
public final class StatusWriter {
    /** Owns everything of a status but {@code progress}. */
    public static final String MANAGER = "vlm-operator";
    /** Owns {@code status.progress} and nothing else. */
    public static final String PROGRESS_MANAGER = "vlm-operator-progress";

    private static final Logger LOG = Logger.getLogger(StatusWriter.class);
    private static final int MOST_REMEMBERED = 20_000;
    private static final int NOTE = 1000;
    private static final DateTimeFormatter MICROS =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

    private final KubernetesClient client;
    private final String instance;
    private final Clock clock;
    private final Map<String, Written> written = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Written> eldest) {
            return size() > MOST_REMEMBERED;
        }
    };

    private record Written(RunStatus status, long version) {}

    /** @param instance name of this process in events */
    public StatusWriter(KubernetesClient client, String instance, Clock clock) {
        this.client = client;
        this.instance = instance;
        this.clock = clock;
    }

    /** The subject with the newest status known: the cache's, or what was written since. */
    public Subject newest(Subject cached, String resourceVersion) {
        synchronized (written) {
            var own = written.get(cached.uid());
            if (own == null) {
                return cached;
            }
            if (version(resourceVersion) >= own.version()) {
                written.remove(cached.uid());
                return cached;
            }
            return Subjects.withStatus(cached, withProgress(own.status(), cached.status()));
        }
    }

    /** The one with the other's progress. */
    static RunStatus withProgress(RunStatus s, RunStatus from) {
        return new RunStatus(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                from.progress(),
                s.checkpoints(),
                s.results(),
                s.attempts(),
                s.restarts(),
                s.export(),
                s.dataset(),
                s.source(),
                s.conditions());
    }

    /** Versions of one object are ordered numbers; one that is none counts as newer than anything. */
    private static long version(String resourceVersion) {
        try {
            return Long.parseLong(resourceVersion);
        } catch (NumberFormatException e) {
            return Long.MAX_VALUE;
        }
    }

    /** Whether something was written. */
    public boolean write(Subject subject, RunStatus status) {
        var tree = StatusCodec.tree(subject, status);
        if (tree.equals(StatusCodec.tree(subject, subject.status()))) {
            return false;
        }
        var answer = apply(subject, tree, MANAGER);
        if (answer.isEmpty()) {
            return false;
        }
        synchronized (written) {
            written.put(
                    subject.uid(),
                    new Written(status, version(answer.get().getMetadata().getResourceVersion())));
        }
        Notices.line(subject.status(), status)
                .ifPresent(
                        line -> LOG.infof("%s %s/%s: %s", subject.kind(), subject.namespace(), subject.name(), line));
        for (Notice notice : Notices.between(subject.status(), status)) {
            event(subject, notice);
        }
        return true;
    }

    /** One apply of a part of the status; empty when the resource is gone. */
    public Optional<GenericKubernetesResource> apply(Subject subject, Map<String, Object> status, String manager) {
        var resource = new GenericKubernetesResource();
        resource.setApiVersion(Api.GROUP + "/" + Api.VERSION);
        resource.setKind(subject.kind().name());
        // The uid keeps a status from reaching a later resource of the same name.
        resource.setMetadata(new ObjectMetaBuilder()
                .withName(subject.name())
                .withNamespace(subject.namespace())
                .withUid(subject.uid())
                .build());
        resource.setAdditionalProperty("status", status);
        try {
            return Optional.of(client.resource(resource)
                    .subresource("status")
                    .patch(new PatchContext.Builder()
                            .withPatchType(PatchType.SERVER_SIDE_APPLY)
                            .withFieldManager(manager)
                            .withForce(true)
                            .build()));
        } catch (KubernetesClientException e) {
            if (e.getCode() == 404 || e.getCode() == 409) {
                LOG.debugf("%s %s/%s is gone", subject.kind(), subject.namespace(), subject.name());
                return Optional.empty();
            }
            throw e;
        }
    }

    /** An event on the resource; a lost one is no reason to fail. */
    public void event(Subject subject, Notice notice) {
        Instant now = clock.instant();
        long unique = now.getEpochSecond() * 1_000_000_000L + now.getNano();
        var reference = new ObjectReferenceBuilder()
                .withApiVersion(Api.GROUP + "/" + Api.VERSION)
                .withKind(subject.kind().name())
                .withNamespace(subject.namespace())
                .withName(subject.name())
                .withUid(subject.uid())
                .build();
        var event = new EventBuilder()
                .withNewMetadata()
                .withName(subject.name() + "."
                        + Long.toHexString(unique + notice.reason().ordinal()))
                .withNamespace(subject.namespace())
                .endMetadata()
                .withEventTime(new MicroTime(MICROS.format(now)))
                .withReportingController("vlm-operator.io/operator")
                .withReportingInstance(instance)
                .withAction(notice.reason().name())
                .withReason(notice.reason().name())
                .withNote(Bounded.text(notice.message(), NOTE))
                .withType(notice.warning() ? "Warning" : "Normal")
                .withRegarding(reference)
                .build();
        try {
            client.resource(event).create();
        } catch (KubernetesClientException e) {
            LOG.warnf(
                    "Event %s on %s/%s was not written: %s",
                    notice.reason(), subject.namespace(), subject.name(), e.getMessage());
        }
    }
}
