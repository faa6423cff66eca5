package io.vlmoperator.operator;

import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.RegisteredController;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.util.Set;
import java.util.TreeSet;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.Readiness;

/**
 * Ready is a replica that does its part: the leader when its controllers run and see the cluster, a standby when it can take reports. The
 * extension's own check calls a standby down, and then no roll-out of two replicas ever ends.
 */
@Readiness
@Singleton
public class ReplicaHealth implements HealthCheck {
    private final Assembly assembly;
    private final Operator operator;

    @Inject
    ReplicaHealth(Assembly assembly, Operator operator) {
        this.assembly = assembly;
        this.operator = operator;
    }

    @Override
    public HealthCheckResponse call() {
        var blind = new TreeSet<String>();
        if (assembly.leads()) {
            for (RegisteredController<?> controller : operator.getRuntimeInfo().getRegisteredControllers()) {
                controller
                        .getControllerHealthInfo()
                        .unhealthyEventSources()
                        .keySet()
                        .forEach(source ->
                                blind.add(controller.getConfiguration().getName() + "/" + source));
            }
        }
        return answer(
                assembly.started(), assembly.leads(), operator.getRuntimeInfo().isStarted(), blind);
    }

    /**
     * @param cached what references and reports need is there
     * @param running the controllers run
     * @param blind what the controllers can't see
     */
    static HealthCheckResponse answer(boolean cached, boolean leads, boolean running, Set<String> blind) {
        var answer = HealthCheckResponse.named("vlm-operator replica").withData("role", leads ? "leader" : "standby");
        if (!blind.isEmpty()) {
            answer.withData("unhealthy event sources", String.join(", ", blind));
        }
        return answer.status(cached && (!leads || running && blind.isEmpty())).build();
    }
}
