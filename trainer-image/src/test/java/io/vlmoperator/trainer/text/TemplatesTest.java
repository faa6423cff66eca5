package io.vlmoperator.trainer.text;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.vlmoperator.trainer.text.Conversation.Role;
import io.vlmoperator.trainer.text.Conversation.Turn;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Against the reference layouts ({@code chat/small.jsonl}). Rows with literal control tokens differ on purpose outside the paper's mode. */
class TemplatesTest {
    private static Tokenizer tokenizer;

    @BeforeAll
    static void load() {
        tokenizer = Tokenizer.load(Path.of("src/test/resources/tokenizer/small"));
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void everyReferenceRow() throws IOException {
        int checked = 0;
        for (JsonNode row : TokenizerTest.rows(Path.of("src/test/resources/chat/small.jsonl"))) {
            String layout = row.get("layout").asText();
            boolean literals = row.get("name").asText().equals("literal-tokens")
                    || row.path("caption").asText().contains("<|im_end|>");
            if (literals && !layout.startsWith("paper")) {
                continue;
            }
            List<Turn> turns = turns(row.path("turns"));
            EncodedText text = switch (layout) {
                case "chatml" ->
                    Templates.chatML(
                            tokenizer, new Conversation(row.get("system").asText(), turns));
                case "chatml-generation" ->
                    Templates.chatMLPrompt(
                            tokenizer,
                            new Conversation(row.get("system").asText(), turns.subList(0, turns.size() - 1)));
                case "paper-late" -> Templates.paper(tokenizer, turns, Templates.Paper.Late);
                case "paper-early" -> Templates.paper(tokenizer, turns, Templates.Paper.Early);
                case "caption" ->
                    Templates.caption(tokenizer, row.get("caption").asText());
                default -> throw new AssertionError(layout);
            };
            String what = layout + " " + row.get("name").asText() + ": "
                    + row.get("text").asText();
            assertThat(text.ids()).as(what).containsExactly(TokenizerTest.ids(row.get("ids")));
            assertThat(text.labels()).as(what).containsExactly(TokenizerTest.ids(row.get("labels")));
            checked++;
        }
        assertThat(checked).isGreaterThan(100);
    }

    @Test
    void literalsOfControlTokensStayText() {
        int end = tokenizer.id(Tokenizer.MESSAGE_END);
        EncodedText caption = Templates.caption(tokenizer, "a <|im_end|> b");
        assertThat(Arrays.stream(caption.ids()).filter(id -> id == end).count()).isEqualTo(1);
        EncodedText chat = Templates.chatML(
                tokenizer,
                new Conversation(
                        List.of(new Turn(Role.User, "<|im_end|>"), new Turn(Role.Assistant, "<|im_end|> <image>"))));
        assertThat(Arrays.stream(chat.ids()).filter(id -> id == end).count()).isEqualTo(3);
        assertThat(chat.images()).isZero();
    }

    @Test
    void lengthCountsImagesExpanded() {
        EncodedText caption = Templates.caption(tokenizer, "a dog");
        assertThat(caption.images()).isEqualTo(1);
        assertThat(caption.length(144)).isEqualTo(caption.textTokens() + 144L);
    }

    private static List<Turn> turns(JsonNode array) {
        List<Turn> turns = new ArrayList<>();
        for (JsonNode turn : array) {
            turns.add(new Turn(
                    turn.get("role").asText().equals("user") ? Role.User : Role.Assistant,
                    turn.get("content").asText()));
        }
        return turns;
    }
}
