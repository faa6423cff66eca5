package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.authorization.v1.SubjectAccessReview;
import io.fabric8.kubernetes.api.model.authorization.v1.SubjectAccessReviewBuilder;
import io.fabric8.kubernetes.api.model.coordination.v1.LeaseSpec;
import io.fabric8.kubernetes.api.model.coordination.v1.LeaseSpecBuilder;
import io.fabric8.kubernetes.api.model.rbac.ClusterRole;
import io.fabric8.kubernetes.api.model.rbac.PolicyRule;
import io.fabric8.kubernetes.api.model.rbac.Role;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the chart's roles allow the operator, the users, and nobody else. */
@ExtendWith(ApiServer.Extension.class)
class RolesOnApiServerTest {
    private static final String OWN = "roles-operator";
    private static final String USERS = "roles-users";
    private static final String REPLICAS = "roles-replicas";
    private static final String OPERATOR = "system:serviceaccount:" + OWN + ":vlm-operator";
    private static ApiServer server;

    @BeforeAll
    static void install(ApiServer apiServer) {
        server = apiServer;
        server.namespace(OWN);
        server.namespace(USERS);
        new Helm(server.cluster())
                .run(
                        server.cluster().kubeconfig(),
                        List.of(
                                "install",
                                "vlm-operator",
                                Helm.CHART.toString(),
                                "-n",
                                OWN,
                                "--set",
                                "crds.install=false"))
                .succeeded();
    }

    @ParameterizedTest
    @CsvSource({
        "get, vlm-operator.io, datasets",
        "watch, vlm-operator.io, pretrainjobs",
        "list, vlm-operator.io, sftjobs",
        "delete, vlm-operator.io, evaljobs",
        "create, vlm-operator.io, evaljobs",
        "patch, vlm-operator.io, datasets",
        "patch, vlm-operator.io, pretrainjobs/status",
        "update, vlm-operator.io, datasets/finalizers",
        "create, batch, jobs",
        "delete, batch, jobs",
        "watch, '', pods",
        "create, '', services",
        "create, '', configmaps",
        "patch, '', configmaps",
        "create, '', secrets",
        "get, '', persistentvolumeclaims",
        "create, events.k8s.io, events",
        "create, authentication.k8s.io, tokenreviews",
    })
    void theOperatorMay(String verb, String group, String resource) {
        assertThat(allowed(OPERATOR, verb, group, resource, USERS)).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "patch, vlm-operator.io, pretrainjobs",
        "update, vlm-operator.io, datasets",
        "create, vlm-operator.io, pretrainjobs",
        "update, vlm-operator.io, pretrainjobs/status",
        "patch, batch, jobs",
        "create, '', pods",
        "create, '', pods/exec",
        "get, '', pods/log",
        "delete, '', persistentvolumeclaims",
        "list, '', configmaps",
        "list, '', secrets",
        "get, '', secrets",
        "update, '', secrets",
        "delete, '', secrets",
        "create, '', serviceaccounts/token",
        "get, '', nodes",
        "create, rbac.authorization.k8s.io, rolebindings",
        "get, apiextensions.k8s.io, customresourcedefinitions",
        "get, coordination.k8s.io, leases",
    })
    void theOperatorMayNot(String verb, String group, String resource) {
        assertThat(allowed(OPERATOR, verb, group, resource, USERS)).isFalse();
    }

    @Test
    void secretsOfItsOwn() {
        assertThat(allowed(OPERATOR, "create", "", "secrets", OWN)).isTrue();
        assertThat(allowed(OPERATOR, "list", "", "secrets", OWN)).isFalse();
        assertThat(allowedName(OPERATOR, "update", "", "secrets", OWN, "vlm-operator-tls"))
                .isTrue();
        assertThat(allowedName(OPERATOR, "get", "", "secrets", OWN, "someone-elses"))
                .isFalse();
    }

    /** With what the chart grants to several replicas a lease is taken, renewed and taken over: by the client's own elector, as in the operator. */
    @Test
    void replicasElectALeader() {
        server.namespace(REPLICAS);
        new Helm(server.cluster())
                .run(
                        server.cluster().kubeconfig(),
                        List.of(
                                "install",
                                "vlm-operator",
                                Helm.CHART.toString(),
                                "-n",
                                REPLICAS,
                                "--set",
                                "crds.install=false",
                                "--set",
                                "operator.replicas=2"))
                .succeeded();
        Config config = new ConfigBuilder(
                        Config.fromKubeconfig(server.cluster().kubeconfig().toFile()))
                .withImpersonateUsername("system:serviceaccount:" + REPLICAS + ":vlm-operator")
                .build();
        try (KubernetesClient operator =
                new KubernetesClientBuilder().withConfig(config).build()) {
            var first = elect(operator, "first");
            eventually(() -> "first".equals(lease().getHolderIdentity()));
            var taken = lease().getRenewTime();
            eventually(() -> !lease().getRenewTime().equals(taken));
            first.cancel(true);
            var second = elect(operator, "second");
            eventually(() -> "second".equals(lease().getHolderIdentity()));
            second.cancel(true);
        }
    }

    private static CompletableFuture<?> elect(KubernetesClient client, String identity) {
        return client.leaderElector()
                .withConfig(new LeaderElectionConfigBuilder()
                        .withName("vlm-operator")
                        .withLock(new LeaseLock(REPLICAS, "vlm-operator", identity))
                        .withLeaseDuration(Duration.ofSeconds(15))
                        .withRenewDeadline(Duration.ofSeconds(10))
                        .withRetryPeriod(Duration.ofMillis(500))
                        .withReleaseOnCancel(true)
                        .withLeaderCallbacks(new LeaderCallbacks(() -> {}, () -> {}, leader -> {}))
                        .build())
                .build()
                .start();
    }

    private static LeaseSpec lease() {
        var lease = server.admin()
                .leases()
                .inNamespace(REPLICAS)
                .withName("vlm-operator")
                .get();
        return lease == null ? new LeaseSpecBuilder().withHolderIdentity("").build() : lease.getSpec();
    }

    /** Whoever may edit a namespace may work with the four kinds there, and nobody but the operator writes a status. */
    @Test
    void people() {
        bind("edit", "ann");
        bind("view", "bob");
        for (String kind : List.of("datasets", "pretrainjobs", "sftjobs", "evaljobs")) {
            // The aggregation of roles takes the controller a moment.
            eventually(() -> allowed("ann", "create", "vlm-operator.io", kind, USERS));
            eventually(() -> allowed("bob", "list", "vlm-operator.io", kind, USERS));
            assertThat(allowed("bob", "create", "vlm-operator.io", kind, USERS)).isFalse();
            assertThat(allowed("ann", "patch", "vlm-operator.io", kind + "/status", USERS))
                    .isFalse();
        }
    }

    /** The same by real requests. */
    @Test
    void requestsOfTheOperator() {
        server.admin()
                .resource(Specs.resource("pretrain", "job", Specs.none()))
                .inNamespace(USERS)
                .create();
        Config config = new ConfigBuilder(
                        Config.fromKubeconfig(server.cluster().kubeconfig().toFile()))
                .withImpersonateUsername(OPERATOR)
                .build();
        try (KubernetesClient operator =
                new KubernetesClientBuilder().withConfig(config).build()) {
            GenericKubernetesResource job = new GenericKubernetesResource();
            job.setApiVersion("vlm-operator.io/v1alpha1");
            job.setKind("PretrainJob");
            job.setMetadata(new ObjectMetaBuilder().withName("job").build());
            job.setAdditionalProperty("status", Map.of("phase", "Pending"));
            PatchContext apply = new PatchContext.Builder()
                    .withPatchType(PatchType.SERVER_SIDE_APPLY)
                    .withFieldManager("vlm-operator")
                    .build();
            assertThat(operator.resource(job)
                            .inNamespace(USERS)
                            .subresource("status")
                            .patch(apply)
                            .<String>get("status", "phase"))
                    .isEqualTo("Pending");
            job.setAdditionalProperties(Map.of("spec", Map.of("suspend", true)));
            assertThatThrownBy(() -> operator.resource(job).inNamespace(USERS).patch(apply))
                    .hasMessageContaining("cannot patch resource \"pretrainjobs\"");
            operator.resource(new ConfigMapBuilder()
                            .withNewMetadata()
                            .withName("frozen")
                            .endMetadata()
                            .withImmutable(true)
                            .build())
                    .inNamespace(USERS)
                    .create();
            assertThatThrownBy(() -> operator.secrets().inNamespace(USERS).list())
                    .hasMessageContaining("forbidden");
        }
    }

    /** The chart gives exactly what {@code src/docs/rbac.md} lists. */
    @Test
    void theChartGivesWhatTheOperatorAsksFor() throws Exception {
        Set<String> asked = new TreeSet<>();
        for (String line : Files.readAllLines(ApiServer.REPOSITORY.resolve("src/docs/rbac.md"))) {
            if (line.startsWith("## ") && !line.contains("Role")) {
                break;
            }
            String[] cells = line.split("\\|");
            if (cells.length > 4
                    && !cells[1].contains("---")
                    && !cells[1].strip().equals("group")) {
                String group = cells[1].replace("`", "").strip();
                boolean leases = cells[2].contains("leases"); // with more than one replica only
                for (String resource : leases ? new String[0] : cells[2].split(",")) {
                    for (String verb : cells[3].split(",")) {
                        asked.add(verb.strip() + " " + (group.equals("core") ? "" : group + "/")
                                + resource.replaceAll("\\(.*", "")
                                        .replace("`", "")
                                        .replaceAll(" named ", "#")
                                        .strip());
                    }
                }
            }
        }
        String rendered = new Helm(server.cluster())
                .run(
                        server.cluster().kubeconfig(),
                        List.of(
                                "template",
                                "vlm-operator",
                                Helm.CHART.toString(),
                                "--set",
                                "crds.install=false",
                                "--set",
                                "rbac.aggregate=false"))
                .succeeded();
        Set<String> given = new TreeSet<>();
        ChartOnApiServerTest.objects(rendered).stream()
                .flatMap(object -> switch (object) {
                    case ClusterRole role -> role.getRules().stream();
                    case Role role -> role.getRules().stream();
                    default -> Stream.<PolicyRule>empty();
                })
                .forEach(rule -> {
                    for (String resource : rule.getResources()) {
                        for (String verb : rule.getVerbs()) {
                            String group = rule.getApiGroups().getFirst();
                            String names = rule.getResourceNames().isEmpty()
                                    ? ""
                                    : "#" + rule.getResourceNames().getFirst();
                            given.add(verb + " " + (group.isEmpty() ? "" : group + "/") + resource + names);
                        }
                    }
                });
        assertThat(given)
                .as("the chart's rules against the tables of src/docs/rbac.md")
                .isEqualTo(asked);
    }

    private static void bind(String role, String user) {
        server.admin()
                .rbac()
                .roleBindings()
                .inNamespace(USERS)
                .resource(new io.fabric8.kubernetes.api.model.rbac.RoleBindingBuilder()
                        .withNewMetadata()
                        .withName(user)
                        .endMetadata()
                        .withNewRoleRef("rbac.authorization.k8s.io", "ClusterRole", role)
                        .addNewSubject("rbac.authorization.k8s.io", "User", user, null)
                        .build())
                .create();
    }

    private static void eventually(java.util.function.BooleanSupplier condition) {
        long end = System.nanoTime() + 120_000_000_000L;
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as("still not so after 120 s").isLessThan(end);
            try {
                Thread.sleep(200);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
    }

    private static boolean allowed(String user, String verb, String group, String resource, String namespace) {
        return allowedName(user, verb, group, resource, namespace, null);
    }

    private static boolean allowedName(
            String user, String verb, String group, String resource, String namespace, String name) {
        int slash = resource.indexOf('/');
        SubjectAccessReview review = new SubjectAccessReviewBuilder()
                .withNewSpec()
                .withUser(user)
                .withNewResourceAttributes()
                .withVerb(verb)
                .withGroup(group)
                .withResource(slash < 0 ? resource : resource.substring(0, slash))
                .withSubresource(slash < 0 ? null : resource.substring(slash + 1))
                .withNamespace(namespace)
                .withName(name)
                .endResourceAttributes()
                .endSpec()
                .build();
        return server.admin()
                .authorization()
                .v1()
                .subjectAccessReview()
                .create(review)
                .getStatus()
                .getAllowed();
    }
}
