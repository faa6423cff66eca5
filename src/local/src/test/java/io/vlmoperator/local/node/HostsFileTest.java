package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class HostsFileTest {
    private static final String COMMON = HostsFile.common(List.of(
            new HostsFile.Service(
                    "ns",
                    "ring",
                    true,
                    List.of(new HostsFile.Endpoint("127.20.0.2", "w-0"), new HostsFile.Endpoint("127.20.0.3", "w-1"))),
            new HostsFile.Service(
                    "system",
                    "operator",
                    false,
                    List.of(new HostsFile.Endpoint("127.20.0.8", ""), new HostsFile.Endpoint("127.20.0.9", ""))),
            new HostsFile.Service("ns", "nobody", false, List.of())));

    @Test
    void servicesStandInAllTheirForms() {
        assertThat(COMMON.lines())
                .containsExactly(
                        "127.0.0.1 localhost",
                        "127.0.0.1 kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local",
                        "127.20.0.2 ring.ns ring.ns.svc ring.ns.svc.cluster.local",
                        "127.20.0.3 ring.ns ring.ns.svc ring.ns.svc.cluster.local",
                        "127.20.0.2 w-0.ring.ns w-0.ring.ns.svc w-0.ring.ns.svc.cluster.local",
                        "127.20.0.3 w-1.ring.ns w-1.ring.ns.svc w-1.ring.ns.svc.cluster.local",
                        "127.20.0.8 operator.system operator.system.svc operator.system.svc.cluster.local");
    }

    @Test
    void aPodHasItsOwnNameFirstAndShortNamesOfItsNamespaceOnly() {
        assertThat(HostsFile.forPod("w-0", "ring", "ns", "127.20.0.2", COMMON).lines())
                .startsWith("127.20.0.2 w-0 w-0.ring.ns w-0.ring.ns.svc w-0.ring.ns.svc.cluster.local")
                .contains("127.20.0.2 ring", "127.20.0.3 ring", "127.20.0.3 w-1.ring")
                .doesNotContain("127.20.0.8 operator")
                .as("its own line once")
                .filteredOn(line -> line.contains(" w-0.ring.ns "))
                .hasSize(1);
    }

    @Test
    void statusAddressesAreNotLoopbackAndFindBack() {
        assertThat(Addresses.statusAddress("127.20.3.7")).isEqualTo("10.20.3.7");
        assertThat(Addresses.loopback("10.20.3.7")).isEqualTo("127.20.3.7");
        assertThat(Addresses.loopback("192.0.2.1")).isEqualTo("192.0.2.1");
    }

    @Test
    void anAddressGivenBackIsTheLastToBeTakenAgain() {
        Addresses addresses = new Addresses("127.20.3.1");
        String first = addresses.take();
        assertThat(first).isEqualTo("127.20.3.2");
        addresses.give(first);
        assertThat(addresses.take()).isEqualTo("127.20.3.3");
        assertThat(addresses.take("127.20.3.4")).isTrue();
        assertThat(addresses.take("127.20.3.4")).as("in use").isFalse();
        assertThat(addresses.take("127.9.9.4")).as("another node's").isFalse();
        assertThat(addresses.take()).isEqualTo("127.20.3.5");
    }
}
