package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.github.dockerjava.api.DockerClient;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.output.OutputFrame;
import org.testcontainers.containers.startupcheck.OneShotStartupCheckStrategy;
import org.testcontainers.utility.DockerImageName;

/**
 * The two images as {@code make test-images} built them, each in a container of its own: who they run as, what they need to write, and what
 * their base image brings along. Without images to try all of it is skipped, and counted; where they are named the engine must answer.
 */
class ImagesTest {
    private static final String USER = "10001:10001";
    private static final Duration LIMIT = Duration.ofMinutes(3);

    private static String operator;
    private static String trainer;

    @BeforeAll
    static void namedImagesAndAnEngine() {
        String images = System.getenv().getOrDefault("VLM_E2E_IMAGES", "");
        assumeFalse(
                images.isEmpty(),
                "no image was built: make test-images builds both where a Docker engine answers, and runs this with them");
        int colon = images.lastIndexOf(':');
        operator = images.substring(0, colon) + "/operator" + images.substring(colon);
        trainer = images.substring(0, colon) + "/trainer" + images.substring(colon);
        assertThat(DockerClientFactory.instance().isDockerAvailable())
                .as("a Docker engine answers Testcontainers (DOCKER_HOST=" + System.getenv("DOCKER_HOST") + ")")
                .isTrue();
    }

    @Test
    @Timeout(300)
    void theTrainerCanTrainAsAUserWithoutRightsOnAReadOnlyRoot() {
        assertThat(user(trainer)).isEqualTo(USER);
        try (var container = confined(trainer)) {
            container
                    .withCommand("check")
                    .withStartupCheckStrategy(new OneShotStartupCheckStrategy().withTimeout(LIMIT));
            container.start();
            assertThat(container.getLogs(OutputFrame.OutputType.STDOUT))
                    .contains("libtorch    2.7.1", "tokenizers  loaded")
                    .contains("images      JPEG by libjpeg-turbo, WebP by libwebp");
        }
    }

    @Test
    @Timeout(300)
    void nothingButTheTemporaryFolderCanBeWritten() {
        assertThat(shell(
                        trainer,
                        "id -u; for f in / /opt/vlm /opt/vlm/target/djl /opt/java /home /var /tmp; do"
                                + " { : >$f/try; } 2>/dev/null && echo \"$f is writable\"; done; exit 0"))
                .containsExactly("10001", "/tmp is writable");
    }

    /** Its Java starts, so that the first thing it lacks is what a pod of the chart would have. */
    @Test
    @Timeout(300)
    void theOperatorStartsAsAUserWithoutRightsOnAReadOnlyRoot() {
        assertThat(user(operator)).isEqualTo(USER);
        assertThat(shell(operator, "/opt/vlm/bin/vlm-operator 2>&1; echo \"ended with $?\""))
                .endsWith(
                        "vlm-operator: VLM_TRAINER_IMAGE is not set: the image that runs the workers", "ended with 64");
    }

    private static List<String> shell(String image, String script) {
        try (var container = confined(image)) {
            container.withCreateContainerCmdModifier(create -> create.withEntrypoint("bash"));
            container
                    .withCommand("-c", script)
                    .withStartupCheckStrategy(new OneShotStartupCheckStrategy().withTimeout(LIMIT));
            container.start();
            return container.getLogs(OutputFrame.OutputType.STDOUT).lines().toList();
        }
    }

    /** No capabilities, no way to gain any, nothing but /tmp to write to; the network is the machine's, whose engine may have no other. */
    private static GenericContainer<?> confined(String image) {
        return new GenericContainer<>(DockerImageName.parse(image))
                .withImagePullPolicy(name -> false)
                .withNetworkMode("host")
                .withTmpFs(Map.of("/tmp", "exec"))
                .withCreateContainerCmdModifier(create -> create.getHostConfig()
                        .withReadonlyRootfs(true)
                        .withCapDrop(com.github.dockerjava.api.model.Capability.ALL)
                        .withSecurityOpts(List.of("no-new-privileges")));
    }

    private static String user(String image) {
        DockerClient client = DockerClientFactory.instance().client();
        var config = client.inspectImageCmd(image).exec().getConfig();
        return config == null ? "" : config.getUser();
    }
}
