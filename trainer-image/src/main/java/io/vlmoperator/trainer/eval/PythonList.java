package io.vlmoperator.trainer.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Lists of texts as pandas writes them into a cell: {@code ['two', "it's", 'a \'b\'']}. */
final class PythonList {
    private static final int MAX_TEXTS = 1000;

    private final String cell;
    private int at;

    private PythonList(String cell) {
        this.cell = cell;
    }

    /** The texts; empty if the cell is no list of quoted texts (then it is a text itself), or has more than 1,000 of them. */
    static Optional<List<String>> parse(String cell) {
        return cell.startsWith("[") && cell.endsWith("]") ? new PythonList(cell).list() : Optional.empty();
    }

    private Optional<List<String>> list() {
        List<String> texts = new ArrayList<>();
        at = 1;
        skipSpace();
        while (cell.charAt(at) != ']') {
            Optional<String> text = text();
            if (text.isEmpty() || texts.size() == MAX_TEXTS) {
                return Optional.empty();
            }
            texts.add(text.get());
            skipSpace();
            if (at < cell.length() && cell.charAt(at) == ',') {
                at++;
                skipSpace();
            } else if (at >= cell.length() || cell.charAt(at) != ']') {
                return Optional.empty();
            }
            if (at >= cell.length()) {
                return Optional.empty();
            }
        }
        return at == cell.length() - 1 ? Optional.of(texts) : Optional.empty();
    }

    private Optional<String> text() {
        char quote = cell.charAt(at);
        if (quote != '\'' && quote != '"') {
            return Optional.empty();
        }
        StringBuilder text = new StringBuilder();
        for (at++; at < cell.length(); at++) {
            char c = cell.charAt(at);
            if (c == quote) {
                at++;
                return Optional.of(text.toString());
            }
            if (c == '\\' && at + 1 < cell.length()) {
                char escaped = cell.charAt(++at);
                switch (escaped) {
                    case 'n' -> text.append('\n');
                    case 't' -> text.append('\t');
                    case 'r' -> text.append('\r');
                    case '\\', '\'', '"' -> text.append(escaped);
                    default -> text.append('\\').append(escaped);
                }
            } else {
                text.append(c);
            }
        }
        return Optional.empty();
    }

    private void skipSpace() {
        while (at < cell.length() && Character.isWhitespace(cell.charAt(at))) {
            at++;
        }
    }
}
