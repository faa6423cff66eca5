package io.vlmoperator.emoji;

/** What went wrong, where, and what to do instead; the command line prints the message alone. */
public final class EmojiException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public EmojiException(String message) {
        super(message);
    }

    public EmojiException(String message, Throwable cause) {
        super(message, cause);
    }
}
