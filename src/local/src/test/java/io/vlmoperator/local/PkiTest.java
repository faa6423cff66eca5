package io.vlmoperator.local;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PkiTest {
    @TempDir
    Path folder;

    @Test
    void aNodeCertificateCarriesItsGroupItsAddressAndBothUses() throws Exception {
        Pki pki = Pki.openOrCreate(folder);
        pki.issue("node", "O=system:nodes,CN=system:node:local-1", List.of("localhost", "127.9.8.1"));

        var certificate = pki.readCertificate("node");
        certificate.verify(pki.readCertificate("ca").getPublicKey());
        assertThat(certificate.getSubjectX500Principal().getName())
                .contains("O=system:nodes", "CN=system:node:local-1");
        assertThat(certificate.getExtendedKeyUsage()).containsExactly("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1");
        assertThat(certificate.getSubjectAlternativeNames())
                .containsExactlyInAnyOrder(List.of(2, "localhost"), List.of(7, "127.9.8.1"));
        assertThat(certificate.getBasicConstraints()).as("not an authority").isEqualTo(-1);
    }

    @Test
    void whatIsThereIsUsedAgainAndPrivate() throws Exception {
        Pki.openOrCreate(folder).issue("admin", "CN=admin", List.of());
        byte[] before = Files.readAllBytes(folder.resolve("admin.crt"));
        Pki.openOrCreate(folder).issue("admin", "CN=admin", List.of());
        assertThat(folder.resolve("admin.crt")).hasBinaryContent(before);
        for (String key : List.of("ca.key", "sa.key", "admin.key")) {
            assertThat(Files.getPosixFilePermissions(folder.resolve(key)))
                    .as("permissions of %s", key)
                    .hasSize(2);
        }
    }

    @Test
    void aKubeconfigIsWholeInItself() {
        Pki pki = Pki.openOrCreate(folder);
        pki.issue("admin", "O=system:masters,CN=admin", List.of());
        var config = io.fabric8.kubernetes.client.Config.fromKubeconfig(pki.kubeconfig("https://127.0.0.1:1", "admin"));
        assertThat(config.getMasterUrl()).startsWith("https://127.0.0.1:1");
        assertThat(config.getClientKeyData()).isNotBlank();
        assertThat(config.getCaCertData()).isNotBlank();
    }
}
