package io.vlmoperator.operator;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.ServiceAccountBuilder;
import io.fabric8.kubernetes.api.model.authentication.TokenRequestBuilder;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBindingBuilder;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBuilder;
import io.fabric8.kubernetes.api.model.rbac.RoleBindingBuilder;
import io.fabric8.kubernetes.api.model.rbac.RoleBuilder;
import io.fabric8.kubernetes.api.model.rbac.SubjectBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.local.LocalCluster;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * The operator against a real API server and its controllers, with the permissions of {@code src/docs/rbac.md} and nothing more; made
 * once for all tests that ask for it. There is no node.
 */
final class ClusterStage implements AutoCloseable {
    private final Path folder;
    private final LocalCluster cluster;
    private final KubernetesClient admin;
    private final Optional<String> withoutCrds;
    private TestOperator operator;

    private ClusterStage(Path folder) throws IOException {
        this.folder = folder;
        cluster = LocalCluster.start(folder);
        admin = cluster.newClient();
        withoutCrds = Prerequisites.missing(admin, Set.of());
        try (var crds = Files.list(Path.of("../crds/crds"))) {
            crds.filter(file -> file.toString().endsWith(".yaml"))
                    .forEach(file -> admin.load(in(file)).serverSideApply());
        }
        admin.resource(namespace("vlm-system")).create();
        admin.resource(new ServiceAccountBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .withNamespace("vlm-system")
                        .endMetadata()
                        .build())
                .create();
        var account = new SubjectBuilder()
                .withKind("ServiceAccount")
                .withName("vlm-operator")
                .withNamespace("vlm-system")
                .build();
        admin.resource(new ClusterRoleBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .endMetadata()
                        .withRules(Permissions.cluster())
                        .build())
                .create();
        admin.resource(new ClusterRoleBindingBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .endMetadata()
                        .withNewRoleRef("rbac.authorization.k8s.io", "ClusterRole", "vlm-operator")
                        .withSubjects(account)
                        .build())
                .create();
        admin.resource(new RoleBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .withNamespace("vlm-system")
                        .endMetadata()
                        .withRules(Permissions.own())
                        .build())
                .create();
        admin.resource(new RoleBindingBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .withNamespace("vlm-system")
                        .endMetadata()
                        .withNewRoleRef("rbac.authorization.k8s.io", "Role", "vlm-operator")
                        .withSubjects(account)
                        .build())
                .create();
        ClusterCase.eventually(
                "the CRDs are served",
                () -> admin.resources(PretrainJob.class).inAnyNamespace().list() != null);
        restartOperator();
    }

    KubernetesClient admin() {
        return admin;
    }

    TestOperator operator() {
        return operator;
    }

    /** What the operator would have said before the CRDs were there. */
    Optional<String> withoutCrds() {
        return withoutCrds;
    }

    void stopOperator() {
        operator.close();
    }

    void restartOperator() {
        operator = new TestOperator(admin.getConfiguration(), token("vlm-system", "vlm-operator", null, null));
    }

    @Override
    public void close() {
        operator.close();
        admin.close();
        cluster.close();
        delete(folder);
    }

    private static void delete(Path tree) {
        try (var files = Files.walk(tree)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static HasMetadata namespace(String name) {
        return new NamespaceBuilder()
                .withNewMetadata()
                .withName(name)
                .endMetadata()
                .build();
    }

    private static java.io.InputStream in(Path file) {
        try {
            return Files.newInputStream(file);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    String token(String namespace, String account, String audience, Pod pod) {
        var request = new TokenRequestBuilder().withNewSpec().withExpirationSeconds(3600L);
        if (audience != null) {
            request.withAudiences(audience);
        }
        if (pod != null) {
            request.withNewBoundObjectRef()
                    .withApiVersion("v1")
                    .withKind("Pod")
                    .withName(pod.getMetadata().getName())
                    .withUid(pod.getMetadata().getUid())
                    .endBoundObjectRef();
        }
        return admin.serviceAccounts()
                .inNamespace(namespace)
                .withName(account)
                .tokenRequest(request.endSpec().build())
                .getStatus()
                .getToken();
    }

    /** Gives tests the one stage. */
    static final class Extension implements ParameterResolver {
        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == ClusterStage.class;
        }

        @Override
        public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
            return context.getRoot()
                    .getStore(ExtensionContext.Namespace.create(ClusterStage.class))
                    .computeIfAbsent(ClusterStage.class, type -> open(), ClusterStage.class);
        }

        private static ClusterStage open() {
            try {
                return new ClusterStage(Files.createTempDirectory(Path.of("target"), "cluster-"));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
