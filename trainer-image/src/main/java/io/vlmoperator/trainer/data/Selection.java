package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** Which samples of captions are kept, and how often: the rules of {@link Select} over lists of uids and scores. */
final class Selection implements AutoCloseable {
    /** A uid that is listed more often is a mistake of the list. */
    static final int MAX_COPIES = 1_000;

    private final List<Rule> anyOf = new ArrayList<>();
    private final List<Rule> allOf = new ArrayList<>();
    private final List<Rule> not = new ArrayList<>();
    private final Scoring scoring;
    private long unreadable;

    private Selection(Scoring scoring) {
        this.scoring = scoring;
    }

    /** How often one rule names a sample. */
    private sealed interface Rule {
        record Lists(List<UidList> files) implements Rule {}

        /** Scores of the shard that is being read. */
        final class Scores implements Rule {
            final Select.Score rule;
            short[] byOrdinal = new short[0];

            Scores(Select.Score rule) {
                this.rule = rule;
            }
        }
    }

    /**
     * Reads the lists.
     *
     * @param scratch folder for sorted copies, which are deleted by {@link #close}
     * @param scoring of the same select
     * @throws TrainerException InvalidData for a file that is no list of uids; InvalidConfiguration; StorageFailed
     */
    static Selection open(Select select, Locations locations, Path scratch, Scoring scoring) {
        Selection selection = new Selection(scoring);
        try {
            int number = 0;
            number = read(select.anyOf(), locations, scratch, number, selection.anyOf);
            number = read(select.allOf(), locations, scratch, number, selection.allOf);
            read(select.not(), locations, scratch, number, selection.not);
            return selection;
        } catch (RuntimeException e) {
            selection.close();
            throw e;
        }
    }

    private static int read(List<Select.Rule> rules, Locations locations, Path scratch, int number, List<Rule> read) {
        int next = number;
        for (Select.Rule rule : rules) {
            if (rule.score() != null) {
                read.add(new Rule.Scores(rule.score()));
                continue;
            }
            List<UidList> files = new ArrayList<>();
            read.add(new Rule.Lists(files));
            for (Path file : files(rule, locations)) {
                files.add(UidList.open(file, scratch.resolve("list-" + next++)));
            }
        }
        return next;
    }

    private static List<Path> files(Select.Rule rule, Locations locations) {
        if (rule.uidList() == null) {
            throw TrainerException.configuration("a rule of select names neither uidList nor score");
        }
        return locations.expand(rule.uidList().location());
    }

    /** What tells one state of the lists from another: a Dataset is made again when they change. */
    static List<String> origins(Select select, Locations locations, Scoring scoring) throws IOException {
        List<String> origins = new ArrayList<>();
        for (List<Select.Rule> rules : List.of(select.anyOf(), select.allOf(), select.not())) {
            for (Select.Rule rule : rules) {
                if (rule.score() != null) {
                    origins.add("scores of " + scoring.digest(rule.score()));
                    continue;
                }
                for (Path file : files(rule, locations)) {
                    origins.add(file.getFileName() + " " + Files.size(file) + " "
                            + Files.getLastModifiedTime(file).toMillis());
                }
            }
        }
        return origins;
    }

    /**
     * Reads the scores of the shard whose samples are asked about next.
     *
     * @param index of it
     */
    void shard(Duck duck, Path index) throws IOException {
        int[] rows = new int[1];
        IndexFile.read(duck, index, List.of("count(*)"), "", row -> rows[0] = row.getInt(1));
        for (List<Rule> rules : List.of(anyOf, allOf, not)) {
            for (Rule rule : rules) {
                if (rule instanceof Rule.Scores scores) {
                    scores.byOrdinal = scoring.file(
                                    scores.rule, index.getFileName().toString())
                            .byOrdinal(duck, index, rows[0]);
                }
            }
        }
    }

    /** Samples that were asked about and have no readable answer to some rule. */
    long unreadable() {
        return unreadable;
    }

    /**
     * How often a sample is kept; 0 when it is not. Whoever has no readable score fulfils no rule about it.
     *
     * @param ordinal in the index of {@link #shard}
     * @throws TrainerException InvalidData when a list holds the uid more than {@value #MAX_COPIES} times
     */
    int copies(String uid, int ordinal) {
        if (anyOf.isEmpty() && allOf.isEmpty() && not.isEmpty()) {
            return 1;
        }
        unreadable += hasUnreadable(ordinal) ? 1 : 0;
        boolean listed = isHex128(uid);
        long high = listed ? HexFormat.fromHexDigitsToLong(uid, 0, 16) : 0;
        long low = listed ? HexFormat.fromHexDigitsToLong(uid, 16, 32) : 0;
        long any = 0;
        for (Rule rule : anyOf) {
            any = Math.max(any, copies(rule, listed, high, low, ordinal));
        }
        long all = Long.MAX_VALUE;
        for (Rule rule : allOf) {
            long copies = copies(rule, listed, high, low, ordinal);
            // A score says yes or no: how often, the lists beside it say.
            all = Math.min(all, rule instanceof Rule.Scores && copies > 0 ? Long.MAX_VALUE : copies);
        }
        boolean refused = !anyOf.isEmpty() && any == 0 || all == 0;
        for (Rule rule : not) {
            refused |= copies(rule, listed, high, low, ordinal) > 0;
        }
        if (refused) {
            return 0;
        }
        long copies = !anyOf.isEmpty() ? any : all < Long.MAX_VALUE ? all : 1;
        if (copies > MAX_COPIES) {
            throw TrainerException.data(
                    "select lists uid " + uid + " " + copies + " times; at most " + MAX_COPIES + " are possible");
        }
        return (int) copies;
    }

    private static boolean isHex128(String uid) {
        if (uid.length() != 32) {
            return false;
        }
        for (int i = 0; i < 32; i++) {
            if (!HexFormat.isHexDigit(uid.charAt(i))) {
                return false;
            }
        }
        return true;
    }

    private boolean hasUnreadable(int ordinal) {
        for (List<Rule> rules : List.of(anyOf, allOf, not)) {
            for (Rule rule : rules) {
                if (rule instanceof Rule.Scores scores && scores.byOrdinal[ordinal] < 0) {
                    return true;
                }
            }
        }
        return false;
    }

    private static long copies(Rule rule, boolean listed, long high, long low, int ordinal) {
        return switch (rule) {
            case Rule.Lists lists -> listed ? copies(lists.files(), high, low) : 0;
            case Rule.Scores scores -> scores.byOrdinal[ordinal] >= scores.rule.atLeast() ? 1 : 0;
        };
    }

    private static long copies(List<UidList> files, long high, long low) {
        long copies = 0;
        for (UidList file : files) {
            copies += file.copies(high, low);
        }
        return copies;
    }

    @Override
    public void close() {
        for (List<Rule> rules : List.of(anyOf, allOf, not)) {
            for (Rule rule : rules) {
                if (rule instanceof Rule.Lists lists) {
                    lists.files().forEach(UidList::close);
                }
            }
        }
    }
}
