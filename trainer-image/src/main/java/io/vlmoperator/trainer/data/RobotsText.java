package io.vlmoperator.trainer.data;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * A host's {@code robots.txt} by RFC 9309: the groups of our name, or those of {@code *}; the longest rule that fits a path decides, and between
 * equal ones {@code Allow}.
 */
final class RobotsText {
    /** What RFC 9309 asks a reader to take at least. */
    static final int MAX_BYTES = 512_000;
    /** Characters of rules that are kept: paths are compared with each of them. */
    private static final int MAX_RULES = 65_536;

    static final RobotsText ALLOW_ALL = new RobotsText(List.of());
    static final RobotsText DISALLOW_ALL = new RobotsText(List.of(new Rule("/", false)));

    private final List<Rule> rules;

    private record Rule(String pattern, boolean allow) {}

    private RobotsText(List<Rule> rules) {
        this.rules = rules;
    }

    /**
     * Reads a file; lines that are no rule are left out, as is what lies behind {@value #MAX_BYTES} bytes.
     *
     * @param agent our name as it stands in {@code User-agent} lines
     */
    static RobotsText parse(byte[] file, String agent) {
        String text = new String(file, 0, Math.min(file.length, MAX_BYTES), StandardCharsets.UTF_8);
        List<Rule> ours = new ArrayList<>();
        List<Rule> everyones = new ArrayList<>();
        boolean named = false;
        boolean forUs = false;
        boolean forAll = false;
        boolean inRules = true;
        int kept = 0;
        for (String line : text.split("[\r\n]+", -1)) {
            String bare = line.replaceFirst("#.*", "").strip();
            int colon = bare.indexOf(':');
            if (colon < 0) {
                continue;
            }
            String key = bare.substring(0, colon).strip().toLowerCase(Locale.ROOT);
            String value = bare.substring(colon + 1).strip();
            if (key.equals("user-agent") || key.equals("\ufeffuser-agent")) {
                if (inRules) {
                    forUs = false;
                    forAll = false;
                    inRules = false;
                }
                String token = value.replaceFirst("[/\\s].*", "");
                forUs |= token.equalsIgnoreCase(agent);
                forAll |= token.equals("*");
                named |= forUs;
            } else if (key.equals("allow") || key.equals("disallow")) {
                inRules = true;
                kept += value.length();
                if (!value.isEmpty() && kept <= MAX_RULES && (forUs || forAll)) {
                    Rule rule = new Rule(normal(value), key.equals("allow"));
                    if (forUs) {
                        ours.add(rule);
                    }
                    if (forAll) {
                        everyones.add(rule);
                    }
                }
            }
        }
        List<Rule> chosen = named ? ours : everyones;
        chosen.sort(Comparator.<Rule>comparingInt(rule -> rule.pattern().length())
                .reversed()
                .thenComparing(rule -> !rule.allow()));
        return new RobotsText(List.copyOf(chosen));
    }

    /**
     * Whether a path may be asked for.
     *
     * @param path with its query, as in the url
     */
    boolean allows(String path) {
        String normal = normal(path.isEmpty() ? "/" : path);
        for (Rule rule : rules) {
            if (fits(rule.pattern(), normal)) {
                return rule.allow();
            }
        }
        return true;
    }

    /** {@code *} stands for anything, {@code $} at the end for the end. One place to go back to, so time is bounded by the lengths' product. */
    private static boolean fits(String pattern, String path) {
        boolean whole = pattern.endsWith("$");
        int end = whole ? pattern.length() - 1 : pattern.length();
        int p = 0;
        int at = 0;
        int star = -1;
        int back = 0;
        while (true) {
            if (p == end && (!whole || at == path.length())) {
                return true;
            }
            if (p < end && pattern.charAt(p) == '*') {
                star = p++;
                back = at;
            } else if (p < end && at < path.length() && pattern.charAt(p) == path.charAt(at)) {
                p++;
                at++;
            } else if (star >= 0 && back < path.length()) {
                p = star + 1;
                at = ++back;
            } else {
                return false;
            }
        }
    }

    /** One spelling of what percent signs can write in several. */
    private static String normal(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        StringBuilder out = new StringBuilder(bytes.length);
        for (int i = 0; i < bytes.length; i++) {
            int value = bytes[i] & 0xFF;
            boolean escaped = value == '%'
                    && i + 2 < bytes.length
                    && Character.digit(bytes[i + 1], 16) >= 0
                    && Character.digit(bytes[i + 2], 16) >= 0;
            if (escaped) {
                value = 16 * Character.digit(bytes[i + 1], 16) + Character.digit(bytes[i + 2], 16);
                i += 2;
            }
            boolean plain = value >= 'a' && value <= 'z'
                    || value >= 'A' && value <= 'Z'
                    || value >= '0' && value <= '9'
                    || "-._~".indexOf(value) >= 0;
            if (plain || !escaped && value > ' ' && value < 0x7F) {
                out.append((char) value);
            } else {
                out.append(String.format(Locale.ROOT, "%%%02X", value));
            }
        }
        return out.toString();
    }
}
