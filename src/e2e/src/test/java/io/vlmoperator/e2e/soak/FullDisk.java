package io.vlmoperator.e2e.soak;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The file system of the run is full when a checkpoint is to be written; with room again the run goes on. Needs root for a mount. */
final class FullDisk implements Scenario {
    private static final int STORAGE_FAILED = 66;
    private static final int PEER_LOST = 162;
    private static final int MEGABYTES = 24;
    private static final int UNMOUNT_TRIES = 120;

    @Override
    public String name() {
        return "full-disk";
    }

    @Override
    public String claim() {
        return "a full file system: exit 66 with the reason, nothing half written; with room again same loss curve, same weights";
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        repetition.prepareReference();
        Path mount = Files.createDirectories(repetition.claim());
        if (!mounted(mount)) {
            throw new Skipped("a tmpfs can't be mounted at " + mount + ": run it as root");
        }
        try (repetition) {
            long step = 1 + repetition.random().nextLong(Lab.STEPS / 2);
            Path ballast = mount.resolve("ballast");
            int[] codes;
            try (Attempt attempt = repetition.next()) {
                attempt.awaitStep(step);
                fill(ballast);
                codes = attempt.awaitEnd();
                boolean named = Arrays.stream(codes).anyMatch(code -> code == STORAGE_FAILED);
                Run.require(
                        named && Arrays.stream(codes).allMatch(code -> code == STORAGE_FAILED || code == PEER_LOST),
                        "on a full disk it ended with " + Arrays.toString(codes) + "\n" + attempt.log());
                Run.require(
                        attempt.log().toLowerCase(java.util.Locale.ROOT).contains("no space left"),
                        "the reason is not said\n" + attempt.log());
            }
            repetition.run().requireWholeCheckpoints();
            Files.delete(ballast);
            repetition.completeAndCompare();
            return List.of("full from step " + step + ": " + Arrays.toString(codes));
        } finally {
            unmount(mount);
        }
    }

    private static boolean mounted(Path mount) throws Exception {
        return command("mount", "-t", "tmpfs", "-o", "size=" + MEGABYTES + "m", "tmpfs", mount.toString());
    }

    /** All processes have ended; the kernel may need a moment all the same. */
    private static void unmount(Path mount) throws Exception {
        for (int i = 0; i < UNMOUNT_TRIES; i++) {
            if (command("umount", mount.toString())) {
                return;
            }
            Thread.sleep(500);
        }
        throw new IOException(mount + " is still busy; unmount it by hand: umount " + mount);
    }

    private static boolean command(String... words) throws Exception {
        Process process = new ProcessBuilder(words)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        return process.waitFor(60, TimeUnit.SECONDS) && process.exitValue() == 0;
    }

    /** Takes all room that is left, to the last block. */
    private static void fill(Path ballast) throws IOException {
        try (FileChannel channel = FileChannel.open(ballast, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            java.nio.ByteBuffer block = java.nio.ByteBuffer.allocate(1 << 16);
            while (true) {
                block.clear();
                channel.write(block);
            }
        } catch (IOException full) {
            if (!String.valueOf(full.getMessage()).contains("No space left")) {
                throw full;
            }
        }
    }
}
