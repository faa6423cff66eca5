package io.vlmoperator.operator;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.config.LeaderElectionConfiguration;
import io.javaoperatorsdk.operator.api.config.LeaderElectionConfigurationBuilder;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.config.MeterFilter;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import io.vlmoperator.operator.engine.Controllers;
import io.vlmoperator.operator.progress.ProgressService;
import io.vlmoperator.operator.tls.Authority;
import io.vlmoperator.operator.web.Overview;
import io.vlmoperator.operator.web.ResourceMetrics;
import jakarta.annotation.Priority;
import jakarta.enterprise.context.Dependent;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jboss.logging.Logger;

/** Hands the parts to Quarkus; no other class of the operator's core knows the container. */
@Singleton
public class OperatorBeans {
    private static final Logger LOG = Logger.getLogger(OperatorBeans.class);
    private static final int CERTIFICATE_HOURS = 12;
    private static final int METRICS_SECONDS = 10;

    private final ScheduledExecutorService housekeeping = Executors.newSingleThreadScheduledExecutor(run -> {
        var thread = new Thread(run, "housekeeping");
        thread.setDaemon(true);
        return thread;
    });

    /** Before the controllers start the caches must be full. */
    void started(
            @Observes @Priority(1) StartupEvent event,
            Assembly assembly,
            Authority authority,
            KubernetesClient client,
            ResourceMetrics metrics,
            Operator operator) {
        assembly.start();
        Thread.ofPlatform().daemon().name("controllers").start(() -> control(operator));
        housekeeping.scheduleWithFixedDelay(
                () -> {
                    try {
                        metrics.refresh();
                    } catch (RuntimeException e) {
                        LOG.warn(
                                "The metrics of the resources were not renewed; next try in " + METRICS_SECONDS + " s",
                                e);
                    }
                },
                0,
                METRICS_SECONDS,
                TimeUnit.SECONDS);
        housekeeping.scheduleWithFixedDelay(
                () -> {
                    try {
                        authority.refresh(client);
                        assembly.backend().refreshAuthority();
                    } catch (RuntimeException e) {
                        LOG.warn("The certificate was not looked after; next try in " + CERTIFICATE_HOURS + " h", e);
                    }
                },
                CERTIFICATE_HOURS,
                CERTIFICATE_HOURS,
                TimeUnit.HOURS);
    }

    /**
     * Starts the controllers: on a replica that does not lead, this does not return, and the endpoint serves all the same. The extension
     * starts them on a thread of its own as well, but an error ends that thread alone and leaves a pod that lives and does nothing.
     */
    private static void control(Operator operator) {
        try {
            operator.start();
        } catch (RuntimeException | Error e) {
            LOG.errorf(e, "The controllers did not start");
            System.err.println("vlm-operator: the controllers did not start: " + Prerequisites.root(e)
                    + "; are the CRDs installed, and has this account the permissions of the chart?");
            Quarkus.asyncExit(OperatorMain.NO_SERVER);
        }
    }

    void stopping(@Observes ShutdownEvent event, Assembly assembly, Operator operator) {
        housekeeping.shutdownNow();
        operator.stop();
        assembly.close();
    }

    @Produces
    @Singleton
    Settings settings() {
        return Settings.of(System.getenv());
    }

    @Produces
    @Singleton
    Authority authority() {
        return OperatorMain.authority();
    }

    @Produces
    @Singleton
    Assembly assembly(KubernetesClient client, Settings settings, Authority authority) {
        return new Assembly(client, settings, authority::trusted, new SteadyClock());
    }

    @Produces
    @Singleton
    Controllers controllers(Assembly assembly) {
        return assembly.controllers();
    }

    @Produces
    @Singleton
    ProgressService progress(Assembly assembly) {
        return assembly.progress();
    }

    @Produces
    @Singleton
    Overview overview(Assembly assembly) {
        return new Overview(assembly.neighbours());
    }

    @Produces
    @Singleton
    ResourceMetrics metrics(Assembly assembly, MeterRegistry registry) {
        return new ResourceMetrics(assembly.neighbours(), registry);
    }

    /**
     * Null, that is no election, unless VLM_LEADER_ELECTION=true: one replica needs no lease, and its restart no waiting. The SDK takes
     * the bean without asking for conditions on its lookup, so the condition stands here; only a dependent bean may be null.
     */
    @Produces
    @Dependent
    LeaderElectionConfiguration leaderElection(
            Settings settings, Assembly assembly, @ConfigProperty(name = "vlm.leader-election") boolean elect) {
        if (!elect) {
            return null;
        }
        assembly.leads(false);
        return LeaderElectionConfigurationBuilder.aLeaderElectionConfiguration("vlm-operator")
                .withLeaseNamespace(settings.namespace())
                .withIdentity(settings.instance())
                .withLeaseDuration(Duration.ofSeconds(15))
                .withRenewDeadline(Duration.ofSeconds(10))
                .withRetryPeriod(Duration.ofSeconds(2))
                .withLeaderCallbacks(new LeaderCallbacks(
                        () -> assembly.leads(true),
                        () -> assembly.leads(false),
                        leader -> LOG.infof("%s leads", leader)))
                .build();
    }

    /** The SDK counts events with and without the tag "action"; Prometheus refuses that, and the error would end its timer. */
    @Produces
    @Singleton
    MeterFilter sameTagKeys() {
        return new MeterFilter() {
            @Override
            public Meter.Id map(Meter.Id id) {
                return id.getName().equals("events.received") && id.getTag("action") == null
                        ? id.withTag(Tag.of("action", "none"))
                        : id;
            }
        };
    }
}
