package io.vlmoperator.operator.progress;

import static io.vlmoperator.operator.Fixtures.EVAL;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.subject;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.operator.Fixtures;
import io.vlmoperator.operator.TestClock;
import io.vlmoperator.operator.engine.Reports;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Pins;
import io.vlmoperator.operator.status.StatusCodec;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ProgressServiceTest {
    private final TestClock clock = new TestClock(T0);
    private final Reports reports = new Reports();
    private final List<Boolean> news = new ArrayList<>();
    private Subject job = subject(PRETRAIN);
    private final List<Pins.Neighbour> neighbours = new ArrayList<>();
    private Optional<TokenCheck.Identity> identity =
            Optional.of(new TokenCheck.Identity("system:serviceaccount:team:default", "emoji-pretrain-1-0-abcde"));

    private final ProgressService service = new ProgressService(
            new ProgressService.Directory() {
                @Override
                public Optional<Subject> find(Kind kind, String namespace, String name) {
                    boolean here = kind == job.kind() && namespace.equals("team") && name.equals("emoji");
                    return here ? Optional.of(job) : Optional.empty();
                }

                @Override
                public Collection<Pins.Neighbour> neighbours(String namespace) {
                    return neighbours;
                }
            },
            (token, audience) -> {
                if (token.equals("busy")) {
                    throw new TokenCheck.BusyException("busy");
                }
                boolean right = token.equals("good") && audience.equals("vlm-operator.io/team/pretrainjobs/emoji/u-1");
                return right ? identity : Optional.empty();
            },
            reports,
            (subject, report, isNews) -> news.add(isNews),
            clock);

    private int post(ProgressReport report) throws Exception {
        clock.plus(Duration.ofSeconds(1));
        return send("emoji", "good", StatusCodec.json().writeValueAsBytes(report))
                .status();
    }

    private ProgressService.Reply send(String name, String token, byte[] body) {
        return service.report("team", "pretrainjobs", name, Optional.ofNullable(token), body);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void takesAReportAndAnswersPins() throws Exception {
        neighbours.add(new Pins.Neighbour(
                subject(EVAL.replace("{sftJob: {name: emoji}}", "{pretrainJob: {name: emoji, select: Step, step: 50}}"))
                        .work(),
                RunStatus.EMPTY));
        var body = StatusCodec.json().writeValueAsBytes(Fixtures.report("u-1", 1, 1, 10));
        var reply = send("emoji", "good", body);
        assertThat(reply.status()).isEqualTo(200);
        var answer = (ProgressAnswer) reply.body();
        assertThat(answer.pins()).containsExactly(50L);
        assertThat(answer.command().action()).isEqualTo(ProgressAnswer.Action.None);
        assertThat(reports.of("u-1").orElseThrow().body().step()).isEqualTo(10);
    }

    @Test
    void refusesWhoMayNotReport() {
        assertThat(send("emoji", null, bytes("{}")).status()).isEqualTo(401);
        assertThat(send("emoji", " ", bytes("{}")).status()).isEqualTo(401);
        assertThat(send("emoji", "forged", bytes("{}")).status()).isEqualTo(401);
        assertThat(send("another", "good", bytes("{}")).status()).isEqualTo(403);
        assertThat(send("emoji", "busy", bytes("{}")).status()).isEqualTo(429);
        assertThat(service.report("team", "pods", "emoji", Optional.of("good"), bytes("{}"))
                        .status())
                .isEqualTo(404);
        identity =
                Optional.of(new TokenCheck.Identity("system:serviceaccount:other:default", "emoji-pretrain-1-0-abcde"));
        assertThat(send("emoji", "good", bytes("{}")).status()).isEqualTo(403);
        identity = Optional.of(new TokenCheck.Identity("system:serviceaccount:team:default", "another-pod"));
        assertThat(send("emoji", "good", bytes("{}")).status()).isEqualTo(403);
        assertThat(reports.of("u-1")).isEmpty();
    }

    @Test
    void refusesWhatIsNoReport() {
        for (String body : List.of(
                "",
                "null",
                "[]",
                "{",
                "7",
                "{\"uid\":\"u-1\"}",
                "{\"uid\":\"u-1\",\"attempt\":0,\"sequence\":1}",
                "{\"uid\":\"u-1\",\"attempt\":1,\"sequence\":1,\"loss\":NaN}",
                "{\"uid\":\"u-1\",\"attempt\":1,\"sequence\":1,\"checkpoints\":[null]}",
                "{\"uid\":\"u-1\",\"attempt\":1,\"sequence\":1,\"step\":99999999999999999999}",
                "[".repeat(5000))) {
            assertThat(send("emoji", "good", bytes(body)).status()).as(body).isEqualTo(400);
        }
        assertThat(send("emoji", "good", new byte[ProgressReport.MAX_BYTES + 1]).status())
                .isEqualTo(413);
    }

    @Test
    void refusesWhatIsStale() throws Exception {
        assertThat(post(Fixtures.report("u-0", 1, 1, 10))).isEqualTo(409);
        assertThat(post(Fixtures.report("u-1", 2, 5, 10))).isEqualTo(200);
        assertThat(post(Fixtures.report("u-1", 2, 5, 10))).isEqualTo(409);
        assertThat(post(Fixtures.report("u-1", 2, 4, 10))).isEqualTo(409);
        assertThat(post(Fixtures.report("u-1", 1, 9, 10))).isEqualTo(409);
        assertThat(post(Fixtures.report("u-1", 3, 1, 10))).isEqualTo(200);
        var e = RunStatus.EMPTY;
        var over = new Attempt(
                4, T0.toString(), T0.toString(), "Hang", "ProgressSilent", null, null, null, null, null, 2, null);
        job = Fixtures.with(
                job,
                new RunStatus(
                        e.phase(),
                        1,
                        e.startedAt(),
                        e.finishedAt(),
                        e.progress(),
                        e.checkpoints(),
                        List.of(),
                        List.of(over),
                        e.restarts(),
                        e.export(),
                        e.dataset(),
                        e.source(),
                        List.of()));
        assertThat(post(Fixtures.report("u-1", 3, 2, 10))).isEqualTo(409);
        assertThat(post(Fixtures.report("u-1", 4, 1, 10))).as("ended").isEqualTo(409);
        assertThat(post(Fixtures.report("u-1", 5, 1, 10))).isEqualTo(200);
    }

    @Test
    void tooManyAreRefused() throws Exception {
        assertThat(post(Fixtures.report("u-1", 1, 1, 10))).isEqualTo(200);
        var next = StatusCodec.json().writeValueAsBytes(Fixtures.report("u-1", 1, 2, 10));
        assertThat(send("emoji", "good", next).status()).isEqualTo(429);
        clock.plus(ProgressService.SHORTEST);
        assertThat(send("emoji", "good", next).status()).isEqualTo(200);
    }

    @Test
    void onlyAFirstReportAndANewCheckpointAreNews() throws Exception {
        post(Fixtures.report("u-1", 1, 1, 10));
        post(Fixtures.report("u-1", 1, 2, 20));
        post(Fixtures.report("u-1", 1, 3, 110, checkpoint(100)));
        post(Fixtures.report("u-1", 1, 4, 120, checkpoint(100)));
        post(Fixtures.report("u-1", 2, 1, 101, checkpoint(100)));
        assertThat(news).containsExactly(true, false, true, false, true);
    }

    @Test
    void theEndOfATokenIsReadFromIt() {
        assertThat(TokenReviews.expiry("e30.eyJleHAiOjE3NjcyMjU2MDB9.sig")).hasValue(T0);
        for (String bad : List.of("", "a", "a.b", "a.%%.c", "e30.bnVsbA.x", "..")) {
            assertThat(TokenReviews.expiry(bad)).as(bad).isEmpty();
        }
    }
}
