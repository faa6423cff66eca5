package io.vlmoperator.trainer.fetch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.OptionalLong;

/** One file beside the target, under a name that begins with a dot: of a target on a disk. */
final class FileLanding implements Landing {
    private final Path part;
    private final Path target;
    private final FetchMeter meter;
    private FileChannel out;

    FileLanding(Path part, Path target, FetchMeter meter) {
        this.part = part;
        this.target = target;
        this.meter = meter;
    }

    @Override
    public long size() throws IOException {
        try {
            return Files.size(part);
        } catch (NoSuchFileException e) {
            return 0;
        }
    }

    @Override
    public void begin(Optional<Digest> digest, OptionalLong size) throws IOException {
        if (out == null) {
            out = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            out.position(out.size());
        }
    }

    @Override
    public void add(byte[] bytes, int count) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, count);
        while (buffer.hasRemaining()) {
            out.write(buffer);
        }
    }

    @Override
    public void end() throws IOException {
        if (out != null) {
            try (FileChannel closing = out) {
                out = null;
                closing.force(true);
            }
        }
    }

    @Override
    public boolean is(OptionalLong size, Optional<Digest> digest) throws IOException {
        return Contents.are(part, size, digest, meter);
    }

    @Override
    public void publish() throws IOException {
        Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    @Override
    public void discard() throws IOException {
        end();
        Files.deleteIfExists(part);
    }
}
