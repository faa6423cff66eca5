package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.spec.Checkpoints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** What stays and what goes, for any history, rule and set of references. */
class RetentionTest {
    private static Map<Long, Double> history(Random random) {
        Map<Long, Double> losses = new TreeMap<>();
        int count = random.nextInt(12);
        for (int i = 0; i < count; i++) {
            double loss = switch (random.nextInt(6)) {
                case 0 -> Double.NaN;
                case 1 -> Double.POSITIVE_INFINITY;
                case 2 -> 1.5; // several of the same
                default -> random.nextDouble() * 3;
            };
            losses.put(1L + random.nextInt(200), loss);
        }
        return losses;
    }

    private static Set<Long> some(Random random, Set<Long> steps) {
        Set<Long> some = new HashSet<>();
        steps.stream().filter(s -> random.nextInt(4) == 0).forEach(some::add);
        some.add(1_000L); // something may refer to what is gone
        return some;
    }

    @Property(tries = 500)
    void keepsTheNewestTheBestEveryMthAndWhatIsPinnedAndNothingElse(
            @ForAll long seed,
            @ForAll @IntRange(min = 1, max = 5) int last,
            @ForAll @IntRange(max = 50) int every,
            @ForAll @IntRange(max = 4) int best) {
        Random random = new Random(seed);
        Map<Long, Double> losses = history(random);
        Set<Long> pins = some(random, losses.keySet());
        Checkpoints.Keep rule = new Checkpoints.Keep(
                last,
                every,
                best == 0
                        ? null
                        : new Checkpoints.Best(best, new Checkpoints.Metric(new Checkpoints.TrainingLoss(), null)));
        Set<Long> keep = Retention.keep(losses, rule, pins);
        List<Long> newestFirst =
                losses.keySet().stream().sorted(Comparator.reverseOrder()).toList();
        assertThat(losses.keySet()).containsAll(keep);
        for (long step : losses.keySet()) {
            boolean newest = newestFirst.indexOf(step) < last;
            boolean multiple = every > 0 && step % every == 0;
            long better = losses.entrySet().stream()
                    .filter(e -> Double.isFinite(e.getValue()))
                    .filter(e -> e.getValue() < losses.get(step)
                            || e.getValue().equals(losses.get(step)) && e.getKey() < step)
                    .count();
            boolean amongBest = Double.isFinite(losses.get(step)) && better < best;
            assertThat(keep.contains(step))
                    .as("step %d of %s, pins %s", step, losses, pins)
                    .isEqualTo(newest || multiple || amongBest || pins.contains(step));
        }
    }

    @Property(tries = 40)
    void neverDeletesTheNewestCompleteOneNorWhatIsToStay(@ForAll long seed) throws IOException {
        Random random = new Random(seed);
        Path folder = Files.createTempDirectory("retention");
        try {
            RunFolder run = RunFolder.at(folder);
            RunFolder.Fence fence = run.acquire(1, "job", "now");
            TreeSet<Long> complete = new TreeSet<>();
            TreeSet<Long> unfinished = new TreeSet<>();
            for (int i = random.nextInt(8); i > 0; i--) {
                long step = 1L + random.nextInt(50);
                Path stepFolder = Files.createDirectories(run.stepFolder(step));
                Files.writeString(stepFolder.resolve("rank-00000-of-00001-00001.safetensors"), "x");
                if (random.nextBoolean()) {
                    Files.writeString(stepFolder.resolve("manifest-00001.json"), "{}");
                    complete.add(step);
                } else {
                    unfinished.add(step);
                }
            }
            unfinished.removeAll(complete);
            Set<Long> keep = some(random, complete);
            List<Long> deleted = Retention.prune(run, fence, keep, Faults.NONE);
            TreeSet<Long> expected = new TreeSet<>(complete);
            expected.addAll(unfinished);
            if (!complete.isEmpty()) {
                expected.removeIf(step -> step < complete.last() && !keep.contains(step));
            }
            assertThat(run.stepFolders()).containsExactlyElementsOf(expected);
            assertThat(run.complete().stream().map(RunFolder.Complete::step))
                    .containsExactlyInAnyOrderElementsOf(
                            complete.stream().filter(expected::contains).toList());
            assertThat(deleted).isSorted().noneMatch(expected::contains);
        } finally {
            delete(folder);
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
