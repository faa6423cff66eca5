package io.vlmoperator.demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.EvalJob;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.api.status.TrainingStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code Demo KUBECONFIG CLUSTER_DIR TIMES RESULT LIMIT_SECONDS}: shows the resources of the current namespace until all have ended, then
 * the scores; writes RESULT. TIMES holds one {@code phase TAB seconds} a line of what went before. Exits 0 when all are complete, 1 when
 * one failed, 2 when the limit passed.
 */
public final class Demo {
    private static final Duration PERIOD = Duration.ofSeconds(1);
    private static final String OPERATOR = "vlm-operator";

    private final KubernetesClient client;
    private final Memory memory;
    private final Board board =
            new Board(System.out, System.console() != null && System.console().isTerminal());
    private final Map<String, Long> tokens = new LinkedHashMap<>();

    private Demo(KubernetesClient client, Memory memory) {
        this.client = client;
        this.memory = memory;
    }

    public static void main(String[] args) throws IOException, InterruptedException {
        if (args.length != 5) {
            System.err.println("usage: Demo KUBECONFIG CLUSTER_DIR TIMES RESULT LIMIT_SECONDS");
            System.exit(64);
        }
        Config config = Config.fromKubeconfig(Path.of(args[0]).toFile());
        try (KubernetesClient client =
                new KubernetesClientBuilder().withConfig(config).build()) {
            Demo demo = new Demo(client, new Memory(Path.of(args[1])));
            System.exit(demo.run(Path.of(args[2]), Path.of(args[3]), Duration.ofSeconds(Long.parseLong(args[4]))));
        }
    }

    private int run(Path times, Path result, Duration limit) throws IOException, InterruptedException {
        Instant deadline = Instant.now().plus(limit);
        List<HasMetadata> resources = List.of();
        List<Row> rows = List.of();
        do {
            try {
                resources = list();
                rows = resources.stream().map(Row::of).toList();
                board.show(rows, System.nanoTime());
            } catch (KubernetesClientException unreachable) {
                System.err.println("  the API server does not answer: " + unreachable.getMessage());
            }
            memory.sample();
            resources.forEach(this::count);
            if (!rows.isEmpty() && rows.stream().anyMatch(row -> row.phase() == Phase.Failed)) {
                rows.stream()
                        .filter(row -> row.phase() == Phase.Failed)
                        .forEach(row ->
                                System.out.println("\n" + row.kind() + " " + row.name() + " failed: " + row.message()));
                return 1;
            }
            if (!rows.isEmpty() && rows.stream().allMatch(Row::ended)) {
                report(resources, times, result);
                return 0;
            }
            Thread.sleep(PERIOD);
        } while (Instant.now().isBefore(deadline));
        System.out.println("\nNot all resources ended within " + limit.toMinutes() + " minutes.");
        return 2;
    }

    /** In the order people read them: data, pre-training, fine-tuning, scores. */
    private List<HasMetadata> list() {
        List<HasMetadata> all = new ArrayList<>();
        all.addAll(client.resources(Dataset.class).list().getItems());
        all.addAll(client.resources(PretrainJob.class).list().getItems());
        all.addAll(client.resources(SFTJob.class).list().getItems());
        all.addAll(client.resources(EvalJob.class).list().getItems());
        return all;
    }

    private void count(HasMetadata resource) {
        Progress progress = switch (resource) {
            case PretrainJob job when job.getStatus() != null -> job.getStatus().progress();
            case SFTJob job when job.getStatus() != null -> job.getStatus().progress();
            default -> null;
        };
        if (progress != null && progress.tokens() != null) {
            tokens.merge(resource.getKind() + "/" + resource.getMetadata().getName(), progress.tokens(), Math::max);
        }
    }

    private void report(List<HasMetadata> resources, Path times, Path file) throws IOException {
        Map<String, Double> seconds = new LinkedHashMap<>();
        for (String line : Files.readAllLines(times)) {
            String[] parts = line.split("\t", 2);
            seconds.put(parts[0], Double.parseDouble(parts[1]));
        }
        List<Result.Score> scores = new ArrayList<>();
        Map<String, Double> rates = new LinkedHashMap<>();
        for (HasMetadata resource : resources) {
            String name = resource.getKind() + "/" + resource.getMetadata().getName();
            Double took = switch (resource) {
                case Dataset dataset ->
                    between(dataset.getStatus().startedAt(), dataset.getStatus().finishedAt());
                case PretrainJob job -> between(job.getStatus());
                case SFTJob job -> between(job.getStatus());
                case EvalJob job -> {
                    job.getStatus().results().forEach(score -> scores.add(Result.Score.of(score)));
                    yield between(job.getStatus().startedAt(), job.getStatus().finishedAt());
                }
                default -> null;
            };
            seconds.put(name, took);
            if (tokens.containsKey(name) && took != null && took > 0) {
                rates.put(name, tokens.get(name) / took);
            }
        }
        Map<String, Long> peaks = new LinkedHashMap<>();
        peaks.put("operator", memory.peak(OPERATOR));
        peaks.put("trainer", memory.peakOfOthers(OPERATOR));
        Result result = new Result(scores, seconds, rates, peaks);
        new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), result);
        System.out.println("\n" + result.table());
        System.out.println("\n  seconds: " + seconds);
        System.out.println("  tokens/s (visual and text): " + rates);
        System.out.println("  peak memory in MiB: " + peaks);
        System.out.println("  all of it: " + file);
    }

    private static Double between(TrainingStatus status) {
        return between(status.startedAt(), status.finishedAt());
    }

    private static Double between(String from, String to) {
        return from == null || to == null
                ? null
                : Duration.between(Instant.parse(from), Instant.parse(to)).toMillis() / 1000.0;
    }
}
