package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/**
 * The text of one answer while it is being generated. Finds stop strings wherever token boundaries lie, and never shows half a character.
 */
final class AnswerText {
    /** Stop strings of one request. */
    static final int MAX_STOPS = 16;

    /** Characters of one stop string. */
    static final int MAX_STOP_LENGTH = 256;

    /** A character of UTF-8 has at most four bytes, so that more tokens without a whole one are no text at all. */
    private static final int MOST_OPEN_TOKENS = 4;

    private static final char UNDECODED = '\ufffd';

    private final Tokenizer tokenizer;
    private final List<String> stops;
    private final int longestStop;
    private final StringBuilder text = new StringBuilder();
    private final List<Integer> open = new ArrayList<>();
    private int shown;
    private boolean stopped;

    /**
     * @param stops an answer ends before the one that is complete first; none is empty
     * @throws IllegalArgumentException if there are more than {@value #MAX_STOPS}, or one is empty or too long
     */
    AnswerText(Tokenizer tokenizer, List<String> stops) {
        if (stops.size() > MAX_STOPS) {
            throw new IllegalArgumentException(stops.size() + " stop strings; at most " + MAX_STOPS + " are possible");
        }
        for (String stop : stops) {
            if (stop.isEmpty() || stop.length() > MAX_STOP_LENGTH) {
                throw new IllegalArgumentException(
                        "a stop string of " + stop.length() + " characters; 1 to " + MAX_STOP_LENGTH + " are possible");
            }
        }
        this.tokenizer = tokenizer;
        this.stops = List.copyOf(stops);
        longestStop = stops.stream().mapToInt(String::length).max().orElse(0);
    }

    /** Adds a token; returns whether the answer goes on. Not to be called after it has returned false. */
    boolean add(int id) {
        if (stopped) {
            throw new IllegalStateException("the answer has ended");
        }
        if (tokenizer.decode(new int[] {id}, true).isEmpty()) {
            return true; // a control token has no text; it may stand between the bytes of one character
        }
        open.add(id);
        String piece = decoded();
        if (!piece.isEmpty() && piece.charAt(piece.length() - 1) == UNDECODED && open.size() < MOST_OPEN_TOKENS) {
            return true; // the rest of the character may be in the next token
        }
        open.clear();
        int from = Math.max(0, text.length() - longestStop + 1);
        text.append(piece);
        cutAtStop(from);
        return !stopped;
    }

    private String decoded() {
        return tokenizer.decode(open.stream().mapToInt(Integer::intValue).toArray(), true);
    }

    /** The stop string that is complete first counts, as if the text came character by character; of two that end together the longer. */
    private void cutAtStop(int from) {
        int start = -1;
        int end = Integer.MAX_VALUE;
        for (String stop : stops) {
            int at = text.indexOf(stop, from);
            int behind = at + stop.length();
            if (at >= 0 && (behind < end || behind == end && at < start)) {
                start = at;
                end = behind;
            }
        }
        if (start >= 0) {
            text.setLength(start);
            stopped = true;
        }
    }

    /** What was added since the last call and will stay: the beginning of a stop string is held back until it is none. */
    String news() {
        int sure = stopped ? text.length() : text.length() - heldBack();
        int from = Math.min(shown, sure);
        shown = Math.max(shown, sure);
        return text.substring(from, sure);
    }

    /** Length of the longest end of the text that begins a stop string. */
    private int heldBack() {
        for (int length = Math.min(longestStop - 1, text.length()); length > 0; length--) {
            String end = text.substring(text.length() - length);
            if (stops.stream().anyMatch(stop -> stop.startsWith(end))) {
                return length;
            }
        }
        return 0;
    }

    /** The answer so far, without the stop string. Bytes at its end that are no whole character become U+FFFD. */
    String text() {
        return stopped || open.isEmpty() ? text.toString() : text + decoded();
    }

    /** What {@link #news} has held back; there will be no more tokens. */
    String rest() {
        String all = text();
        String rest = all.substring(Math.min(shown, all.length()));
        shown = all.length();
        return rest;
    }

    /** Whether a stop string has ended the answer. */
    boolean stopped() {
        return stopped;
    }
}
