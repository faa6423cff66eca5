package io.vlmoperator.local;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * The cluster's own certificate authority and what it signs, as PEM files in one folder: {@code NAME.crt} and {@code NAME.key}. What is
 * there is used again. Keys are RSA in PKCS#8, the one form that every client of a kubeconfig reads without help.
 */
public final class Pki {
    private static final Duration VALID = Duration.ofDays(3650);
    private static final String CA = "ca";

    private final Path folder;

    private Pki(Path folder) {
        this.folder = folder;
    }

    /** Opens the authority in a folder; makes it, and the service account key pair, when it is not there. */
    public static Pki openOrCreate(Path folder) {
        Pki pki = new Pki(Files2.privateFolder(folder));
        if (!Files.exists(pki.certificate(CA))) {
            KeyPair pair = newKeyPair();
            X500Name name = new X500Name("CN=vlm-local-ca");
            pki.write(CA, pair.getPrivate(), sign(name, pair, name, pair.getPrivate(), true, List.of()));
        }
        if (!Files.exists(folder.resolve("sa.pub"))) {
            KeyPair pair = newKeyPair();
            Files2.writeAtomically(
                    folder.resolve("sa.key"),
                    pem("PRIVATE KEY", pair.getPrivate().getEncoded()));
            Files2.writeAtomically(
                    folder.resolve("sa.pub"), pem("PUBLIC KEY", pair.getPublic().getEncoded()));
        }
        return pki;
    }

    /**
     * Makes a certificate for client and server use, when it is not there yet.
     *
     * @param name file name without ending
     * @param subject in the order of RFC 4514, such as {@code CN=system:node:a,O=system:nodes}
     * @param alternativeNames DNS names, and IPv4 addresses in dotted form
     */
    public void issue(String name, String subject, List<String> alternativeNames) {
        if (Files.exists(certificate(name))) {
            return;
        }
        KeyPair pair = newKeyPair();
        X509Certificate authority = readCertificate(CA);
        X509Certificate signed = sign(
                new X500Name(authority.getSubjectX500Principal().getName()),
                pair,
                new X500Name(subject),
                readKey(CA),
                false,
                alternativeNames);
        write(name, pair.getPrivate(), signed);
    }

    public Path certificate(String name) {
        return folder.resolve(name + ".crt");
    }

    public Path key(String name) {
        return folder.resolve(name + ".key");
    }

    public Path authority() {
        return certificate(CA);
    }

    public Path file(String name) {
        return folder.resolve(name);
    }

    /** A kubeconfig that holds everything it needs, so that it can be copied. */
    public String kubeconfig(String server, String name) {
        return """
                apiVersion: v1
                kind: Config
                clusters:
                - name: local
                  cluster:
                    server: %s
                    certificate-authority-data: %s
                users:
                - name: %s
                  user:
                    client-certificate-data: %s
                    client-key-data: %s
                contexts:
                - name: local
                  context: {cluster: local, user: %3$s}
                current-context: local
                """.formatted(server, base64(authority()), name, base64(certificate(name)), base64(key(name)));
    }

    /** A TLS context that trusts this authority only. With a name it also presents that certificate. */
    public SSLContext context(String... name) {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setCertificateEntry(CA, readCertificate(CA));
            for (String one : name) {
                store.setKeyEntry(
                        one, readKey(one), new char[0], new X509Certificate[] {readCertificate(one), readCertificate(CA)
                        });
            }
            KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(store, new char[0]);
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException | IOException e) {
            throw new LocalClusterException("cannot read the certificates in " + folder + ": " + e.getMessage(), e);
        }
    }

    X509Certificate readCertificate(String name) {
        try {
            return (X509Certificate) CertificateFactory.getInstance("X.509")
                    .generateCertificate(new ByteArrayInputStream(Files.readAllBytes(certificate(name))));
        } catch (GeneralSecurityException | IOException e) {
            throw new LocalClusterException("cannot read " + certificate(name) + ": " + e.getMessage(), e);
        }
    }

    private PrivateKey readKey(String name) {
        try {
            String text = Files.readString(key(name)).replaceAll("-----[A-Z ]+-----", "");
            return KeyFactory.getInstance("RSA")
                    .generatePrivate(
                            new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(text)));
        } catch (GeneralSecurityException | IOException e) {
            throw new LocalClusterException("cannot read " + key(name) + ": " + e.getMessage(), e);
        }
    }

    private void write(String name, PrivateKey key, X509Certificate certificate) {
        try {
            // The key first: a certificate that is there promises its key.
            Files2.writeAtomically(key(name), pem("PRIVATE KEY", key.getEncoded()));
            Files2.writeAtomically(certificate(name), pem("CERTIFICATE", certificate.getEncoded()));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static X509Certificate sign(
            X500Name issuer, KeyPair pair, X500Name subject, PrivateKey signer, boolean authority, List<String> names) {
        try {
            Instant now = Instant.now();
            var builder = new JcaX509v3CertificateBuilder(
                    issuer,
                    new BigInteger(127, new SecureRandom()),
                    Date.from(now.minus(Duration.ofHours(1))),
                    Date.from(now.plus(VALID)),
                    subject,
                    pair.getPublic());
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(authority));
            int usage = KeyUsage.digitalSignature
                    | (authority ? KeyUsage.keyCertSign | KeyUsage.cRLSign : KeyUsage.keyEncipherment);
            builder.addExtension(Extension.keyUsage, true, new KeyUsage(usage));
            if (!authority) {
                builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(new KeyPurposeId[] {
                    KeyPurposeId.id_kp_clientAuth, KeyPurposeId.id_kp_serverAuth
                }));
            }
            if (!names.isEmpty()) {
                builder.addExtension(
                        Extension.subjectAlternativeName,
                        false,
                        new GeneralNames(names.stream()
                                .map(name -> new GeneralName(
                                        name.matches("[0-9.]+") ? GeneralName.iPAddress : GeneralName.dNSName, name))
                                .toArray(GeneralName[]::new)));
            }
            return new JcaX509CertificateConverter()
                    .getCertificate(builder.build(new JcaContentSignerBuilder("SHA256withRSA").build(signer)));
        } catch (IOException | OperatorCreationException | GeneralSecurityException e) {
            throw new LocalClusterException("cannot sign a certificate for " + subject + ": " + e.getMessage(), e);
        }
    }

    private static KeyPair newKeyPair() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String pem(String type, byte[] der) {
        String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
        return "-----BEGIN " + type + "-----\n" + body + "\n-----END " + type + "-----\n";
    }

    private static String base64(Path file) {
        return Base64.getEncoder()
                .encodeToString(Files2.read(file)
                        .orElseThrow(() -> new LocalClusterException("no file " + file))
                        .getBytes(StandardCharsets.US_ASCII));
    }
}
