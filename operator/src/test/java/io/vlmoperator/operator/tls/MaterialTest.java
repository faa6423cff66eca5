package io.vlmoperator.operator.tls;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import org.junit.jupiter.api.Test;

class MaterialTest {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final List<String> NAMES = List.of("vlm-operator.ns.svc", "vlm-operator");

    private static X509Certificate first(String pem) {
        return Certificates.certificates(pem).getFirst();
    }

    private static void assertTrusted(Material served, Material by) {
        assertThat(Certificates.certificates(by.trusted()))
                .as("one of the trusted authorities signed it")
                .anySatisfy(
                        ca -> assertThatCode(() -> first(served.certificate()).verify(ca.getPublicKey()))
                                .doesNotThrowAnyException());
    }

    @Test
    void aFreshCertificateIsForTheServiceAndSignedByTheAuthority() throws Exception {
        var material = Material.fresh(NAMES, NOW);
        var certificate = first(material.certificate());
        assertThat(certificate.getSubjectAlternativeNames())
                .extracting(entry -> entry.get(1))
                .isEqualTo(List.copyOf(NAMES));
        assertThat(certificate.getExtendedKeyUsage()).containsExactly("1.3.6.1.5.5.7.3.1");
        assertThat(certificate.getBasicConstraints()).isEqualTo(-1);
        assertThat(first(material.trusted()).getBasicConstraints()).isZero();
        assertTrusted(material, material);
        assertThat(Certificates.key(material.key()).getAlgorithm()).isEqualTo("EC");
        assertThat(material.renewed(NAMES, NOW.plus(Duration.ofDays(59)))).isEmpty();
    }

    @Test
    void theCertificateIsRenewedInTimeByTheSameAuthority() {
        var old = Material.fresh(NAMES, NOW);
        var renewed = old.renewed(NAMES, NOW.plus(Duration.ofDays(61))).orElseThrow();
        assertThat(renewed.certificate()).isNotEqualTo(old.certificate());
        assertThat(renewed.trusted()).isEqualTo(old.trusted());
        assertTrusted(renewed, old);
    }

    @Test
    void aNewAuthorityIsTrustedBeforeItSigns() {
        var late = NOW.plus(Material.CA_LIFE).minus(Duration.ofDays(300));
        var old = Material.fresh(NAMES, NOW).renewed(NAMES, late).orElseThrow();
        var both = old.renewed(NAMES, late).orElseThrow();
        assertThat(both.certificate()).isEqualTo(old.certificate());
        assertThat(Certificates.certificates(both.trusted())).hasSize(2);
        assertThat(both.renewed(NAMES, late)).isEmpty();
        var next = both.renewed(NAMES, late.plus(Duration.ofDays(61))).orElseThrow();
        assertThat(Certificates.certificates(next.trusted())).hasSize(1);
        assertThat(next.trusted()).isNotEqualTo(old.trusted());
        assertTrusted(next, both);
    }

    @Test
    void otherNamesAndDamageLeadToANewCertificate() {
        var material = Material.fresh(NAMES, NOW);
        assertThat(material.renewed(List.of("other.ns.svc"), NOW)).isPresent();
        for (String key : List.of(Material.CA, Material.CA_KEY, Material.CERTIFICATE, Material.KEY)) {
            for (String damage :
                    List.of("", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")) {
                var entries = new HashMap<>(material.entries());
                entries.put(key, damage);
                assertThat(new Material(entries).renewed(NAMES, NOW))
                        .as(key + "=" + damage)
                        .isPresent();
            }
        }
        assertThat(new Material(new HashMap<>()).renewed(NAMES, NOW)).isPresent();
    }
}
