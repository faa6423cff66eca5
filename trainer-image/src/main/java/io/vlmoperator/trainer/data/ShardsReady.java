package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Which shards are done with, by whichever pod: what is in storage says it. */
final class ShardsReady {
    private final List<Shard> shards;
    private final Test test;
    private final Set<Integer> ready = new HashSet<>();

    /** Whether a shard is done with. */
    interface Test {
        boolean isReady(Duck duck, Shard shard) throws IOException;
    }

    ShardsReady(List<Shard> shards, Test test) {
        this.shards = shards;
        this.test = test;
    }

    int total() {
        return shards.size();
    }

    /** Looks at those that were not ready, and counts all that are. */
    long look(Duck duck) throws IOException {
        for (Shard shard : shards) {
            if (!isReady(shard) && test.isReady(duck, shard)) {
                done(shard);
            }
        }
        return count();
    }

    boolean isReady(Shard shard) {
        return ready.contains(shard.number());
    }

    void done(Shard shard) {
        ready.add(shard.number());
    }

    /** Those that were ready when last looked at. */
    long count() {
        return ready.size();
    }

    /** The first that is not ready, and how many are not; for messages. */
    String missing(int pods) {
        return shards.stream()
                .filter(shard -> !isReady(shard))
                .findFirst()
                .map(shard -> shard.indexName() + " (worker " + shard.number() % pods + "), "
                        + (shards.size() - count()) + " in all")
                .orElse("none");
    }
}
