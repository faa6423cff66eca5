package io.vlmoperator.trainer.fetch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/**
 * Brings what a spec's {@code fetch} names. A folder is complete once its list {@value #LIST} is there, which is written last; work that
 * was ended anywhere goes on where it was.
 */
public final class Fetches {
    static final String LIST = "fetched.json";

    private static final int FORMAT = 1;
    private static final long MAX_LIST_BYTES = 512L << 20;
    private static final int AT_ONCE = 4;
    private static final Duration SAY_EVERY = Duration.ofSeconds(10);

    private final Locations locations;
    private final Hub hub;
    private final Http http;
    private final Download.Rules rules;
    private final Listener listener;

    /** Hears what happens. Called by several threads, but not at once while a download is told of. */
    @FunctionalInterface
    public interface Listener {
        /** A line for people. */
        void say(String line);

        /**
         * How far an entry is: every ten seconds as long as something is done, and at its end.
         *
         * @param etaSeconds until the entry is there; empty as long as nobody knows
         */
        default void far(FetchProgress progress, Optional<Long> etaSeconds) {}
    }

    /** One file that was brought. */
    record Item(String name, Long size, String digest) {}

    /** What lies in a folder, and of what it was made. */
    record Listing(Integer formatVersion, String entry, String source, List<Item> files) {
        Listing {
            files = files == null ? List.of() : List.copyOf(files);
        }
    }

    private Fetches(Locations locations, Hub hub, Http http, Download.Rules rules, Listener listener) {
        this.locations = locations;
        this.hub = hub;
        this.http = http;
        this.rules = rules;
        this.listener = listener;
    }

    /**
     * @param environment where {@code HF_ENDPOINT} and {@code HF_TOKEN} are looked for
     * @param listener hears how far the work is
     * @throws TrainerException InvalidConfiguration when the endpoint is no url
     */
    public static Fetches of(Locations locations, Map<String, String> environment, Listener listener) {
        return of(locations, environment, new Http(), Download.Rules.DEFAULT, listener);
    }

    static Fetches of(
            Locations locations, Map<String, String> environment, Http http, Download.Rules rules, Listener listener) {
        String endpoint = environment.getOrDefault("HF_ENDPOINT", "").strip().replaceFirst("/+$", "");
        Optional<String> token =
                Optional.of(environment.getOrDefault("HF_TOKEN", "").strip()).filter(text -> !text.isEmpty());
        if (token.isPresent() && token.get().chars().anyMatch(c -> c <= ' ' || c > '~')) {
            throw TrainerException.configuration("HF_TOKEN has characters that no token has");
        }
        try {
            URI uri = Http.uri(endpoint.isEmpty() ? Hub.DEFAULT_ENDPOINT : endpoint);
            return new Fetches(locations, new Hub(uri, token, http), http, rules, listener);
        } catch (FetchException e) {
            throw TrainerException.configuration("HF_ENDPOINT: " + e.getMessage());
        }
    }

    /** Identity of an entry: another origin or choice of files is another one. */
    private static String identity(Fetch fetch) {
        return Json.digest(fetch);
    }

    /** Whether all of it is there. */
    public boolean isDone(Fetch fetch) {
        return listing(locations.resolve(fetch.to()))
                .map(listing -> identity(fetch).equals(listing.entry()))
                .orElse(false);
    }

    /** How far the program is that brings it, in words; another text than a while ago means that something was done. */
    public Optional<String> news(Fetch fetch) {
        return UnderWay.news(locations.resolve(fetch.to()))
                .filter(news -> news.progress() != null)
                .map(news -> FetchMeter.line(news.progress()) + " (news " + news.beat() + " of " + news.run() + ")");
    }

    private static Optional<Listing> listing(Path folder) {
        Path file = folder.resolve(LIST);
        try {
            return Files.isRegularFile(file)
                    ? Optional.of(Json.read(file, MAX_LIST_BYTES, Listing.class))
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty(); // foreign or damaged: what lies there is looked at again
        }
    }

    /**
     * Brings one entry, unless it is there.
     *
     * @throws TrainerException InvalidConfiguration, InvalidData (not what was announced) or StorageFailed, with what to do; Terminated when
     *     interrupted
     */
    public void bring(Fetch fetch) {
        Path folder = locations.resolve(fetch.to());
        UnderWay underWay = new UnderWay(folder);
        try {
            if (isDone(fetch)) {
                listener.say(fetch.to() + ": " + LIST + " is there, nothing is fetched");
                underWay.clear(); // a program that ended just after the list was written has left it
                return;
            }
            FetchList list = retried(() -> FetchList.of(fetch, locations, hub, http));
            underWay.prepare(list.files().stream().map(Download::key).collect(Collectors.toSet()));
            List<Item> items = bring(list, folder, underWay);
            Listing listing = new Listing(FORMAT, identity(fetch), list.source(), items);
            write(folder.resolve(LIST), Json.bytes(listing));
            underWay.clear();
            listener.say(fetch.to() + ": " + items.size() + " files of " + list.source() + " are there");
        } catch (FetchException e) {
            throw new TrainerException(e.code(), "fetching to " + fetch.to() + ": " + e.getMessage(), e);
        } catch (IOException e) {
            throw TrainerException.storage("fetching to " + fetch.to() + ": " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while fetching to " + fetch.to(), e);
        }
    }

    private interface Attempt<T> {
        T run() throws IOException;
    }

    private <T> T retried(Attempt<T> attempt) throws IOException, InterruptedException {
        for (int failures = 1; ; failures++) {
            try {
                return attempt.run();
            } catch (FetchException e) {
                if (!e.again() || failures >= rules.tries()) {
                    throw e;
                }
                long pause = Math.min(
                        rules.pause().toMillis() << Math.min(failures - 1, 20),
                        rules.longest().toMillis());
                Thread.sleep(Math.max(e.pause().toMillis(), pause));
            }
        }
    }

    static void write(Path file, byte[] content) throws IOException {
        Path temporary = file.resolveSibling("." + file.getFileName() + ".tmp");
        try {
            Files.write(temporary, content);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private List<Item> bring(FetchList list, Path folder, UnderWay underWay) throws IOException, InterruptedException {
        Files.createDirectories(folder);
        // Until it is complete again, nobody may take the folder for complete.
        Files.deleteIfExists(folder.resolve(LIST));
        FetchMeter meter = new FetchMeter(list, SAY_EVERY, System::nanoTime, (progress, eta) -> {
            listener.say(FetchMeter.line(progress));
            listener.far(progress, eta);
            tell(underWay, progress);
        });
        meter.begin();
        List<Item> items = new ArrayList<>();
        ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE);
        try {
            ExecutorCompletionService<Item> pending = new ExecutorCompletionService<>(threads);
            for (RemoteFile file : list.files()) {
                pending.submit(() -> bring(file, folder, meter));
            }
            for (int i = 0; i < list.files().size(); i++) {
                items.add(pending.take().get());
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new IllegalStateException(e.getCause());
        } finally {
            threads.shutdownNow();
            threads.close();
        }
        items.sort(java.util.Comparator.comparing(Item::name));
        return items;
    }

    private void tell(UnderWay underWay, FetchProgress progress) {
        try {
            underWay.tell(progress);
        } catch (IOException | TrainerException e) {
            listener.say("those who wait could not be told how far it is: " + e.getMessage());
        }
    }

    private Item bring(RemoteFile file, Path folder, FetchMeter meter) throws IOException, InterruptedException {
        Path target = folder.resolve(file.name());
        if (Files.isRegularFile(target)
                && (file.digest().isPresent() || file.size().isPresent())
                && Contents.are(target, file.size(), file.digest(), meter)) {
            long size = Files.size(target);
            meter.found(size);
            meter.file();
            return new Item(file.name(), size, text(file.digest()));
        }
        Download.Brought brought = new Download(file, folder, rules, meter).run();
        meter.file();
        return new Item(file.name(), brought.size(), text(brought.digest()));
    }

    private static String text(Optional<Digest> digest) {
        return digest.map(Digest::toString).orElse(null);
    }
}
