package io.vlmoperator.operator.engine;

import io.javaoperatorsdk.operator.api.config.informer.Informer;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.MaxReconciliationInterval;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.run.Kind;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Reconciles PretrainJobs; all of it is in {@link Engine}. */
@ControllerConfiguration(
        name = "pretrainjob",
        informer = @Informer(comparableResourceVersions = false),
        maxReconciliationInterval =
                @MaxReconciliationInterval(interval = Controllers.MAX_INTERVAL_SECONDS, timeUnit = TimeUnit.SECONDS))
@GradualRetry(maxAttempts = Integer.MAX_VALUE, initialInterval = 1000, intervalMultiplier = 2, maxInterval = 60_000)
public class PretrainJobReconciler implements Reconciler<PretrainJob> {
    private final Controllers controllers;

    public PretrainJobReconciler(Controllers controllers) {
        this.controllers = controllers;
    }

    @Override
    public UpdateControl<PretrainJob> reconcile(PretrainJob resource, Context<PretrainJob> context) {
        return controllers.reconcile(resource, context);
    }

    @Override
    public List<EventSource<?, PretrainJob>> prepareEventSources(EventSourceContext<PretrainJob> context) {
        return controllers.sources(Kind.PretrainJob, PretrainJob.class, context);
    }
}
