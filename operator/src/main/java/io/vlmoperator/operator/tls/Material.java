package io.vlmoperator.operator.tls;

import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What lies in the Secret, as PEM by key. The next authority is trusted as soon as it exists and signs from the next serving certificate
 * on: whoever starts in between trusts both.
 */
public record Material(Map<String, String> entries) {
    static final String CA = "ca.crt";
    static final String CA_KEY = "ca.key";
    static final String NEXT_CA = "next.crt";
    static final String NEXT_KEY = "next.key";
    static final String CERTIFICATE = "tls.crt";
    static final String KEY = "tls.key";

    static final Duration CA_LIFE = Duration.ofDays(3650);
    static final Duration CA_RENEWAL = Duration.ofDays(365);
    static final Duration LIFE = Duration.ofDays(90);
    static final Duration RENEWAL = Duration.ofDays(30);

    public Material {
        entries = Map.copyOf(entries);
    }

    /** Everything new. */
    static Material fresh(List<String> names, Instant now) {
        var authority = Certificates.authority("vlm-operator", now, CA_LIFE);
        return with(authority, Optional.empty(), Certificates.server(authority, names, now, LIFE));
    }

    /** The certificates that workers must trust. */
    public String trusted() {
        return entries.get(CA) + entries.getOrDefault(NEXT_CA, "");
    }

    public String certificate() {
        return entries.get(CERTIFICATE);
    }

    public String key() {
        return entries.get(KEY);
    }

    /** What to store instead, when something is due; empty when all is well. */
    Optional<Material> renewed(List<String> names, Instant now) {
        Certificates.Pair authority;
        Certificates.Pair server;
        try {
            authority = pair(CA, CA_KEY);
            server = pair(CERTIFICATE, KEY);
        } catch (IllegalArgumentException e) {
            // Somebody damaged the Secret: only a new beginning helps.
            return Optional.of(fresh(names, now));
        }
        Optional<Certificates.Pair> next =
                entries.containsKey(NEXT_CA) ? Optional.of(pair(NEXT_CA, NEXT_KEY)) : Optional.empty();
        if (expires(authority, now, Duration.ZERO)) {
            return Optional.of(fresh(names, now));
        }
        boolean due = expires(server, now, RENEWAL) || !covers(server.certificate(), names);
        if (due) {
            var signer = next.orElse(authority);
            return Optional.of(with(signer, Optional.empty(), Certificates.server(signer, names, now, LIFE)));
        }
        if (next.isEmpty() && expires(authority, now, CA_RENEWAL)) {
            var coming = Certificates.authority("vlm-operator", now, CA_LIFE);
            return Optional.of(with(authority, Optional.of(coming), server));
        }
        return Optional.empty();
    }

    private static boolean covers(X509Certificate certificate, List<String> names) {
        try {
            var there = certificate.getSubjectAlternativeNames();
            return there != null
                    && names.stream().allMatch(name -> there.stream().anyMatch(entry -> name.equals(entry.get(1))));
        } catch (java.security.cert.CertificateParsingException e) {
            return false;
        }
    }

    private static boolean expires(Certificates.Pair pair, Instant now, Duration within) {
        return pair.certificate().getNotAfter().toInstant().isBefore(now.plus(within));
    }

    private Certificates.Pair pair(String certificate, String key) {
        var text = entries.get(certificate);
        var keyText = entries.get(key);
        if (text == null || keyText == null) {
            throw new IllegalArgumentException(certificate + " or " + key + " is missing");
        }
        var all = Certificates.certificates(text);
        if (all.isEmpty()) {
            throw new IllegalArgumentException(certificate + " holds no certificate");
        }
        return new Certificates.Pair(all.getFirst(), Certificates.key(keyText));
    }

    private static Material with(
            Certificates.Pair authority, Optional<Certificates.Pair> next, Certificates.Pair server) {
        var entries = new HashMap<String, String>();
        entries.put(CA, Certificates.pem(authority.certificate()));
        entries.put(CA_KEY, Certificates.pem(authority.key()));
        next.ifPresent(pair -> {
            entries.put(NEXT_CA, Certificates.pem(pair.certificate()));
            entries.put(NEXT_KEY, Certificates.pem(pair.key()));
        });
        entries.put(CERTIFICATE, Certificates.pem(server.certificate()));
        entries.put(KEY, Certificates.pem(server.key()));
        return new Material(entries);
    }
}
