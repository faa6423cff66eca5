package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.spec.Pack.Algorithm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class StreamingPackerTest {
    /** Rows of a list, each as places in it. */
    private static List<List<Integer>> rows(Algorithm algorithm, int[] lengths, int capacity) {
        List<List<Integer>> rows = new ArrayList<>();
        Packer packer = Packer.of(
                algorithm,
                capacity,
                (samples, count) ->
                        rows.add(Arrays.stream(samples, 0, count).boxed().toList()));
        for (int i = 0; i < lengths.length; i++) {
            packer.add(i, lengths[i]);
        }
        packer.shardEnds();
        packer.finish();
        return rows;
    }

    private static double fill(List<List<Integer>> rows, int[] lengths, int capacity) {
        return Arrays.stream(lengths).asLongStream().sum() / ((double) rows.size() * capacity);
    }

    /** As the paper's captions: 144 visual tokens, begin, newline, end, and a log-normal caption of 29 tokens on average. */
    private static int[] captions(int samples, long seed) {
        Random random = new Random(seed);
        double mu = Math.log(29) - 0.8 * 0.8 / 2;
        return random.doubles(0, 1)
                .limit(samples)
                .mapToInt(ignored -> 147 + Math.max(1, (int) Math.round(Math.exp(mu + 0.8 * random.nextGaussian()))))
                .toArray();
    }

    @Test
    void captionsFillTheContextBetterThanFirstFitDecreasing() {
        int[] lengths = captions(100_000, 1);
        double streaming = fill(rows(Algorithm.Streaming, lengths, 4096), lengths, 4096);
        double decreasing = fill(rows(Algorithm.FirstFitDecreasing, lengths, 4096), lengths, 4096);
        assertThat(streaming).isGreaterThanOrEqualTo(0.995).isGreaterThan(decreasing);
    }

    @Test
    void theReferencesCaptionsFillTheContext() throws Exception {
        for (String line : Files.readAllLines(Path.of("src/test/resources/packing/cases.jsonl"))) {
            JsonNode row = new ObjectMapper().readTree(line);
            int[] lengths = new int[row.get("lengths").size()];
            Arrays.setAll(lengths, i -> row.get("lengths").get(i).asInt());
            int capacity = row.get("capacity").asInt();
            List<List<Integer>> rows = rows(Algorithm.Streaming, lengths, capacity);
            check(rows, lengths, capacity);
            if (row.get("name").asText().equals("captions_10k")) {
                assertThat(fill(rows, lengths, capacity)).isGreaterThanOrEqualTo(0.995);
            }
        }
    }

    @Test
    void noSampleWaitsLongerThanTheWindow() {
        int[] lengths = captions(20_000, 2);
        int[] placed = new int[1];
        int[] waited = new int[1];
        Packer packer = Packer.of(Algorithm.Streaming, 4096, (samples, count) -> {
            for (int i = 0; i < count; i++) {
                waited[0] = Math.max(waited[0], placed[0] - samples[i]);
            }
            placed[0] += count;
        });
        for (int i = 0; i < lengths.length; i++) {
            packer.add(i, lengths[i]);
            assertThat(i + 1 - placed[0]).isLessThanOrEqualTo(StreamingPacker.WINDOW);
        }
        packer.finish();
        assertThat(placed[0]).isEqualTo(lengths.length);
        assertThat(waited[0]).isLessThanOrEqualTo(StreamingPacker.WINDOW);
    }

    @Property(tries = 300)
    void everySampleOnceAndNoRowTooFull(
            @ForAll @Size(max = 80) List<@IntRange(min = 1, max = 60) Integer> lengths,
            @ForAll @IntRange(min = 1, max = 50) int capacity) {
        int[] array = lengths.stream().mapToInt(Integer::intValue).toArray();
        for (Algorithm algorithm : Algorithm.values()) {
            List<List<Integer>> rows = rows(algorithm, array, capacity);
            check(rows, array, capacity);
            assertThat(rows(algorithm, array, capacity)).isEqualTo(rows);
        }
    }

    private static void check(List<List<Integer>> rows, int[] lengths, int capacity) {
        List<Integer> all = new ArrayList<>();
        for (List<Integer> row : rows) {
            assertThat(row).isNotEmpty();
            int sum = row.stream().mapToInt(i -> lengths[i]).sum();
            assertThat(sum <= capacity || row.size() == 1).as("row %s", row).isTrue();
            all.addAll(row);
        }
        all.sort(null);
        List<Integer> want = new ArrayList<>();
        for (int i = 0; i < lengths.length; i++) {
            want.add(i);
        }
        assertThat(all).isEqualTo(want);
    }
}
