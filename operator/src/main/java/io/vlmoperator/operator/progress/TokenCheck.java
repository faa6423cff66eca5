package io.vlmoperator.operator.progress;

import java.util.Optional;

/** Tells whose token it is. */
public interface TokenCheck {
    /**
     * @param user name of the account
     * @param pod that the token is bound to, or empty
     */
    record Identity(String user, String pod) {}

    /**
     * Empty: the token is not valid for the audience.
     *
     * @throws BusyException when too many checks are under way
     */
    Optional<Identity> check(String token, String audience);

    /** Too many at once; the caller shall come again. */
    final class BusyException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        public BusyException(String message) {
            super(message);
        }
    }
}
