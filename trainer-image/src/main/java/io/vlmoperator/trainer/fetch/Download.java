package io.vlmoperator.trainer.fetch;

import io.vlmoperator.trainer.Json;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * One file on its way into a folder. What has come lies beside the target under a name that begins with a dot, and is gone on with after
 * any end, of the connection or of the program; the whole is compared with its digest and renamed.
 */
final class Download {
    private static final int PIECE = 1 << 18;

    private final RemoteFile file;
    private final Path target;
    private final Rules rules;
    private final FetchMeter meter;
    private boolean sizeTold;

    /**
     * @param file what is brought
     * @param target its final name
     * @param rules tries and pauses
     * @param meter hears of every byte
     */
    Download(RemoteFile file, Path target, Rules rules, FetchMeter meter) {
        this.file = file;
        this.target = target;
        this.rules = rules;
        this.meter = meter;
        this.sizeTold = file.size().isPresent();
    }

    /**
     * When to give up.
     *
     * @param tries in a row without one new byte
     * @param pause before the second try; doubled for each further one
     * @param longest pause
     */
    record Rules(int tries, Duration pause, Duration longest) {
        static final Rules DEFAULT = new Rules(6, Duration.ofSeconds(1), Duration.ofMinutes(1));
    }

    /** What was brought. */
    record Brought(long size, Optional<Digest> digest) {}

    /** A part of this file only: another origin or another content makes another name. */
    private Path part() {
        byte[] identity = (file.origin() + "\n" + file.digest() + "\n" + file.size()).getBytes(StandardCharsets.UTF_8);
        String key = HexFormat.of().formatHex(Json.sha256().digest(identity), 0, 8);
        return target.resolveSibling("." + target.getFileName() + "." + key + ".part");
    }

    /**
     * Brings the file.
     *
     * @throws FetchException why it can't be brought
     * @throws IOException when it can't be written
     */
    Brought run() throws IOException, InterruptedException {
        Files.createDirectories(target.getParent());
        Path part = part();
        Optional<Digest> digest = file.digest();
        boolean afresh = false;
        int failures = 0;
        long before = size(part);
        meter.found(before);
        while (true) {
            try {
                if (file.size().isEmpty() || size(part) != file.size().getAsLong()) {
                    Optional<Digest> told = transfer(part);
                    digest = file.digest().or(() -> told);
                }
                if (isWhole(part, digest)) {
                    long size = Files.size(part);
                    tellSize(OptionalLong.of(size));
                    Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                    return new Brought(size, digest);
                }
                throw FetchException.data(file.origin() + ": what came is not what was announced ("
                        + digest.map(Digest::toString).orElse("size " + file.size()) + ")");
            } catch (FetchException e) {
                long now = size(part);
                if (!e.again()) {
                    if (e.code() == io.vlmoperator.api.run.ExitCode.InvalidData) {
                        Files.deleteIfExists(part);
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

    private static long size(Path part) throws IOException {
        try {
            return Files.size(part);
        } catch (NoSuchFileException e) {
            return 0;
        }
    }

    private Optional<Digest> transfer(Path part) throws IOException {
        long have = size(part);
        if (file.size().isPresent() && have > file.size().getAsLong()) {
            Files.delete(part);
            meter.found(-have);
            have = 0;
        }
        try (RemoteFile.Body body = file.origin().open(have);
                FileChannel out = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            if (body.from() < have) {
                meter.found(body.from() - have);
            }
            long at = body.from();
            out.truncate(at).position(at);
            long limit = file.size().isPresent()
                    ? file.size().getAsLong()
                    : body.total().orElse(Long.MAX_VALUE);
            if (file.size().isPresent()
                    && body.total().isPresent()
                    && body.total().getAsLong() != limit) {
                throw FetchException.data(
                        file.origin() + " has " + body.total().getAsLong() + " bytes, " + limit + " were announced");
            }
            tellSize(body.total());
            byte[] piece = new byte[PIECE];
            for (int n = read(body.in(), piece, at); n > 0; n = read(body.in(), piece, at)) {
                if (at + n > limit) {
                    throw FetchException.data(file.origin() + " has more than the " + limit + " bytes announced");
                }
                ByteBuffer buffer = ByteBuffer.wrap(piece, 0, n);
                while (buffer.hasRemaining()) {
                    out.write(buffer);
                }
                at += n;
                meter.came(n);
            }
            OptionalLong whole = file.size().isPresent() ? file.size() : body.total();
            if (whole.isPresent() && at < whole.getAsLong()) {
                throw broken(at, null);
            }
            out.force(true);
            return body.digest();
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

    private boolean isWhole(Path there, Optional<Digest> digest) throws IOException {
        return isWhole(there, file.size(), digest, meter);
    }

    /** Whether a file has this size and content, as far as they are known. */
    static boolean isWhole(Path there, OptionalLong size, Optional<Digest> digest, FetchMeter meter)
            throws IOException {
        long has = Files.size(there);
        if (size.isPresent() && size.getAsLong() != has) {
            return false;
        }
        if (digest.isEmpty()) {
            return true;
        }
        MessageDigest computed = digest.get().begin(has);
        byte[] piece = new byte[PIECE];
        try (InputStream in = Files.newInputStream(there)) {
            for (int n = in.read(piece); n > 0; n = in.read(piece)) {
                computed.update(piece, 0, n);
                meter.worked();
            }
        }
        return digest.get().is(computed);
    }
}
