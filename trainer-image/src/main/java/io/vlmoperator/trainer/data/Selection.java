package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Which samples of captions are kept, and how often: the rules of {@link Select} over lists of uids. */
final class Selection implements AutoCloseable {
    /** A uid that is listed more often is a mistake of the list. */
    static final int MAX_COPIES = 1_000;

    private final List<List<UidList>> anyOf = new ArrayList<>();
    private final List<List<UidList>> allOf = new ArrayList<>();
    private final List<List<UidList>> not = new ArrayList<>();

    private Selection() {}

    /**
     * Reads the lists.
     *
     * @param scratch folder for sorted copies, which are deleted by {@link #close}
     * @throws TrainerException InvalidData for a file that is no list of uids; InvalidConfiguration; StorageFailed
     */
    static Selection open(Select select, Locations locations, Path scratch) {
        Selection selection = new Selection();
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

    private static int read(
            List<Select.Rule> rules, Locations locations, Path scratch, int number, List<List<UidList>> lists) {
        int next = number;
        for (Select.Rule rule : rules) {
            List<UidList> files = new ArrayList<>();
            lists.add(files);
            for (Path file : files(rule, locations)) {
                files.add(UidList.open(file, scratch.resolve("list-" + next++)));
            }
        }
        return next;
    }

    private static List<Path> files(Select.Rule rule, Locations locations) {
        if (rule.uidList() == null) {
            throw TrainerException.configuration("select by score is not supported by this version; use uidList");
        }
        return locations.expand(rule.uidList().location());
    }

    /** What tells one state of the lists from another: a Dataset is made again when they change. */
    static List<String> origins(Select select, Locations locations) throws IOException {
        List<String> origins = new ArrayList<>();
        for (List<Select.Rule> rules : List.of(select.anyOf(), select.allOf(), select.not())) {
            for (Select.Rule rule : rules) {
                for (Path file : files(rule, locations)) {
                    origins.add(file.getFileName() + " " + Files.size(file) + " "
                            + Files.getLastModifiedTime(file).toMillis());
                }
            }
        }
        return origins;
    }

    /**
     * How often a sample is kept; 0 when it is not.
     *
     * @throws TrainerException InvalidData when a list holds the uid more than {@value #MAX_COPIES} times
     */
    int copies(String uid) {
        if (anyOf.isEmpty() && allOf.isEmpty() && not.isEmpty()) {
            return 1;
        }
        boolean listed = uid.length() == 32 && uid.chars().allMatch(c -> Character.digit(c, 16) >= 0 && c < 128);
        long high = listed ? Long.parseUnsignedLong(uid, 0, 16, 16) : 0;
        long low = listed ? Long.parseUnsignedLong(uid, 16, 32, 16) : 0;
        long any = 0;
        for (List<UidList> rule : anyOf) {
            any = Math.max(any, listed ? copies(rule, high, low) : 0);
        }
        long all = Long.MAX_VALUE;
        for (List<UidList> rule : allOf) {
            all = Math.min(all, listed ? copies(rule, high, low) : 0);
        }
        boolean refused = !anyOf.isEmpty() && any == 0 || all == 0;
        for (List<UidList> rule : not) {
            refused |= listed && copies(rule, high, low) > 0;
        }
        if (refused) {
            return 0;
        }
        long copies = !anyOf.isEmpty() ? any : !allOf.isEmpty() ? all : 1;
        if (copies > MAX_COPIES) {
            throw TrainerException.data(
                    "select lists uid " + uid + " " + copies + " times; at most " + MAX_COPIES + " are possible");
        }
        return (int) copies;
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
        for (List<List<UidList>> rules : List.of(anyOf, allOf, not)) {
            rules.forEach(files -> files.forEach(UidList::close));
        }
    }
}
