package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * One file of a source: a tar of captions, a file of conversations or of documents.
 *
 * @param location the same in every pod and on every machine; part of the uid of samples that bring none
 * @param images folder that image paths are relative to
 * @param imagesLocation location of that folder; empty for tars
 * @param indexName file name of its index
 * @param download what makes the tar, of a source of urls
 */
record Shard(
        int number,
        String source,
        Form form,
        Path path,
        String location,
        Optional<Path> images,
        String imagesLocation,
        String indexName,
        Optional<UrlDownload> download) {
    /** What the samples are. */
    enum Form {
        Captions,
        Conversations,
        /** Documents of several images and texts. */
        Interleaved
    }

    /**
     * The shards of all sources, in order.
     *
     * @param output location of the Dataset; downloads lie under it
     * @throws TrainerException InvalidConfiguration for what this version does not read, mixed forms, or a file listed twice; InvalidData
     *     for files that are missing
     */
    static List<Shard> list(List<Source> sources, Locations locations, String output) {
        if (sources.isEmpty()) {
            throw TrainerException.configuration("the Dataset has no sources; name at least one");
        }
        List<Shard> shards = new ArrayList<>();
        Set<String> names = new HashSet<>();
        Set<Path> seen = new HashSet<>();
        for (int s = 0; s < sources.size(); s++) {
            Source source = sources.get(s);
            String name = source.name() == null ? "source-" + (s + 1) : source.name();
            if (!names.add(name)) {
                throw TrainerException.configuration("two sources are called " + name + "; give each its own name");
            }
            if (source.urlList() != null) {
                downloads(source.urlList(), name, locations, output, shards);
                continue;
            }
            Form form = form(source, name);
            String location = switch (form) {
                case Captions -> source.webDataset().location();
                case Conversations -> source.conversations().location();
                case Interleaved -> source.interleaved().location();
            };
            String imagesLocation = Optional.ofNullable(
                            switch (form) {
                                case Captions -> null;
                                case Conversations -> source.conversations().images();
                                case Interleaved -> source.interleaved().images();
                            })
                    .orElse("");
            Optional<Path> images =
                    imagesLocation.isEmpty() ? Optional.empty() : Optional.of(locations.resolve(imagesLocation));
            Path root = root(location, locations);
            for (Path path : locations.expand(location)) {
                if (!seen.add(path)) {
                    throw TrainerException.configuration(path + " is listed twice by the sources");
                }
                requireInside(path, root, location);
                String exact = location.startsWith("pvc://")
                        ? claim(location) + "/" + root.relativize(path)
                        : Locations.fileLocation(path);
                shards.add(new Shard(
                        shards.size(),
                        name,
                        form,
                        path,
                        exact,
                        images,
                        imagesLocation,
                        indexName(name, shards.size(), path),
                        Optional.empty()));
            }
        }
        if (shards.stream().map(Shard::form).distinct().count() > 1) {
            throw TrainerException.configuration(
                    "captions, conversations and documents in one Dataset; make one of each and name them in the job's data");
        }
        return List.copyOf(shards);
    }

    /** Whether the file is there: a tar of downloads with the list's newest state. */
    boolean isThere(Duck duck) throws IOException {
        return download.isEmpty() || download.get().isDone(duck);
    }

    private static void downloads(
            Source.UrlList urls, String name, Locations locations, String output, List<Shard> shards) {
        String folder = output.replaceFirst("/+$", "") + "/downloads/" + name + "/";
        int number = 0;
        for (Path list : locations.expand(urls.location())) {
            long rows = UrlDownload.rows(urls, list, locations.resolve(folder).resolve(".spill-urls"));
            for (long first = 0; first < rows; first += UrlDownload.ROWS, number++) {
                String location = folder + "%08d.tar".formatted(number);
                Path tar = locations.resolve(location);
                shards.add(new Shard(
                        shards.size(),
                        name,
                        Form.Captions,
                        tar,
                        location,
                        Optional.empty(),
                        "",
                        indexName(name, shards.size(), tar),
                        Optional.of(new UrlDownload(urls, list, first, tar))));
            }
        }
        if (number == 0) {
            throw TrainerException.data("the lists of urls of source " + name + " have no row");
        }
    }

    private static Form form(Source source, String name) {
        if (source.webDataset() != null) {
            return Form.Captions;
        }
        if (source.conversations() != null) {
            return Form.Conversations;
        }
        if (source.interleaved() != null) {
            return Form.Interleaved;
        }
        throw TrainerException.configuration(
                "source " + name + " names nothing; use webDataset, urlList, conversations or interleaved");
    }

    /** {@code pvc://CLAIM} or {@code s3://BUCKET} of a location: both are six letters and a name. */
    private static String claim(String location) {
        int slash = location.indexOf('/', "pvc://".length());
        return slash < 0 ? location : location.substring(0, slash);
    }

    private static Path root(String location, Locations locations) {
        return location.startsWith("file:") ? Path.of("/") : locations.resolve(claim(location));
    }

    /** A link may not lead out of the claim. */
    private static void requireInside(Path path, Path root, String location) {
        try {
            if (!path.toRealPath().startsWith(root.toRealPath())) {
                throw TrainerException.configuration(
                        path + " is a link that leads out of " + claim(location) + "; put the file itself there");
            }
            if (!Files.isRegularFile(path)) {
                throw TrainerException.data(path + " is no file");
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't look at " + path + ": " + e, e);
        }
    }

    private static String indexName(String source, int number, Path path) {
        String base = path.getFileName().toString().replaceAll("\\.(tar|json|jsonl)$", "");
        String name = "%s-%05d-%s".formatted(source, number, base).replaceAll("[^A-Za-z0-9._-]", "_");
        return (name.length() <= 150 ? name : name.substring(0, 150)) + ".parquet";
    }
}
