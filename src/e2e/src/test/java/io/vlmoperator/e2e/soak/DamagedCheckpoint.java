package io.vlmoperator.e2e.soak;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** A bit flips in the newest checkpoint, or it loses its end or a file: an older one is used, and the damage is said by name. */
final class DamagedCheckpoint implements Scenario {
    @Override
    public String name() {
        return "damaged-checkpoint";
    }

    @Override
    public String claim() {
        return "a file of the newest checkpoint flipped, cut, emptied or gone: named and skipped, an older one is used;"
                + " same loss curve, same weights";
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        repetition.prepareReference();
        var random = repetition.random();
        long step = 3L * Lab.EVERY + random.nextLong(Lab.STEPS / 2);
        try (Attempt attempt = repetition.next()) {
            attempt.awaitStep(step);
            attempt.signal(0, "KILL");
            attempt.signal(1, "KILL");
            attempt.awaitEnd();
        }
        Run run = repetition.run();
        List<Long> saved = run.checkpoints();
        Run.require(saved.size() >= 2, "only " + saved + " are saved before step " + step);
        Path newest = run.folder().resolve("checkpoints/step-%09d".formatted(saved.getFirst()));
        List<Path> files;
        try (Stream<Path> all = Files.list(newest)) {
            files = all.filter(file -> !file.getFileName().toString().startsWith("."))
                    .sorted()
                    .toList();
        }
        Path victim = files.get(random.nextInt(files.size()));
        byte[] bytes = Files.readAllBytes(victim);
        boolean manifest = victim.getFileName().toString().startsWith("manifest-");
        int how = random.nextInt(manifest ? 2 : 4);
        String what;
        switch (how) {
            case 0 -> {
                Files.write(victim, java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length)));
                what = "cut";
            }
            case 1 -> {
                Files.write(victim, new byte[0]);
                what = "emptied";
            }
            case 2 -> {
                bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
                Files.write(victim, bytes);
                what = "one bit flipped";
            }
            default -> {
                Files.delete(victim);
                what = "deleted";
            }
        }
        try (Attempt again = repetition.next()) {
            again.mustComplete();
            Run.require(
                    again.said(
                            "checkpoint of step " + saved.getFirst() + " is skipped",
                            victim.getFileName().toString()),
                    "the damage of " + victim + " (" + what + ") is not named\n" + again.log());
            Run.require(
                    again.said("resumes after step " + saved.get(1)),
                    "it does not go on from step " + saved.get(1) + "\n" + again.log());
        }
        repetition.compare();
        return List.of(victim.getFileName() + " of step " + saved.getFirst() + " " + what + ", resumed after step "
                + saved.get(1));
    }
}
