package io.vlmoperator.trainer.text;

import java.util.List;

/**
 * Turns of a conversation, user and assistant by turns, the user first. {@link Tokenizer#IMAGE} in a user's text is the place of an
 * image.
 *
 * @param system the system message; the usual one when empty
 */
public record Conversation(String system, List<Turn> turns) {
    /** What the paper's code tells the model it is. */
    public static final String DEFAULT_SYSTEM = "You are a helpful assistant.";

    public Conversation {
        system = system.isEmpty() ? DEFAULT_SYSTEM : system;
        turns = List.copyOf(turns);
    }

    /** A conversation with the usual system message. */
    public Conversation(List<Turn> turns) {
        this(DEFAULT_SYSTEM, turns);
    }

    /** One message. */
    public record Turn(Role role, String text) {}

    /** Who speaks. */
    public enum Role {
        User,
        Assistant
    }
}
