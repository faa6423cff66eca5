package io.vlmoperator.local.node;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Stands in for the mount namespace that a process does not have. A container's mounts are links below a folder of its own; a path that
 * the container knows is turned into the path there.
 *
 * <p>The rule: a value is rewritten when the whole of it, or what follows the first {@code =} of {@code -flag=...}, is an absolute path
 * that equals one of the known paths (mount paths, {@code terminationMessagePath}), lies below one, or is a parent folder of one; except
 * {@code /} itself. Paths inside longer text are left alone.
 */
final class PathRewriter {
    private static final Pattern FLAG = Pattern.compile("(-[^=/\\s]+=)(/.*)", Pattern.DOTALL);

    private final Path root;
    private final List<Path> known;

    /**
     * @param root the container's own folder
     * @param known the absolute paths the container may rely on
     */
    PathRewriter(Path root, List<String> known) {
        this.root = root;
        this.known = known.stream().map(path -> Path.of(path).normalize()).toList();
    }

    /** Where a path of the container lies for the process; any absolute path is taken. */
    Path inRoot(String path) {
        return root.resolve(Path.of("/").relativize(Path.of(path).normalize()));
    }

    /** The value of a variable, or an argument, with its path rewritten if it is one. */
    String rewrite(String value) {
        if (value.startsWith("/")) {
            return rewritePath(value);
        }
        Matcher flag = FLAG.matcher(value);
        return flag.matches() ? flag.group(1) + rewritePath(flag.group(2)) : value;
    }

    private String rewritePath(String value) {
        if (value.indexOf('\0') >= 0 || value.indexOf('\n') >= 0) {
            return value;
        }
        Path path = Path.of(value).normalize();
        if (path.getNameCount() == 0 || path.startsWith(root)) { // a folder of this container already
            return value;
        }
        boolean concerns = known.stream().anyMatch(other -> path.startsWith(other) || other.startsWith(path));
        return concerns ? inRoot(value) + (value.endsWith("/") ? "/" : "") : value;
    }
}
