package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.text.Conversation;
import io.vlmoperator.trainer.text.Conversation.Role;
import io.vlmoperator.trainer.text.Conversation.Turn;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import io.vlmoperator.trainer.text.Templates.AnswerEnd;
import io.vlmoperator.trainer.text.Templates.Literals;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Layouts and their loss masks: {@code chat/NAME.jsonl}. The reference lets literals of control tokens in the data become those tokens
 * ({@link Literals#Tokens}); every row is run in that way, and once more as it is trained on, where it may differ only if it has literals.
 */
final class ChatCases {
    private final String name;
    private final Tokenizer tokenizer;
    private final Findings findings;
    private final Map<String, Findings.Tally> tallies = new LinkedHashMap<>();

    private ChatCases(String name, Tokenizer tokenizer, Findings findings) {
        this.name = name;
        this.tokenizer = tokenizer;
        this.findings = findings;
    }

    static void run(Path file, String name, Tokenizer tokenizer, Findings findings) throws IOException {
        new ChatCases(name, tokenizer, findings).run(file);
    }

    private void run(Path file) throws IOException {
        List<ObjectNode> own = new ArrayList<>();
        for (JsonNode golden : JsonRows.read(file)) {
            own.add(row(golden));
        }
        tallies.values().forEach(Findings.Tally::close);
        findings.lines("chat", name + ".jsonl", own);
    }

    private ObjectNode row(JsonNode golden) throws IOException {
        ObjectNode row = golden.deepCopy();
        String layout = golden.path("layout").asText();
        String title = golden.path("name").asText();
        EncodedText text = encode(golden, Literals.Tokens, AnswerEnd.EndToken);
        row.set("ids", JsonRows.array(text.ids()));
        row.set("labels", JsonRows.array(text.labels()));
        compare(layout, "ids", title, text.ids(), golden.path("ids"));
        compare(layout, "labels", title, text.labels(), golden.path("labels"));
        if (golden.has("labels_with_newline")) {
            int[] labels = encode(golden, Literals.Tokens, AnswerEnd.Newline).labels();
            row.set("labels_with_newline", JsonRows.array(labels));
            compare(layout, "labels_with_newline", title, labels, golden.path("labels_with_newline"));
        }
        if (!layout.startsWith("paper")) {
            // The paper's layouts lose tokens; the others must be readable back.
            String read = read(text.ids());
            row.put("text", read);
            tally(layout, "text")
                    .equal(title, read, Normalizer.normalize(golden.path("text").asText(), Normalizer.Form.NFC));
            EncodedText trained = encode(golden, Literals.Text, AnswerEnd.EndToken);
            row.set("ids_as_trained", JsonRows.array(trained.ids()));
            row.set("labels_as_trained", JsonRows.array(trained.labels()));
            boolean literals = !read(trained.ids()).equals(read) || literals(golden);
            if (literals) {
                // Control tokens of the layout itself, and none from the data.
                tally(layout, "no control token from data").equal(title, controls(trained), ownControls(golden));
            } else {
                compare(layout, "ids as trained", title, trained.ids(), golden.path("ids"));
                compare(layout, "labels as trained", title, trained.labels(), golden.path("labels"));
            }
        }
        return row;
    }

    private EncodedText encode(JsonNode golden, Literals literals, AnswerEnd answerEnd) throws IOException {
        List<Turn> turns = turns(golden.path("turns"));
        String layout = golden.path("layout").asText();
        return switch (layout) {
            case "chatml" ->
                Templates.chatML(
                        tokenizer, new Conversation(golden.path("system").asText(), turns), literals, answerEnd);
            case "chatml-generation" ->
                Templates.chatMLPrompt(
                        tokenizer,
                        new Conversation(golden.path("system").asText(), prompt(turns)),
                        literals,
                        answerEnd);
            case "paper-late" -> Templates.paper(tokenizer, turns, Templates.Paper.Late);
            case "paper-early" -> Templates.paper(tokenizer, turns, Templates.Paper.Early);
            case "caption" ->
                Templates.caption(tokenizer, golden.path("caption").asText(), literals);
            default -> throw new IOException("chat: layout '" + layout + "' is not known");
        };
    }

    /** What the model continues: all turns but the last answer. */
    private static List<Turn> prompt(List<Turn> turns) {
        return turns.getLast().role() == Role.Assistant ? turns.subList(0, turns.size() - 1) : turns;
    }

    private static List<Turn> turns(JsonNode array) {
        List<Turn> turns = new ArrayList<>();
        for (JsonNode turn : array) {
            turns.add(new Turn(
                    turn.path("role").asText().equals("user") ? Role.User : Role.Assistant,
                    turn.path("content").asText()));
        }
        return turns;
    }

    private String read(int[] ids) {
        StringBuilder text = new StringBuilder();
        int at = 0;
        for (int i = 0; i <= ids.length; i++) {
            if (i == ids.length || ids[i] == EncodedText.IMAGE) {
                text.append(tokenizer.decode(Arrays.copyOfRange(ids, at, i), false));
                text.append(i == ids.length ? "" : Tokenizer.IMAGE);
                at = i + 1;
            }
        }
        return text.toString();
    }

    private boolean literals(JsonNode golden) {
        long found = tokenizer.specialTokenLiterals(golden.path("caption").asText());
        for (JsonNode turn : golden.path("turns")) {
            found += tokenizer.specialTokenLiterals(turn.path("content").asText());
        }
        return found > 0;
    }

    private long controls(EncodedText text) {
        return Arrays.stream(text.ids())
                .filter(id -> id >= 0 && tokenizer.isControl(id))
                .count();
    }

    /** Control tokens that the layout itself writes. */
    private static long ownControls(JsonNode golden) {
        if (golden.path("layout").asText().equals("caption")) {
            return 2;
        }
        int turns = golden.path("turns").size();
        // Two a message, the system's included; an open answer has only its first.
        return golden.path("layout").asText().equals("chatml-generation") ? 2L * turns + 1 : 2L * turns + 2;
    }

    private Findings.Tally tally(String layout, String quantity) {
        return tallies.computeIfAbsent("chat/" + name + "/" + layout + "/" + quantity, findings::tally);
    }

    private void compare(String layout, String quantity, String title, int[] actual, JsonNode expected) {
        int[] wanted = JsonRows.ints(expected);
        tally(layout, quantity)
                .equal(title, Arrays.equals(actual, wanted), () -> TokenizerCases.difference(actual, wanted));
    }
}
