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
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.run.Kind;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Reconciles Datasets; all of it is in {@link Engine}. */
@ControllerConfiguration(
        name = "dataset",
        // A Dataset that is being deleted is looked at as well: jobs may use it still.
        triggerReconcilerOnAllEvents = true,
        informer = @Informer(comparableResourceVersions = false),
        maxReconciliationInterval =
                @MaxReconciliationInterval(interval = Controllers.MAX_INTERVAL_SECONDS, timeUnit = TimeUnit.SECONDS))
@GradualRetry(maxAttempts = Integer.MAX_VALUE, initialInterval = 1000, intervalMultiplier = 2, maxInterval = 60_000)
public class DatasetReconciler implements Reconciler<Dataset> {
    private final Controllers controllers;

    public DatasetReconciler(Controllers controllers) {
        this.controllers = controllers;
    }

    @Override
    public UpdateControl<Dataset> reconcile(Dataset resource, Context<Dataset> context) {
        if (context.isPrimaryResourceDeleted()) {
            return UpdateControl.noUpdate();
        }
        controllers.hold(resource);
        return controllers.reconcile(resource, context);
    }

    @Override
    public List<EventSource<?, Dataset>> prepareEventSources(EventSourceContext<Dataset> context) {
        return controllers.sources(Kind.Dataset, Dataset.class, context);
    }
}
