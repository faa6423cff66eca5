package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerPort;
import io.fabric8.kubernetes.api.model.ExecAction;
import io.fabric8.kubernetes.api.model.HTTPGetAction;
import io.fabric8.kubernetes.api.model.HTTPHeader;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.Probe;
import io.fabric8.kubernetes.api.model.TCPSocketAction;
import java.io.File;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/**
 * Asks a container how it is: HTTP, HTTPS (the certificate is not checked, as the kubelet does not), TCP, or a command.
 *
 * @param address the pod's loopback address
 * @param environment that of the container, for commands
 */
record Probes(
        Container container,
        String address,
        Map<String, String> environment,
        Path workingFolder,
        PathRewriter rewriter) {
    private static final SSLContext ANYONE = trustingAnyone();

    /** The answer: empty when well, else what was wrong. */
    Optional<String> ask(Probe probe) throws InterruptedException {
        Duration timeout = Duration.ofSeconds(
                Optional.ofNullable(probe.getTimeoutSeconds()).orElse(1));
        if (probe.getHttpGet() != null) {
            return http(probe.getHttpGet(), timeout);
        }
        if (probe.getTcpSocket() != null) {
            return tcp(probe.getTcpSocket(), timeout);
        }
        if (probe.getExec() != null) {
            return exec(probe.getExec(), timeout);
        }
        return Optional.of("this node has no gRPC probes");
    }

    Optional<String> http(HTTPGetAction get, Duration timeout) {
        String scheme = Optional.ofNullable(get.getScheme()).orElse("HTTP").toLowerCase(java.util.Locale.ROOT);
        String host = Optional.ofNullable(get.getHost())
                .filter(text -> !text.isEmpty())
                .orElse(address);
        String path = Optional.ofNullable(get.getPath()).orElse("/");
        HttpURLConnection connection = null;
        try {
            URI uri = URI.create(
                    scheme + "://" + host + ":" + port(get.getPort()) + (path.startsWith("/") ? "" : "/") + path);
            connection = (HttpURLConnection) uri.toURL().openConnection(java.net.Proxy.NO_PROXY);
            if (connection instanceof HttpsURLConnection https) {
                https.setSSLSocketFactory(ANYONE.getSocketFactory());
                https.setHostnameVerifier((name, session) -> true);
            }
            connection.setConnectTimeout((int) timeout.toMillis());
            connection.setReadTimeout((int) timeout.toMillis());
            connection.setInstanceFollowRedirects(false);
            connection.setRequestProperty("User-Agent", "kube-probe/1.34");
            connection.setRequestProperty("Connection", "close");
            for (HTTPHeader header : Optional.ofNullable(get.getHttpHeaders()).orElse(List.of())) {
                connection.setRequestProperty(header.getName(), header.getValue());
            }
            int status = connection.getResponseCode();
            return status >= 200 && status < 400
                    ? Optional.empty()
                    : Optional.of("HTTP probe failed with statuscode: " + status);
        } catch (IOException | IllegalArgumentException e) {
            return Optional.of("Get \"" + scheme + "://" + host + path + "\": " + e.getMessage());
        } finally {
            if (connection != null) {
                connection.disconnect();
            }
        }
    }

    private Optional<String> tcp(TCPSocketAction action, Duration timeout) {
        try (Socket socket = new Socket()) {
            String host = Optional.ofNullable(action.getHost())
                    .filter(text -> !text.isEmpty())
                    .orElse(address);
            socket.connect(new InetSocketAddress(host, port(action.getPort())), (int) timeout.toMillis());
            return Optional.empty();
        } catch (IOException | IllegalArgumentException e) {
            return Optional.of("TCP probe failed: " + e.getMessage());
        }
    }

    /** Runs a command as the container would. */
    Optional<String> exec(ExecAction action, Duration timeout) throws InterruptedException {
        try {
            List<String> command = Optional.ofNullable(action.getCommand()).orElse(List.of()).stream()
                    .map(rewriter::rewrite)
                    .toList();
            ProcessBuilder builder = new ProcessBuilder(command)
                    .directory(workingFolder.toFile())
                    .redirectInput(new File("/dev/null"))
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.DISCARD);
            builder.environment().clear();
            builder.environment().putAll(environment);
            Process process = builder.start();
            if (!process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS)) {
                process.destroyForcibly();
                return Optional.of("command " + command + " timed out after " + timeout.toSeconds() + " s");
            }
            return process.exitValue() == 0
                    ? Optional.empty()
                    : Optional.of("command " + command + " exited with " + process.exitValue());
        } catch (IOException | RuntimeException e) {
            return Optional.of("command failed: " + e.getMessage());
        }
    }

    private int port(IntOrString port) {
        if (port.getIntVal() != null) {
            return port.getIntVal();
        }
        return Optional.ofNullable(container.getPorts()).orElse(List.of()).stream()
                .filter(named -> port.getStrVal().equals(named.getName()))
                .map(ContainerPort::getContainerPort)
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no port named " + port.getStrVal()));
    }

    private static SSLContext trustingAnyone() {
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(
                    null,
                    new TrustManager[] {
                        new X509TrustManager() {
                            @Override
                            public void checkClientTrusted(X509Certificate[] chain, String type) {
                                // A probe asks whether the process answers, not who it is.
                            }

                            @Override
                            public void checkServerTrusted(X509Certificate[] chain, String type) {
                                // As above.
                            }

                            @Override
                            public X509Certificate[] getAcceptedIssuers() {
                                return new X509Certificate[0];
                            }
                        }
                    },
                    new SecureRandom());
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
