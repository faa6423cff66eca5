package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.dist.Communicator;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;

/** Messages of any length from every worker to every worker. */
final class Gather {
    private static final byte LAST = 0;
    private static final byte MORE = 1;

    private Gather() {}

    /** Every rank's bytes, in rank order. Each message goes in pieces of what the communicator carries, a mark in front. */
    static List<byte[]> all(Communicator ranks, byte[] own) {
        List<ByteArrayOutputStream> received = new ArrayList<>();
        for (int rank = 0; rank < ranks.world(); rank++) {
            received.add(new ByteArrayOutputStream());
        }
        int at = 0;
        boolean more = true;
        while (more) {
            int length = Math.min(own.length - at, Communicator.MAX_MESSAGE_BYTES - 1);
            byte[] piece = new byte[1 + length];
            piece[0] = at + length < own.length ? MORE : LAST;
            System.arraycopy(own, at, piece, 1, length);
            at += length;
            more = false;
            byte[][] pieces = ranks.allGather(piece);
            for (int rank = 0; rank < pieces.length; rank++) {
                received.get(rank).write(pieces[rank], 1, pieces[rank].length - 1);
                more |= pieces[rank][0] == MORE;
            }
        }
        return received.stream().map(ByteArrayOutputStream::toByteArray).toList();
    }

    /** What rank 0 says. */
    static boolean decision(Communicator ranks, boolean own) {
        return ranks.allGather(new byte[] {(byte) (own ? 1 : 0)})[0][0] == 1;
    }
}
