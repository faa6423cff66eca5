package io.vlmoperator.operator;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.http.BasicBuilder;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.fabric8.kubernetes.client.http.Interceptor;
import io.javaoperatorsdk.operator.Operator;
import io.vlmoperator.operator.engine.DatasetReconciler;
import io.vlmoperator.operator.engine.EvalJobReconciler;
import io.vlmoperator.operator.engine.PretrainJobReconciler;
import io.vlmoperator.operator.engine.SFTJobReconciler;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The operator without its container: the same parts, its own client, and a count of what it writes. */
final class TestOperator implements AutoCloseable {
    private final KubernetesClient client;
    private final Assembly assembly;
    private final Operator operator;
    private final List<String> writes = new ArrayList<>();

    /** @param token of the operator's service account */
    TestOperator(Config admin, String token) {
        var config = new ConfigBuilder(admin)
                .withClientCertData(null)
                .withClientCertFile(null)
                .withClientKeyData(null)
                .withClientKeyFile(null)
                .withOauthToken(token)
                .build();
        client = new KubernetesClientBuilder()
                .withConfig(config)
                .withHttpClientBuilderConsumer(builder -> builder.addOrReplaceInterceptor("count", new Interceptor() {
                    @Override
                    public void before(BasicBuilder request, HttpRequest http, RequestTags tags) {
                        if (!http.method().equals("GET")) {
                            synchronized (writes) {
                                writes.add(http.method() + " " + http.uri().getPath());
                            }
                        }
                    }
                }))
                .build();
        assembly = assembly("test");
        operator = new Operator(overrider -> overrider
                .withKubernetesClient(client)
                .withCloseClientOnStop(false)
                .withConcurrentReconciliationThreads(4));
        operator.register(new DatasetReconciler(assembly.controllers()));
        operator.register(new PretrainJobReconciler(assembly.controllers()));
        operator.register(new SFTJobReconciler(assembly.controllers()));
        operator.register(new EvalJobReconciler(assembly.controllers()));
        assembly.start();
        operator.start();
    }

    private Assembly assembly(String instance) {
        var settings = new Settings("trainer:test", "vlm-system", "vlm-operator", 8443, instance, Set.of());
        return new Assembly(client, settings, () -> "authority", Clock.systemUTC());
    }

    /** The parts of a replica that does not lead: it takes reports, its controllers do not run. */
    Assembly standby() {
        return assembly("standby");
    }

    Assembly assembly() {
        return assembly;
    }

    List<String> writes() {
        synchronized (writes) {
            return List.copyOf(writes);
        }
    }

    @Override
    public void close() {
        operator.stop();
        assembly.close();
        client.close();
    }
}
