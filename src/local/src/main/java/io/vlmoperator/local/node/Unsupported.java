package io.vlmoperator.local.node;

/** A pod asks for something that cannot be given as it is; the message goes into its status. Tried again later. */
final class Unsupported extends Exception {
    private static final long serialVersionUID = 1L;

    Unsupported(String message) {
        super(message);
    }
}
