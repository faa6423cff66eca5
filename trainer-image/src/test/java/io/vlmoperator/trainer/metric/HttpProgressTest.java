package io.vlmoperator.trainer.metric;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HttpProgressTest {
    private static final ProgressReport EMPTY = new ProgressReport(
            null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
            null, null, null, null, null);

    @TempDir
    Path folder;

    private final BlockingQueue<JsonNode> received = new LinkedBlockingQueue<>();
    private final List<String> authorizations = new CopyOnWriteArrayList<>();
    private final List<String> log = new CopyOnWriteArrayList<>();
    private volatile String answer = "{\"pins\":[5,9],\"command\":{\"id\":\"a\",\"action\":\"Save\"},\"new\":1}";
    private volatile int status = 200;
    private HttpServer server;

    @BeforeEach
    void serve() throws IOException {
        for (int port = 23_000; server == null; port += 7) {
            try {
                server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
            } catch (java.net.BindException e) {
                assertThat(port).isLessThan(32_000);
            }
        }
        server.createContext("/", exchange -> {
            authorizations.add(exchange.getRequestHeaders().getFirst("Authorization"));
            received.add(new ObjectMapper().readTree(exchange.getRequestBody()));
            byte[] body = answer.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    @AfterEach
    void end() {
        server.stop(0);
    }

    private HttpProgress start() throws IOException {
        Path token = folder.resolve("token");
        Files.writeString(token, "first\n");
        return HttpProgress.start(
                URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1/progress/ns/pretrainjobs/x"),
                Optional.empty(),
                Optional.of(token),
                "uid-1",
                2,
                Duration.ofMillis(50),
                log::add);
    }

    private static ProgressReport step(long step, double loss) {
        return Reports.training(MetricsFileTest.record(step, loss), 7, EMPTY);
    }

    @Test
    void reportsCarryIdentityAndAnswersAreHeard() throws Exception {
        try (HttpProgress progress = start()) {
            progress.report(step(8, 2.5), false);
            JsonNode first = received.poll(10, TimeUnit.SECONDS);
            assertThat(first.path("uid").asText()).isEqualTo("uid-1");
            assertThat(first.path("attempt").asInt()).isEqualTo(2);
            assertThat(first.path("sequence").asInt()).isEqualTo(1);
            assertThat(first.path("loss").asDouble()).isEqualTo(2.5);
            assertThat(first.path("resumedFrom").asInt()).isEqualTo(7);
            Files.writeString(folder.resolve("token"), "second");
            progress.report(step(9, Double.NaN), true);
            JsonNode second = received.poll(10, TimeUnit.SECONDS);
            assertThat(second.path("sequence").asInt()).isEqualTo(2);
            assertThat(second.has("loss")).isFalse();
            assertThat(second.path("nonFinite").asBoolean()).isTrue();
            assertThat(authorizations).containsExactly("Bearer first", "Bearer second");
            assertThat(progress.pins()).containsExactlyInAnyOrder(5L, 9L);
            assertThat(progress.takeCommand())
                    .map(ProgressAnswer.Command::action)
                    .contains(ProgressAnswer.Action.Save);
            assertThat(progress.takeCommand())
                    .as("the same id again is no new command")
                    .isEmpty();
            assertThat(progress.heardWithin(Duration.ofSeconds(30))).isTrue();
        }
    }

    @Test
    void lossesAreToleratedAndSaidOnce() throws Exception {
        status = 503;
        try (HttpProgress progress = start()) {
            progress.report(step(1, 1), true);
            assertThat(received.poll(10, TimeUnit.SECONDS)).isNotNull();
            progress.report(step(2, 1), true);
            assertThat(received.poll(10, TimeUnit.SECONDS)).isNotNull();
            status = 200;
            progress.report(step(3, 1), true);
            assertThat(received.poll(10, TimeUnit.SECONDS).path("sequence").asInt())
                    .isEqualTo(3);
        }
        assertThat(log).hasSize(2);
        assertThat(log.getFirst()).contains("training goes on").contains("503");
        assertThat(log.getLast()).contains("arrive again");
    }

    @Test
    void closingSendsTheLastReport() throws Exception {
        HttpProgress progress = start();
        for (int step = 1; step <= 1000; step++) {
            progress.report(step(step, 1), false);
        }
        progress.close();
        JsonNode last = received.poll(1, TimeUnit.SECONDS);
        for (JsonNode next = last; next != null; next = received.poll()) {
            last = next;
        }
        assertThat(last.path("step").asInt()).isEqualTo(1000);
        assertThat(authorizations)
                .as("a thousand steps at once are few reports")
                .hasSizeLessThan(20);
    }

    @Test
    void longReportsLoseDetailsNotTheStep() throws Exception {
        ProgressReport details = new ProgressReport(
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                List.of(),
                null,
                null,
                null,
                java.util.Collections.nCopies(40, "w".repeat(5000)),
                null);
        byte[] json = Reports.bounded(Reports.training(MetricsFileTest.record(3, 1), 0, details));
        assertThat(json.length).isLessThanOrEqualTo(ProgressReport.MAX_BYTES);
        assertThat(new ObjectMapper().readTree(json).path("step").asInt()).isEqualTo(3);
    }
}
