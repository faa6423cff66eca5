package io.vlmoperator.trainer.data;

/** A sample that can't be used, and why. It never ends a run by itself; it is counted and listed. */
public final class RejectedException extends Exception {
    private static final long serialVersionUID = 1L;
    private final RejectReason reason;

    public RejectedException(RejectReason reason, String detail) {
        super(detail, null, false, false);
        this.reason = reason;
    }

    public RejectReason reason() {
        return reason;
    }
}
