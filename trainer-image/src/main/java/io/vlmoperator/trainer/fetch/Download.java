package io.vlmoperator.trainer.fetch;

import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * One file on its way into a folder. What has come is gone on with after any end, of the connection or of the program; the whole is
 * compared with its digest and gets its final name.
 */
final class Download {
    private static final int PIECE = 1 << 18;

    private final RemoteFile file;
    private final Rules rules;
    private final FetchMeter meter;
    private final Landing landing;
    private boolean sizeTold;

    /**
     * @param file what is brought
     * @param folder that it is brought to
     * @param rules tries and pauses
     * @param meter hears of every byte
     */
    Download(RemoteFile file, Path folder, Rules rules, FetchMeter meter) throws IOException {
        this.file = file;
        this.rules = rules;
        this.meter = meter;
        this.sizeTold = file.size().isPresent();
        Path target = folder.resolve(file.name());
        Files.createDirectories(target.getParent());
        this.landing = Buckets.isRemote(target)
                ? new BucketLanding(folder.resolve(UnderWay.NAME), key(file), target, rules.piece(), file.size(), meter)
                : new FileLanding(
                        target.resolveSibling("." + target.getFileName() + "." + key(file) + ".part"), target, meter);
    }

    /**
     * When to give up.
     *
     * @param tries in a row without one new byte
     * @param pause before the second try; doubled for each further one
     * @param longest pause
     * @param piece bytes of a piece on its way into a bucket
     */
    record Rules(int tries, Duration pause, Duration longest, long piece) {
        static final Rules DEFAULT = new Rules(6, Duration.ofSeconds(1), Duration.ofMinutes(1), 16L << 20);
    }

    /** What was brought. */
    record Brought(long size, Optional<Digest> digest) {}

    /** Of this file only: another origin or another content has another one. */
    static String key(RemoteFile file) {
        byte[] identity = (file.name() + "\n" + file.origin() + "\n" + file.digest() + "\n" + file.size())
                .getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(Json.sha256().digest(identity), 0, 8);
    }

    /**
     * Brings the file.
     *
     * @throws FetchException why it can't be brought
     * @throws IOException when it can't be written
     */
    Brought run() throws IOException, InterruptedException {
        Optional<Digest> digest = file.digest();
        boolean afresh = false;
        int failures = 0;
        long before = landing.size();
        meter.found(before);
        while (true) {
            try {
                if (file.size().isEmpty() || landing.size() != file.size().getAsLong()) {
                    Optional<Digest> told = transfer();
                    digest = file.digest().or(() -> told);
                }
                if (landing.is(file.size(), digest)) {
                    long size = landing.size();
                    tellSize(OptionalLong.of(size));
                    landing.publish();
                    return new Brought(size, digest);
                }
                throw FetchException.data(file.origin() + ": what came is not what was announced ("
                        + digest.map(Digest::toString).orElse("size " + file.size()) + ")");
            } catch (FetchException e) {
                long now = landing.size();
                if (!e.again()) {
                    if (e.code() == io.vlmoperator.api.run.ExitCode.InvalidData) {
                        landing.discard();
                        meter.found(-now);
                    }
                    // What had come before may have been damaged, or of another content: once, everything is asked for
                    // again.
                    if (e.code() != io.vlmoperator.api.run.ExitCode.InvalidData || afresh) {
                        throw e;
                    }
                    afresh = true;
                    before = 0;
                    continue;
                }
                failures = now > before ? 1 : failures + 1;
                before = now;
                if (failures >= rules.tries()) {
                    throw FetchException.passing(
                            e.getMessage() + " (" + rules.tries() + " times in a row, at byte " + now + ")",
                            Duration.ZERO,
                            e);
                }
                pause(e.pause(), failures);
            }
        }
    }

    private void tellSize(OptionalLong size) {
        if (!sizeTold && size.isPresent()) {
            sizeTold = true;
            meter.size(size.getAsLong());
        }
    }

    private void pause(Duration asked, int failures) throws InterruptedException {
        meter.worked();
        long doubled = rules.pause().toMillis() << Math.min(failures - 1, 20);
        long pause = Math.min(doubled, rules.longest().toMillis());
        Thread.sleep(Math.max(asked.toMillis(), pause));
    }

    private Optional<Digest> transfer() throws IOException {
        long have = landing.size();
        if (file.size().isPresent() && have > file.size().getAsLong()) {
            have = forget(have);
        }
        landing.begin(file.digest(), file.size()); // before the origin waits to be read
        try (RemoteFile.Body body = file.origin().open(have)) {
            if (body.from() == 0 && have > 0) {
                have = forget(have);
            }
            if (body.from() != have) {
                throw FetchException.passing(
                        file.origin() + " was asked for the bytes from " + have + " on and sends those from "
                                + body.from() + " on",
                        Duration.ZERO,
                        null);
            }
            landing.begin(file.digest().or(body::digest), file.size().isPresent() ? file.size() : body.total());
            receive(body, have);
            return body.digest();
        } finally {
            landing.end();
        }
    }

    private long forget(long have) throws IOException {
        landing.discard();
        meter.found(-have);
        return 0;
    }

    private void receive(RemoteFile.Body body, long from) throws IOException {
        long limit =
                file.size().isPresent() ? file.size().getAsLong() : body.total().orElse(Long.MAX_VALUE);
        if (file.size().isPresent() && body.total().isPresent() && body.total().getAsLong() != limit) {
            throw FetchException.data(
                    file.origin() + " has " + body.total().getAsLong() + " bytes, " + limit + " were announced");
        }
        tellSize(body.total());
        byte[] piece = new byte[PIECE];
        long at = from;
        for (int n = read(body.in(), piece, at); n > 0; n = read(body.in(), piece, at)) {
            if (at + n > limit) {
                throw FetchException.data(file.origin() + " has more than the " + limit + " bytes announced");
            }
            landing.add(piece, n);
            at += n;
            meter.came(n);
        }
        OptionalLong whole = file.size().isPresent() ? file.size() : body.total();
        if (whole.isPresent() && at < whole.getAsLong()) {
            throw broken(at, null);
        }
    }

    private int read(InputStream in, byte[] piece, long at) throws FetchException {
        try {
            return in.read(piece);
        } catch (IOException e) {
            throw broken(at, e);
        }
    }

    private FetchException broken(long at, IOException e) {
        String reason = e == null ? "" : ": " + Http.cut(String.valueOf(e.getMessage()));
        return FetchException.passing(file.origin() + " broke off at byte " + at + reason, Duration.ZERO, e);
    }
}
