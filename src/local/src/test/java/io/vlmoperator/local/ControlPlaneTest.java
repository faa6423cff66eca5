package io.vlmoperator.local;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The control plane alone, on the real programs. When they are not built the message says to run {@code make tools}. */
class ControlPlaneTest {
    @TempDir
    Path folder;

    @Test
    void startsRefusesASecondStartKeepsItsDataAndLeavesNothingRunning() {
        String server;
        Proc.Identity api;
        try (LocalCluster cluster = LocalCluster.start(folder);
                var client = cluster.newClient()) {
            server = cluster.server();
            assertThat(URI.create(server).getPort())
                    .as("a port below the ephemeral range")
                    .isBetween(Ports.FIRST, Ports.END);
            assertThat(client.getKubernetesVersion().getGitVersion()).isEqualTo("v1.34.4");
            client.configMaps()
                    .inNamespace("default")
                    .resource(new ConfigMapBuilder()
                            .withNewMetadata()
                            .withName("kept")
                            .endMetadata()
                            .withData(Map.of("a", "1"))
                            .build())
                    .create();

            assertThatThrownBy(() -> LocalCluster.start(folder))
                    .isInstanceOf(LocalClusterException.class)
                    .hasMessageContaining("already runs from " + folder)
                    .hasMessageContaining("vlm-local stop");

            // RBAC is on: someone unknown may read nothing.
            try (var stranger = new KubernetesClientBuilder()
                    .withConfig(new ConfigBuilder(client.getConfiguration())
                            .withImpersonateUsername("stranger")
                            .build())
                    .build()) {
                assertThatThrownBy(() ->
                                stranger.configMaps().inNamespace("default").list())
                        .isInstanceOfSatisfying(
                                KubernetesClientException.class,
                                e -> assertThat(e.getCode()).isEqualTo(403));
            }
            api = ControlPlane.in(folder)
                    .component(ControlPlane.API_SERVER)
                    .running()
                    .orElseThrow();
        }
        assertThat(api.alive()).as("kube-apiserver after close").isFalse();
        assertThat(ControlPlane.in(folder).status()).allMatch(line -> line.endsWith("stopped"));

        try (LocalCluster cluster = LocalCluster.start(folder);
                var client = cluster.newClient()) {
            assertThat(cluster.server()).as("the same port after a restart").isEqualTo(server);
            assertThat(client.configMaps()
                            .inNamespace("default")
                            .withName("kept")
                            .get()
                            .getData())
                    .containsEntry("a", "1");
        }
    }

    @Test
    void missingProgramsAreNamedWithWhatToDo() {
        assertThatThrownBy(() -> Tools.check(folder))
                .isInstanceOf(LocalClusterException.class)
                .hasMessageContaining("kube-apiserver")
                .hasMessageContaining("make tools");
    }

    @Test
    void aFlagThatAProgramRefusesIsReportedWithTheEndOfItsLog() {
        assertThatThrownBy(() -> LocalCluster.start(
                        folder, LocalCluster.Options.defaults().with(ControlPlane.API_SERVER, "--no-such-flag=1")))
                .isInstanceOf(LocalClusterException.class)
                .hasMessageContaining("kube-apiserver ended with exit code 1")
                .hasMessageContaining("no-such-flag");
        assertThat(ControlPlane.in(folder).status())
                .as("etcd is stopped too")
                .allMatch(line -> line.endsWith("stopped"));
    }
}
