package io.vlmoperator.operator.workload;

/** A child's name belongs to an object of another owner. */
public final class NameTakenException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public NameTakenException(String message) {
        super(message);
    }
}
