package io.vlmoperator.trainer.fetch;

import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.net.URI;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.PatternSyntaxException;

/**
 * Which files an entry of a spec means.
 *
 * @param source for the list that is written last: repository and commit, or the folder
 */
record FetchList(String source, List<RemoteFile> files) {
    private static final int MAX_FILES = 1_000_000;
    private static final int MAX_DEPTH = 32;

    /** Asks the origin. */
    static FetchList of(Fetch fetch, Locations locations, Hub hub, Http http) throws IOException {
        if (fetch.huggingFace() != null) {
            Hub.Revision revision = hub.files(fetch.huggingFace());
            return checked(
                    fetch.huggingFace().repository() + "@" + revision.commit(),
                    wanted(revision.files(), fetch.huggingFace().files()));
        }
        if (fetch.urls() != null) {
            List<RemoteFile> files = new ArrayList<>();
            for (Fetch.Url url : fetch.urls()) {
                files.add(url(url, http));
            }
            return checked("urls", files);
        }
        Path folder = locations.resolve(fetch.folder().location());
        List<RemoteFile> files = new ArrayList<>();
        walk(folder, "", 0, files);
        return checked(fetch.folder().location(), wanted(files, fetch.folder().files()));
    }

    private static FetchList checked(String source, List<RemoteFile> files) throws FetchException {
        if (files.isEmpty()) {
            throw FetchException.configuration(source + " has no file that is wanted; correct files, or the name");
        }
        Set<String> names = new HashSet<>();
        for (RemoteFile file : files) {
            if (!isSafe(file.name())) {
                throw FetchException.data(
                        source + ": '" + Http.cut(file.name()) + "' is no name of a file in a folder");
            }
            if (isOurs(file.name())) {
                throw FetchException.configuration(source + ": " + file.name() + " is the name of a list that is made"
                        + " here; give the file another name");
            }
            if (!names.add(file.name())) {
                throw FetchException.configuration(
                        source + ": two files would be called " + file.name() + "; give names");
            }
        }
        return new FetchList(source, List.copyOf(files));
    }

    /** Relative, and without a part that climbs; parts that begin with a dot are names of files on their way. */
    static boolean isSafe(String name) {
        if (name.isEmpty() || name.length() > 1024 || name.chars().anyMatch(c -> c < ' ' || c == '\\' || c == 127)) {
            return false;
        }
        for (String part : name.split("/", -1)) {
            if (part.isEmpty() || part.startsWith(".")) {
                return false;
            }
        }
        return true;
    }

    /** What an earlier fetch has left in the folder that is copied is about that folder and not about the copy. */
    private static boolean isOurs(String name) {
        return name.equals(Fetches.LIST) || name.equals(UnderWay.NAME) || name.startsWith(UnderWay.NAME + "/");
    }

    private static List<RemoteFile> wanted(List<RemoteFile> files, List<String> patterns) throws FetchException {
        List<PathMatcher> matchers = new ArrayList<>();
        for (String pattern : patterns) {
            try {
                matchers.add(FileSystems.getDefault().getPathMatcher("glob:" + pattern));
            } catch (PatternSyntaxException e) {
                throw FetchException.configuration("files: '" + pattern + "' is no pattern: " + e.getDescription());
            }
        }
        return files.stream()
                .filter(file -> !hasDot(file.name()) && !isOurs(file.name()))
                .filter(file -> matchers.isEmpty()
                        || file.name().indexOf('\0') < 0
                                && matchers.stream().anyMatch(m -> m.matches(Path.of(file.name()))))
                .toList();
    }

    /** {@code .gitattributes} and its like; {@code ..} is no such name and is refused. */
    private static boolean hasDot(String name) {
        for (String part : name.split("/", -1)) {
            if (part.startsWith(".") && !part.equals("..") && !part.equals(".")) {
                return true;
            }
        }
        return false;
    }

    private static RemoteFile url(Fetch.Url url, Http http) throws FetchException {
        URI uri = Http.uri(url.url());
        String path = Optional.ofNullable(uri.getPath()).orElse("");
        String name = url.name() == null ? path.substring(path.lastIndexOf('/') + 1) : url.name();
        if (name.isEmpty()) {
            throw FetchException.configuration(url.url() + ": its path has no last part; give a name");
        }
        Digest digest = new Digest(Digest.Kind.SHA256, url.sha256());
        return new RemoteFile(name, OptionalLong.empty(), Optional.of(digest), new RemoteFile.Origin() {
            @Override
            public RemoteFile.Body open(long from) throws IOException {
                return http.get(uri, Optional.empty(), from, (status, code, message) -> Optional.empty());
            }

            @Override
            public String toString() {
                return url.url();
            }
        });
    }

    private static void walk(Path folder, String prefix, int depth, List<RemoteFile> files) throws IOException {
        if (depth > MAX_DEPTH) {
            throw FetchException.data(folder + ": more than " + MAX_DEPTH + " folders in each other");
        }
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                String name = prefix + entry.getFileName();
                if (entry.getFileName().toString().startsWith(".")) {
                    continue;
                }
                BasicFileAttributes attributes = Files.readAttributes(entry, BasicFileAttributes.class);
                if (attributes.isDirectory()) {
                    walk(entry, name + "/", depth + 1, files);
                } else {
                    files.add(stored(entry, name, attributes));
                }
                if (files.size() > MAX_FILES) {
                    throw FetchException.data(folder + ": more than " + MAX_FILES + " files");
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            throw FetchException.configuration(folder + " is no folder, or is empty");
        }
    }

    private static RemoteFile stored(Path file, String name, BasicFileAttributes attributes) {
        String tag =
                Buckets.isRemote(file) ? String.valueOf(attributes.fileKey()).replace("\"", "") : "";
        Optional<Digest> digest =
                tag.matches("[0-9a-f]{32}") ? Optional.of(new Digest(Digest.Kind.MD5, tag)) : Optional.empty();
        OptionalLong size = OptionalLong.of(attributes.size());
        return new RemoteFile(name, size, digest, new RemoteFile.Origin() {
            @Override
            public RemoteFile.Body open(long from) throws IOException {
                FileChannel channel = FileChannel.open(file);
                return new RemoteFile.Body(
                        Channels.newInputStream(channel.position(from)), from, size, Optional.empty());
            }

            @Override
            public String toString() {
                return Locations.fileLocation(file);
            }
        });
    }
}
