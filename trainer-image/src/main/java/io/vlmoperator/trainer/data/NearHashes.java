package io.vlmoperator.trainer.data;

import java.util.Arrays;

/**
 * 64-bit hashes that are further apart than a distance: a hash is taken when none before it lies within. Multi-index hashing (Norouzi, Punjani,
 * Fleet, Fast Exact Search in Hamming Space with Multi-Index Hashing, 2014): of four parts of 16 bits, one differs in at most a fourth of the distance, so
 * only hashes that share a part, or nearly share it, are compared. About 40 bytes a taken hash.
 */
final class NearHashes {
    static final int MOST = 7;

    private static final int PARTS = 4;
    private static final int BITS = 16;

    private final int distance;
    private final LongSet equal = new LongSet();
    /** By part and its value: the hashes that have it. */
    private final long[][][] buckets;

    private final int[][] sizes;

    /** How a hash stands to those before it. */
    enum Kind {
        NEW,
        EQUAL,
        NEAR
    }

    /**
     * @param distance bits in which two hashes differ that are near, 0 to {@value #MOST}
     */
    NearHashes(int distance) {
        if (distance < 0 || distance > MOST) {
            throw new IllegalArgumentException("distance " + distance + ", 0 to " + MOST);
        }
        this.distance = distance;
        buckets = new long[PARTS][distance == 0 ? 0 : 1 << BITS][];
        sizes = new int[PARTS][distance == 0 ? 0 : 1 << BITS];
    }

    /** Takes a hash that is new. */
    Kind add(long hash) {
        if (distance > 0 && !isKnown(hash) && hasNear(hash)) {
            return Kind.NEAR;
        }
        if (!equal.add(hash)) {
            return Kind.EQUAL;
        }
        if (distance > 0) {
            for (int part = 0; part < PARTS; part++) {
                insert(part, value(hash, part), hash);
            }
        }
        return Kind.NEW;
    }

    private boolean isKnown(long hash) {
        return contains(0, value(hash, 0), hash, 0);
    }

    private boolean hasNear(long hash) {
        for (int part = 0; part < PARTS; part++) {
            int value = value(hash, part);
            if (contains(part, value, hash, distance)) {
                return true;
            }
            for (int bit = 0; distance >= PARTS && bit < BITS; bit++) {
                if (contains(part, value ^ 1 << bit, hash, distance)) {
                    return true;
                }
            }
        }
        return false;
    }

    private boolean contains(int part, int value, long hash, int most) {
        long[] bucket = buckets[part][value];
        int size = sizes[part][value];
        for (int i = 0; i < size; i++) {
            if (Long.bitCount(bucket[i] ^ hash) <= most) {
                return true;
            }
        }
        return false;
    }

    private void insert(int part, int value, long hash) {
        int size = sizes[part][value];
        long[] bucket = buckets[part][value];
        if (bucket == null) {
            buckets[part][value] = bucket = new long[1];
        } else if (size == bucket.length) {
            buckets[part][value] = bucket = Arrays.copyOf(bucket, size + (size >> 2) + 1);
        }
        bucket[size] = hash;
        sizes[part][value] = size + 1;
    }

    private static int value(long hash, int part) {
        return (int) (hash >>> BITS * part) & 0xFFFF;
    }
}
