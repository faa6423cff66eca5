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
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.api.run.Kind;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Reconciles SFTJobs; all of it is in {@link Engine}. */
@ControllerConfiguration(
        name = "sftjob",
        informer = @Informer(comparableResourceVersions = false),
        maxReconciliationInterval =
                @MaxReconciliationInterval(interval = Controllers.MAX_INTERVAL_SECONDS, timeUnit = TimeUnit.SECONDS))
@GradualRetry(maxAttempts = Integer.MAX_VALUE, initialInterval = 1000, intervalMultiplier = 2, maxInterval = 60_000)
public class SFTJobReconciler implements Reconciler<SFTJob> {
    private final Controllers controllers;

    public SFTJobReconciler(Controllers controllers) {
        this.controllers = controllers;
    }

    @Override
    public UpdateControl<SFTJob> reconcile(SFTJob resource, Context<SFTJob> context) {
        return controllers.reconcile(resource, context);
    }

    @Override
    public List<EventSource<?, SFTJob>> prepareEventSources(EventSourceContext<SFTJob> context) {
        return controllers.sources(Kind.SFTJob, SFTJob.class, context);
    }
}
