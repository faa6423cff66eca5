package io.vlmoperator.trainer.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Where the elements of a part belong in the flat buffer: {@code "0-100,300-320"} says that the tensors of the file hold elements 0 to 99,
 * then 300 to 319. Stands in the header of the part's file.
 */
final class Ranges {
    private static final Pattern RANGE = Pattern.compile("(\\d{1,18})-(\\d{1,18})");
    /** Header of the first version, which knew one range: its first element. */
    private static final String FROM = "from";

    private static final int MAX_RANGES = 100_000;

    private Ranges() {}

    /** Elements {@code from} to {@code to - 1}. */
    record Range(long from, long to) {
        long count() {
            return to - from;
        }
    }

    static String text(List<StateShard> shards) {
        return shards.stream().map(s -> s.from() + "-" + s.to()).collect(Collectors.joining(","));
    }

    /**
     * The ranges of a file.
     *
     * @param count elements of its tensors
     * @throws IOException when they are not ascending, or not as many
     */
    static List<Range> read(Path file, Map<String, String> metadata, long count) throws IOException {
        String text = metadata.getOrDefault(CheckpointWriter.RANGES, "");
        String first = metadata.getOrDefault(FROM, "");
        if (text.isEmpty() && first.matches("\\d{1,18}")) {
            long from = Long.parseLong(first);
            return List.of(new Range(from, Math.addExact(from, count)));
        }
        List<Range> ranges = new ArrayList<>();
        long end = 0;
        long sum = 0;
        for (String each : text.split(",", MAX_RANGES + 1)) {
            var range = RANGE.matcher(each);
            if (!range.matches()) {
                throw new IOException(file + ": its header does not say where its elements belong");
            }
            Range next = new Range(Long.parseLong(range.group(1)), Long.parseLong(range.group(2)));
            if (next.from() < end || next.to() < next.from()) {
                throw new IOException(file + ": its ranges are not ascending");
            }
            end = next.to();
            sum += next.count();
            ranges.add(next);
        }
        if (sum != count) {
            throw new IOException(file + ": its ranges are for " + sum + " elements, its tensors have " + count);
        }
        return ranges;
    }
}
