package io.vlmoperator.e2e.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceColumnDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinitionVersion;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The chart: what it renders, and what an API server makes of it. */
@ExtendWith(ApiServer.Extension.class)
class ChartOnApiServerTest {
    private static final String GOLDEN = "chart.golden.yaml";
    private static ApiServer server;
    private static Helm helm;

    @BeforeAll
    static void findHelm(ApiServer apiServer) {
        server = apiServer;
        helm = new Helm(apiServer.cluster());
    }

    @Test
    void lint() {
        assertThat(helm("lint", "--strict", Helm.CHART.toString()).succeeded()).contains("0 chart(s) failed");
    }

    /** Written anew by {@code -Dvlm.golden.write=true}; look at the difference. */
    @Test
    void rendersAsBefore() throws IOException {
        String rendered = template("--set", "crds.install=false");
        Path golden = ApiServer.REPOSITORY.resolve("src/e2e/src/test/resources").resolve(GOLDEN);
        if (Boolean.getBoolean("vlm.golden.write")) {
            Files.createDirectories(golden.getParent());
            Files.writeString(golden, rendered);
        }
        assertThat(rendered).as("rendered chart against %s", golden).isEqualTo(Files.readString(golden));
    }

    @Test
    void wrongValuesAreRefusedByName() {
        for (String wrong : List.of("operator.imagePullPolcy=Always", "operator.replicas=many", "trainer.image=")) {
            Helm.Result result = helm("template", "x", Helm.CHART.toString(), "--set", wrong);
            assertThat(result.code()).as(wrong).isNotZero();
            assertThat(result.output()).as(wrong).contains(wrong.substring(0, wrong.indexOf('.')));
        }
    }

    /** Every object of every flavour is one that an API server takes. */
    @Test
    void theServerTakesEveryObject() throws IOException {
        String namespace = server.namespace("chart-objects");
        for (List<String> values : List.of(
                List.<String>of(),
                List.of("--set", "operator.replicas=2", "--set", "watchNamespaces={chart-objects,default}"),
                List.of("--set", "operator.assignUser=false", "--set", "imagePullSecrets={a}"),
                List.of("--set", "metrics.dashboard.enabled=true"))) {
            List<String> arguments = new ArrayList<>(List.of("--set", "crds.install=false", "--namespace", namespace));
            arguments.addAll(values);
            List<HasMetadata> objects = objects(template(arguments.toArray(String[]::new)));
            assertThat(objects).extracting(HasMetadata::getKind).contains("Deployment", "Service", "ServiceAccount");
            for (HasMetadata object : objects) {
                server.admin().resource(object).dryRun().create();
            }
        }
    }

    /** The operator's pod passes the strictest of the Pod Security Standards. */
    @Test
    void thePodIsRestricted() throws IOException {
        String namespace = server.namespace("chart-restricted");
        server.admin().namespaces().withName(namespace).edit(n -> {
            n.getMetadata().getLabels().put("pod-security.kubernetes.io/enforce", "restricted");
            return n;
        });
        Deployment deployment = objects(template("--set", "crds.install=false")).stream()
                .filter(Deployment.class::isInstance)
                .map(Deployment.class::cast)
                .findFirst()
                .orElseThrow();
        Pod pod = new PodBuilder()
                .withNewMetadata()
                .withName("operator")
                .withNamespace(namespace)
                .endMetadata()
                .withSpec(deployment.getSpec().getTemplate().getSpec())
                .build();
        pod.getSpec().setServiceAccountName(null); // its account is another object
        server.admin().resource(pod).dryRun().create();
        pod.getSpec().getContainers().getFirst().getSecurityContext().setAllowPrivilegeEscalation(true);
        assertThatThrownBy(() -> server.admin().resource(pod).dryRun().create())
                .hasMessageContaining("violates PodSecurity");
    }

    /** Install with an older CRD, upgrade to the present one, uninstall: the schema follows, and resources survive. */
    @Test
    void crdsComeWithUpgradesAndStayBehind(@TempDir Path folder) throws IOException {
        String namespace = server.namespace("chart-upgrade");
        List<CustomResourceDefinitionVersion> byKubectl = versions();
        Path older = folder.resolve("vlm-operator");
        copy(Helm.CHART, older);
        Path crd = older.resolve("files/crds/pretrainjobs.yaml");
        CustomResourceDefinition old = Serialization.unmarshal(Files.readString(crd), CustomResourceDefinition.class);
        old.getSpec()
                .getVersions()
                .getFirst()
                .getAdditionalPrinterColumns()
                .removeIf(c -> c.getName().equals("Loss"));
        Files.writeString(crd, Serialization.asYaml(old));
        // The CRDs of this API server were applied without Helm.
        helm("upgrade", "--install", "up", older.toString(), "-n", namespace, "--take-ownership")
                .succeeded();
        assertThat(columns()).doesNotContain("Loss");
        server.admin()
                .resource(Specs.resource("pretrain", "survivor", Specs.none()))
                .inNamespace(namespace)
                .create();
        helm("upgrade", "--install", "up", Helm.CHART.toString(), "-n", namespace)
                .succeeded();
        assertThat(versions())
                .as("CRDs installed by helm against those by kubectl")
                .isEqualTo(byKubectl);
        helm("uninstall", "up", "-n", namespace).succeeded();
        GenericKubernetesResource survivor = server.admin()
                .genericKubernetesResources("vlm-operator.io/v1alpha1", "PretrainJob")
                .inNamespace(namespace)
                .withName("survivor")
                .get();
        assertThat(survivor).as("a resource after helm uninstall").isNotNull();
        assertThat(survivor.getMetadata().getDeletionTimestamp()).isNull();
        assertThat(columns()).contains("Loss");
    }

    private static List<CustomResourceDefinitionVersion> versions() {
        return server.admin().apiextensions().v1().customResourceDefinitions().list().getItems().stream()
                .filter(crd -> crd.getSpec().getGroup().equals("vlm-operator.io"))
                .flatMap(crd -> crd.getSpec().getVersions().stream())
                .toList();
    }

    private static List<String> columns() {
        return server
                .admin()
                .apiextensions()
                .v1()
                .customResourceDefinitions()
                .withName("pretrainjobs.vlm-operator.io")
                .get()
                .getSpec()
                .getVersions()
                .getFirst()
                .getAdditionalPrinterColumns()
                .stream()
                .map(CustomResourceColumnDefinition::getName)
                .toList();
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
            }
        }
    }

    static List<HasMetadata> objects(String yaml) {
        List<HasMetadata> objects = new ArrayList<>();
        for (String document : yaml.split("(?m)^---$")) {
            if (document.lines().anyMatch(line -> !line.isBlank() && !line.startsWith("#"))) {
                objects.add(Serialization.unmarshal(document));
            }
        }
        return objects;
    }

    private static String template(String... arguments) {
        List<String> all = new ArrayList<>(List.of("template", "vlm-operator", Helm.CHART.toString()));
        if (!List.of(arguments).contains("--namespace")) {
            all.addAll(List.of("--namespace", "vlm-system"));
        }
        all.addAll(List.of(arguments));
        return helm.run(server.cluster().kubeconfig(), all).succeeded();
    }

    private static Helm.Result helm(String... arguments) {
        return helm.run(server.cluster().kubeconfig(), List.of(arguments));
    }
}
