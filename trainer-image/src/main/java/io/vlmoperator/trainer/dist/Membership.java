package io.vlmoperator.trainer.dist;

import io.vlmoperator.trainer.TrainerException;
import java.time.Duration;

/**
 * Who belongs together: a peer that names another job, attempt or world size, or can't show that it knows the secret, is refused.
 *
 * @param job uid of the resource, at most 200 characters
 * @param secret of the attempt
 * @param host of rank 0
 * @param port of rank 0's rendezvous
 * @param connectLimit for all ranks to have found each other
 * @param operationLimit for a peer to say something in a collective
 */
public record Membership(
        String job,
        int attempt,
        int rank,
        int world,
        PeerSecret secret,
        String host,
        int port,
        Duration connectLimit,
        Duration operationLimit) {
    static final int MAX_WORLD = 4096;

    public Membership {
        if (world < 1 || world > MAX_WORLD || rank < 0 || rank >= world) {
            throw TrainerException.configuration("rank " + rank + " of " + world + " workers can't be");
        }
        if (job.length() > 200) {
            throw TrainerException.configuration("the job's uid is longer than 200 characters");
        }
    }
}
