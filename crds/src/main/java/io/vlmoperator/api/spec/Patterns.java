package io.vlmoperator.api.spec;

import java.util.Map;
import java.util.Optional;

/**
 * The forms of strings in a spec, and what to write instead when one does not match. A pattern with a message becomes a CEL rule in the
 * CRD, because a failing {@code pattern} would show people nothing but the expression. RE2 and Java read all of them alike.
 */
public final class Patterns {
    private static final String ORDINARY = "/\\x00-\\x20\\x7f*?{}\\[\\]\\\\\\x22\\x27<>|";
    private static final String RANGE = "\\{[0-9]{1,12}\\.\\.[0-9]{1,12}\\}";
    private static final String PATH = "(/\\.?[^." + ORDINARY + "][^" + ORDINARY + "]*)+/?";
    private static final String PATHS = "(/\\.?([^." + ORDINARY + "]|\\*|" + RANGE + ")[^" + ORDINARY + "]*((\\*|"
            + RANGE + ")[^" + ORDINARY + "]*)*)+";
    private static final String CLAIM = "pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?";
    private static final String BUCKET = "s3://[a-z0-9][a-z0-9.-]*[a-z0-9]";
    private static final String STORES = "^(" + CLAIM + "|" + BUCKET + ")";
    private static final String STORES_OR_FILES = "^(" + CLAIM + "|" + BUCKET + "|file://)";

    /** One folder or file. A segment of a path begins with at most one dot, so that {@code .} and {@code ..} can't be written. */
    public static final String LOCATION = STORES + PATH + "$";

    /** One or more files: {@code *} and number ranges such as <code>{00000..01302}</code> are allowed. */
    public static final String LOCATIONS = STORES + PATHS + "$";

    /** A resource of this API: its children are called NAME-KIND-ATTEMPT, and a Service's name begins with a letter. */
    public static final String RESOURCE_NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$";

    /** An object of Kubernetes. */
    public static final String OBJECT_NAME = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

    /** A name that people choose for a source or a benchmark; it becomes part of file names. */
    public static final String FREE_NAME = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";

    public static final String ENVIRONMENT_NAME = "^[A-Za-z_][A-Za-z0-9_]*$";
    public static final String QUALIFIED_NAME =
            "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
    public static final String LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
    public static final String QUANTITY =
            "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?$";
    public static final String URL = "^https?://[^\\x00-\\x20\\x22\\x27<>\\\\]+$";
    public static final String REPOSITORY = "^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$";
    public static final String REVISION = "^[A-Za-z0-9][A-Za-z0-9_./-]*$";
    public static final String SHA256 = "^[0-9a-fA-F]{64}$";
    public static final String COLUMN = "^[A-Za-z_][-A-Za-z0-9_. ]*$";
    public static final String INTERFACE = "^[A-Za-z0-9][-A-Za-z0-9_.]*$";

    /** What the name of a resource of this API must be. */
    public static final String RESOURCE_NAME_MESSAGE =
            "metadata.name: at most 40 lower-case letters, digits and -, beginning with a letter and ending with a letter or digit"
                    + " (children are called NAME-KIND-ATTEMPT)";

    static final String LOCATION_MESSAGE =
            "write pvc://CLAIM/path or s3://bucket/key, such as pvc://data/packed; no segment of the path"
                    + " may begin with '..', and *, {}, spaces and quotes are not allowed here";
    static final String LOCATIONS_MESSAGE =
            "write pvc://CLAIM/path or s3://bucket/key, such as pvc://data/ccs/{00000..01302}.tar or"
                    + " pvc://data/ccs/*.tar; no segment of the path may begin with '..', and spaces and quotes are not allowed";

    private static final Map<String, String> MESSAGES = Map.of(
            LOCATION,
            LOCATION_MESSAGE,
            LOCATIONS,
            LOCATIONS_MESSAGE,
            RESOURCE_NAME,
            "write lower-case letters, digits and -, beginning with a letter and ending with a letter or digit",
            OBJECT_NAME,
            "write the name of a Kubernetes object: lower-case letters, digits, - and .",
            FREE_NAME,
            "write letters, digits, -, _ and ., beginning and ending with a letter or digit",
            ENVIRONMENT_NAME,
            "write letters, digits and _, not beginning with a digit",
            URL,
            "write the base url of a server, such as http://vllm.models.svc:8000/v1");

    private Patterns() {}

    /** What to write instead of a string that does not match; empty for patterns that speak for themselves. */
    public static Optional<String> message(String pattern) {
        return Optional.ofNullable(MESSAGES.get(pattern));
    }

    /** The same pattern with {@code file:///path} allowed, for runs without Kubernetes. */
    static String withFiles(String pattern) {
        return pattern.startsWith(STORES) ? STORES_OR_FILES + pattern.substring(STORES.length()) : pattern;
    }
}
