package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.data.Packing;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** {@code packing/cases.jsonl}: the bins of first-fit-decreasing. */
final class PackingCases {
    private PackingCases() {}

    static void run(Path file, Findings findings) throws IOException {
        List<ObjectNode> own = new ArrayList<>();
        for (JsonNode golden : JsonRows.read(file)) {
            int[] lengths = JsonRows.ints(golden.path("lengths"));
            int capacity = golden.path("capacity").asInt();
            Packing.Result packed = Packing.firstFitDecreasing(lengths, capacity);
            ObjectNode row = golden.deepCopy();
            ArrayNode bins = row.putArray("bins");
            long[] totals = new long[packed.rows()];
            for (int r = 0; r < packed.rows(); r++) {
                bins.addArray();
            }
            for (int k = 0; k < lengths.length; k++) {
                ((ArrayNode) bins.get(packed.rowOf()[k])).add(packed.order()[k]);
                totals[packed.rowOf()[k]] += lengths[packed.order()[k]];
            }
            long kept = 0;
            for (long total : totals) {
                kept += Math.min(capacity, total);
            }
            row.put("rows", packed.rows());
            row.put("fill", packed.rows() == 0 ? null : kept / ((double) packed.rows() * capacity));
            own.add(row);

            String what = "packing/cases/" + golden.path("name").asText() + "/";
            try (Findings.Tally tally = findings.tally(what + "bins")) {
                tally.equal("number of bins", packed.rows(), golden.path("rows").asInt());
                for (int r = 0; r < Math.max(bins.size(), golden.path("bins").size()); r++) {
                    tally.equal("bin " + r, bins.path(r), golden.path("bins").path(r));
                }
            }
            if (golden.path("fill").isNumber()) {
                findings.number(
                        what + "fill",
                        row.path("fill").asDouble(),
                        golden.path("fill").asDouble());
            }
        }
        findings.lines("packing", "cases.jsonl", own);
    }
}
