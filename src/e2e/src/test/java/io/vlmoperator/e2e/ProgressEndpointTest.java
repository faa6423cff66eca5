package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Pod;
import io.vlmoperator.api.run.ProgressReport;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** The endpoint of the running operator, over its own HTTPS port: what it refuses before it looks at anything else. */
@ExtendWith(Stage.Extension.class)
class ProgressEndpointTest {
    private static final int MILLIS = 60_000;

    private final Stage stage;

    ProgressEndpointTest(Stage stage) {
        this.stage = stage;
    }

    private record Answer(int status, String text) {}

    @Test
    @Timeout(300)
    void aBodyOfMoreThan16KiBIsRefusedInWords() throws Exception {
        byte[] large = new byte[ProgressReport.MAX_BYTES + 1];
        assertThat(post(large, false)).isEqualTo(post(large, true)).satisfies(answer -> {
            assertThat(answer.status()).as(answer.text()).isEqualTo(413);
            assertThat(answer.text()).contains("at most 16384 bytes");
        });
        assertThat(post(new byte[ProgressReport.MAX_BYTES], false).status())
                .as("not too large: refused for its token")
                .isEqualTo(403);
    }

    private Answer post(byte[] body, boolean chunked) throws IOException, GeneralSecurityException {
        Pod operator = stage.client().pods().inNamespace(stage.operatorNamespace()).list().getItems().stream()
                .filter(pod -> pod.getStatus().getPodIP() != null
                        && "Running".equals(pod.getStatus().getPhase()))
                .findFirst()
                .orElseThrow();
        // A pod of the local node listens on 127.A.B.h; its status shows 10.A.B.h (src/docs/local-cluster.md).
        String address = operator.getStatus().getPodIP().replaceFirst("^10\\.", "127.");
        assertThat(address).startsWith("127.");
        URI uri = URI.create("https://" + address + ":8443/v1/progress/nowhere/pretrainjobs/nothing");
        HttpsURLConnection connection = (HttpsURLConnection) uri.toURL().openConnection();
        connection.setSSLSocketFactory(trusting().getSocketFactory());
        // The certificate is for the Service's name; who answers does not matter here.
        connection.setHostnameVerifier((name, session) -> true);
        connection.setConnectTimeout(MILLIS);
        connection.setReadTimeout(MILLIS);
        connection.setRequestMethod("POST");
        connection.setRequestProperty("Authorization", "Bearer nobody");
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setDoOutput(true);
        if (chunked) {
            connection.setChunkedStreamingMode(4096);
        } else {
            connection.setFixedLengthStreamingMode(body.length);
        }
        try {
            try (var out = connection.getOutputStream()) {
                out.write(body);
            }
            int status = connection.getResponseCode();
            try (InputStream error = connection.getErrorStream()) {
                return new Answer(
                        status, error == null ? "" : new String(error.readAllBytes(), StandardCharsets.UTF_8));
            }
        } finally {
            connection.disconnect();
        }
    }

    private static SSLContext trusting() throws GeneralSecurityException {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(
                null,
                new TrustManager[] {
                    new X509TrustManager() {
                        @Override
                        public void checkClientTrusted(X509Certificate[] chain, String type) {}

                        @Override
                        public void checkServerTrusted(X509Certificate[] chain, String type) {}

                        @Override
                        public X509Certificate[] getAcceptedIssuers() {
                            return new X509Certificate[0];
                        }
                    }
                },
                null);
        return context;
    }
}
