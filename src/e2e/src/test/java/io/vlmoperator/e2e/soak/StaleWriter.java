package io.vlmoperator.e2e.soak;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * An attempt is frozen, another takes its place, the old one wakes up: it must end and change nothing, whether the new one is still at
 * work or done.
 */
final class StaleWriter implements Scenario {
    private static final int PEER_LOST = 162;
    private static final int LATE = 163;
    private static final int FENCED = 164;

    @Override
    public String name() {
        return "stale-writer";
    }

    @Override
    public String claim() {
        return "an attempt wakes up after its replacement has begun or is done: it ends by 163 or 164 and changes no checkpoint,"
                + " no record, no event file";
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        repetition.prepareReference();
        var random = repetition.random();
        boolean afterwards = random.nextBoolean();
        boolean saving = random.nextBoolean();
        long step = 1 + random.nextLong(Lab.STEPS - 10);
        if (saving) {
            step = Math.ceilDiv(step, Lab.EVERY) * (long) Lab.EVERY;
        }
        long pause = random.nextLong(saving ? 60 : 20);
        Attempt old = repetition.next();
        old.awaitStep(step);
        Thread.sleep(pause);
        old.signal(0, "STOP");
        old.signal(1, "STOP");
        Attempt replacement = repetition.next();
        String when;
        if (afterwards) {
            replacement.mustComplete();
            Map<String, String> before = repetition.run().snapshot();
            wake(old);
            int[] codes = requireFenced(old);
            Run.require(
                    repetition.run().snapshot().equals(before),
                    "the old attempt changed "
                            + difference(before, repetition.run().snapshot()) + "\n" + old.log());
            when = "after the end of its replacement: " + Arrays.toString(codes);
        } else {
            long meeting = 1 + random.nextLong(Lab.STEPS - 5);
            replacement.awaitStep(meeting);
            wake(old);
            int[] codes = requireFenced(old);
            replacement.mustComplete();
            when = "when its replacement had done step " + meeting + ": " + Arrays.toString(codes);
        }
        repetition.compare();
        return List.of("frozen at step " + step + (saving ? ", saving" : "") + ", woke up " + when);
    }

    private static void wake(Attempt old) throws Exception {
        old.signal(0, "CONT");
        old.signal(1, "CONT");
    }

    private static int[] requireFenced(Attempt old) throws Exception {
        int[] codes = old.awaitEnd();
        boolean named = false;
        for (int code : codes) {
            named |= code == LATE || code == FENCED;
            Run.require(
                    code == LATE || code == FENCED || code == PEER_LOST,
                    "the old attempt ended with " + Arrays.toString(codes) + "\n" + old.log());
        }
        Run.require(named, "no rank of the old attempt says why: " + Arrays.toString(codes) + "\n" + old.log());
        return codes;
    }

    private static String difference(Map<String, String> before, Map<String, String> after) {
        StringBuilder text = new StringBuilder();
        after.forEach((name, digest) -> {
            if (!digest.equals(before.get(name))) {
                text.append(name).append(before.containsKey(name) ? " (changed) " : " (new) ");
            }
        });
        before.keySet().stream()
                .filter(name -> !after.containsKey(name))
                .forEach(name -> text.append(name).append(" (gone) "));
        return text.toString();
    }
}
