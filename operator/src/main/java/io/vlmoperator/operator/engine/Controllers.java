package io.vlmoperator.operator.engine;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.inbound.SimpleInboundEventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.operator.workload.Labels;
import java.util.List;
import java.util.Set;

/** What the four reconcilers share: their event sources and the call of the engine. */
public final class Controllers {
    /** While nothing happens a resource is looked at so often. */
    public static final int MAX_INTERVAL_SECONDS = 60;

    private final Engine engine;
    private final News news;

    public Controllers(Engine engine, News news) {
        this.engine = engine;
        this.news = news;
    }

    void hold(Dataset dataset) {
        engine.hold(dataset);
    }

    <P extends HasMetadata> UpdateControl<P> reconcile(P resource, Context<P> context) {
        var again = engine.reconcile(
                Subjects.of(resource),
                resource.getMetadata().getResourceVersion(),
                context.getSecondaryResources(Job.class),
                context.getSecondaryResources(Pod.class));
        var control = UpdateControl.<P>noUpdate();
        again.ifPresent(control::rescheduleAfter);
        return control;
    }

    <P extends HasMetadata> List<EventSource<?, P>> sources(Kind kind, Class<P> type, EventSourceContext<P> context) {
        var inbound = new SimpleInboundEventSource<P>("news");
        news.register(kind, inbound);
        return List.of(children(kind, Job.class, type, context), children(kind, Pod.class, type, context), inbound);
    }

    /** Only children of this kind, by label; comparable versions stay off: with them spec edits get lost (operator-stack, 4). */
    private static <R extends HasMetadata, P extends HasMetadata> EventSource<R, P> children(
            Kind kind, Class<R> type, Class<P> primary, EventSourceContext<P> context) {
        var configuration = InformerEventSourceConfiguration.from(type, primary)
                .withName(type.getSimpleName().toLowerCase(java.util.Locale.ROOT))
                .withLabelSelector(Labels.KIND + "=" + kind.shortName() + "," + Labels.ATTEMPT)
                .withComparableResourceVersion(false)
                .withSecondaryToPrimaryMapper(child -> {
                    var name = Translate.labels(child).get(Labels.NAME);
                    return name == null
                            ? Set.of()
                            : Set.of(new ResourceID(name, child.getMetadata().getNamespace()));
                })
                .build();
        return new InformerEventSource<>(configuration, context);
    }
}
