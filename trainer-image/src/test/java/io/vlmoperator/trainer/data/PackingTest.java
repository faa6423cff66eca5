package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class PackingTest {
    @Test
    void equalBinsToTheReference() throws Exception {
        int cases = 0;
        for (String line : Files.readAllLines(Path.of("src/test/resources/packing/cases.jsonl"))) {
            JsonNode row = new ObjectMapper().readTree(line);
            int[] lengths = new int[row.get("lengths").size()];
            Arrays.setAll(lengths, i -> row.get("lengths").get(i).asInt());
            List<List<Integer>> want = new ArrayList<>();
            for (JsonNode bin : row.get("bins")) {
                List<Integer> ids = new ArrayList<>();
                bin.forEach(id -> ids.add(id.asInt()));
                want.add(ids);
            }
            assertThat(bins(lengths, row.get("capacity").asInt()))
                    .as(row.get("name").asText())
                    .isEqualTo(want);
            cases++;
        }
        assertThat(cases).isEqualTo(17);
    }

    @Property(tries = 300)
    void equalsThePlainScan(
            @ForAll @Size(max = 60) List<@IntRange(min = 1, max = 40) Integer> lengths,
            @ForAll @IntRange(min = 1, max = 50) int capacity) {
        int[] array = lengths.stream().mapToInt(Integer::intValue).toArray();
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < array.length; i++) {
            order.add(i);
        }
        order.sort(Comparator.comparingInt(i -> -array[i]));
        List<List<Integer>> bins = new ArrayList<>();
        List<Integer> used = new ArrayList<>();
        for (int sample : order) {
            int bin = 0;
            while (bin < bins.size() && used.get(bin) + array[sample] > capacity) {
                bin++;
            }
            if (bin == bins.size()) {
                bins.add(new ArrayList<>());
                used.add(0);
            }
            bins.get(bin).add(sample);
            used.set(bin, used.get(bin) + array[sample]);
        }
        assertThat(bins(array, capacity)).isEqualTo(bins);
    }

    private static List<List<Integer>> bins(int[] lengths, int capacity) {
        Packing.Result result = Packing.firstFitDecreasing(lengths, capacity);
        List<List<Integer>> bins = new ArrayList<>();
        for (int r = 0; r < result.rows(); r++) {
            bins.add(new ArrayList<>());
        }
        for (int k = 0; k < lengths.length; k++) {
            bins.get(result.rowOf()[k]).add(result.order()[k]);
        }
        return bins;
    }
}
