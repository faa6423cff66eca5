package io.vlmoperator.trainer.dist;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * Where the ranks of an attempt are: this one by its own word, the others by what they said last ({@link RollCall}). It is what the report of a
 * worker that waited in vain is made of. Every rank counts the collectives that it has asked for; as all ask for the same ones in the same
 * order, those with the lowest count are the ones that the others wait for. Safe for use by several threads; bounded by the size of the world.
 */
public final class Whereabouts {
    /** Longer descriptions are cut. */
    static final int MAX_TEXT_BYTES = 120;

    /** A report names so many groups of ranks that are at the same place. */
    private static final int MAX_GROUPS = 6;

    private static final int MAX_RANGES = 8;

    /**
     * Where one rank is, or was when it was last heard of.
     *
     * @param step that it works on, 0 before the first
     * @param collectives that it has asked for so far
     * @param doing what it does, in words that go on "for 3.2 s"
     * @param since {@link System#nanoTime()} of this process at which it began to
     * @param heard {@link System#nanoTime()} of this process at which it said so
     * @param gone its connection has ended
     */
    record Place(long step, long collectives, String doing, long since, long heard, boolean gone) {
        Place {
            doing = cut(doing);
        }

        private static String cut(String text) {
            String cut = text.length() > MAX_TEXT_BYTES ? text.substring(0, MAX_TEXT_BYTES) : text;
            while (cut.getBytes(StandardCharsets.UTF_8).length > MAX_TEXT_BYTES) {
                cut = cut.substring(0, cut.length() - 1);
            }
            return cut;
        }

        private Place lost() {
            return new Place(step, collectives, doing, since, heard, true);
        }
    }

    // All guarded by this.
    private int rank;
    private Place[] places;
    private long silentNanos = Long.MAX_VALUE;

    /** A world of one, at its start. */
    public Whereabouts() {
        long now = System.nanoTime();
        places = new Place[] {new Place(0, 0, "starting", now, now, false)};
    }

    /**
     * This rank has found the others.
     *
     * @param silence without a word for which a rank counts as standing still
     */
    synchronized void joined(int newRank, int world, long silence) {
        Place own = places[rank];
        long now = System.nanoTime();
        places = new Place[world];
        for (int r = 0; r < world; r++) {
            places[r] = new Place(0, 0, "starting", now, now, false);
        }
        rank = newRank;
        places[rank] = own;
        silentNanos = silence;
    }

    /**
     * This rank begins something.
     *
     * @param step that it belongs to, 0 before the first
     * @param doing in words that go on "for 3.2 s"
     */
    public synchronized void begin(long step, String doing) {
        long now = System.nanoTime();
        places[rank] = new Place(step, places[rank].collectives(), doing, now, now, false);
    }

    /** This rank asks for a collective. */
    synchronized void asked() {
        Place own = places[rank];
        places[rank] = new Place(own.step(), own.collectives() + 1, own.doing(), own.since(), own.heard(), false);
    }

    /** What this rank does. */
    public synchronized String doing() {
        return places[rank].doing();
    }

    synchronized int rank() {
        return rank;
    }

    /** Where all are, this rank as of now. */
    synchronized List<Place> all() {
        Place own = places[rank];
        Place[] copy = places.clone();
        copy[rank] = new Place(own.step(), own.collectives(), own.doing(), own.since(), System.nanoTime(), false);
        return List.of(copy);
    }

    /** Another rank was heard of; what is older than what is known counts no more. */
    synchronized void heard(int other, Place place) {
        if (other != rank && other >= 0 && other < places.length && place.heard() - places[other].heard() >= 0) {
            places[other] = place;
        }
    }

    /** The connection to another rank has ended. */
    synchronized void gone(int other) {
        if (other != rank) {
            places[other] = places[other].lost();
        }
    }

    /** What others were last said to do, and who of them is waited for; empty in a world of one. */
    public synchronized String report() {
        if (places.length == 1) {
            return "";
        }
        long now = System.nanoTime();
        long own = places[rank].collectives();
        // What rank 0 passes on gets old together when rank 0 falls silent: then that is the news.
        boolean hub = rank != 0 && (places[0].gone() || now - places[0].heard() > silentNanos);
        List<Integer> waitedFor = new ArrayList<>();
        List<Integer> rest = new ArrayList<>();
        boolean ahead = false;
        for (int other = 0; other < places.length; other++) {
            if (other != rank) {
                Place place = places[other];
                boolean silent = hub ? other == 0 : place.gone() || now - place.heard() > silentNanos;
                ahead |= place.collectives() > own;
                (silent || place.collectives() < own ? waitedFor : rest).add(other);
            }
        }
        StringBuilder text = new StringBuilder();
        if (!waitedFor.isEmpty()) {
            text.append("waited for: ").append(groups(waitedFor, now));
        } else {
            text.append(ahead ? "the others wait for this worker" : "no worker is behind the others");
        }
        if (!rest.isEmpty()) {
            text.append("; not waited for: ").append(groups(rest, now));
        }
        return text.toString();
    }

    /** Ranks that are at the same place. */
    private record Group(List<Integer> ranks, Place first) {}

    /** Those that are furthest behind come first. */
    private String groups(List<Integer> ranks, long now) {
        List<Group> groups = new ArrayList<>();
        for (int r : ranks) {
            Place place = places[r];
            Group same = null;
            for (Group group : groups) {
                if (group.first().step() == place.step()
                        && group.first().gone() == place.gone()
                        && silent(group.first(), now) == silent(place, now)
                        && group.first().doing().equals(place.doing())) {
                    same = group;
                }
            }
            if (same == null) {
                // A world in which everybody is elsewhere is not listed to its end.
                if (groups.size() < places.length && groups.size() < 4 * MAX_GROUPS) {
                    groups.add(new Group(new ArrayList<>(List.of(r)), place));
                }
            } else {
                same.ranks().add(r);
            }
        }
        groups.sort(Comparator.comparingLong(group -> group.first().collectives()));
        StringBuilder text = new StringBuilder();
        int named = 0;
        for (Group group : groups.subList(0, Math.min(MAX_GROUPS, groups.size()))) {
            text.append(text.isEmpty() ? "" : ", ").append(describe(group, now));
            named += group.ranks().size();
        }
        return text + (named < ranks.size() ? " and " + (ranks.size() - named) + " more" : "");
    }

    private boolean silent(Place place, long now) {
        return now - place.heard() > silentNanos;
    }

    private String describe(Group group, long now) {
        Place place = group.first();
        long longest = 0;
        long shortest = Long.MAX_VALUE;
        for (int r : group.ranks()) {
            // What a rank that is silent does now is unknown: the time ends with its last word.
            Place one = places[r];
            long until = one.gone() || silent(one, now) ? one.heard() : now;
            longest = Math.max(longest, until - one.since());
            shortest = Math.min(shortest, until - one.since());
        }
        String time = group.ranks().size() == 1 || longest - shortest < 1_000_000_000L
                ? seconds(longest)
                : seconds(shortest) + " to " + seconds(longest);
        String state = place.gone()
                ? ", then its connection ended"
                : silent(place, now) ? ", then nothing was heard for " + seconds(now - place.heard()) : "";
        return ranks(group.ranks()) + " (" + (place.step() == 0 ? "" : "step " + place.step() + ", ") + place.doing()
                + " for " + time + state + ")";
    }

    /** "rank 3", or "ranks 0-4, 7". */
    private static String ranks(List<Integer> ranks) {
        StringBuilder text = new StringBuilder(ranks.size() == 1 ? "rank " : "ranks ");
        int ranges = 0;
        for (int i = 0; i < ranks.size(); ranges++) {
            int end = i;
            while (end + 1 < ranks.size() && ranks.get(end + 1) == ranks.get(end) + 1) {
                end++;
            }
            if (ranges == MAX_RANGES) {
                return text + " and " + (ranks.size() - i) + " more";
            }
            text.append(i == 0 ? "" : ", ").append(ranks.get(i));
            if (end > i) {
                text.append('-').append(ranks.get(end));
            }
            i = end + 1;
        }
        return text.toString();
    }

    private static String seconds(long nanos) {
        return String.format(Locale.ROOT, "%.1f s", Math.max(0, nanos) / 1e9);
    }
}
