package io.vlmoperator.trainer.op;

/** libtorch could not be started, or an operator refused its arguments. The message says which and what to do. */
public final class TorchException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public TorchException(String message) {
        super(message);
    }

    public TorchException(String message, Throwable cause) {
        super(message, cause);
    }
}
