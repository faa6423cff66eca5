package io.vlmoperator.api.status;

/** One word for people; derived from the conditions. */
public enum Phase {
    Pending,
    Queued,
    Starting,
    Running,
    Restarting,
    Suspended,
    Complete,
    Failed
}
