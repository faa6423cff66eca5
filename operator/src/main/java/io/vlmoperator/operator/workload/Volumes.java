package io.vlmoperator.operator.workload;

import com.fasterxml.jackson.databind.JsonNode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.operator.status.StatusCodec;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** Which claims a frozen job needs, and which of them it writes: every location in it is read; its output, and what it fetches to,
 * is written. */
public final class Volumes {
    private static final Pattern CLAIM =
            Pattern.compile("pvc://([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)(?:/.*)?", Pattern.DOTALL);

    private Volumes() {}

    /** Claim to whether it is mounted read-only, in the order of names. */
    public static Map<String, Boolean> claims(FrozenJob job, String output, List<String> more) {
        var claims = new TreeMap<String, Boolean>();
        collect(StatusCodec.json().valueToTree(job), claims);
        more.forEach(location -> add(location, claims));
        claim(output).ifPresent(claim -> claims.put(claim, false));
        if (job.dataset() != null) {
            job.dataset().fetch().forEach(fetch -> claim(fetch.to()).ifPresent(claim -> claims.put(claim, false)));
        }
        return claims;
    }

    /** Whether any location of the job lies in object storage: such pods get a folder for copies. */
    static boolean hasObjects(FrozenJob job) {
        return StatusCodec.json().valueToTree(job).toString().contains("\"s3://");
    }

    private static void collect(JsonNode node, Map<String, Boolean> claims) {
        if (node.isTextual()) {
            add(node.textValue(), claims);
        } else if (node.isObject()) {
            node.properties().stream()
                    .filter(field -> !field.getKey().equals("env"))
                    .forEach(field -> collect(field.getValue(), claims));
        } else {
            node.forEach(child -> collect(child, claims));
        }
    }

    private static void add(String location, Map<String, Boolean> claims) {
        claim(location).ifPresent(claim -> claims.put(claim, true));
    }

    /** The claim of a {@code pvc://} location. */
    static Optional<String> claim(String location) {
        if (location == null) {
            return Optional.empty();
        }
        var match = CLAIM.matcher(location);
        return match.matches() ? Optional.of(match.group(1)) : Optional.empty();
    }
}
