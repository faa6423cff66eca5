package io.vlmoperator.operator.plan;

/** Where a resource stands; phase and conditions follow from it. */
public enum Stage {
    /** A reference is not there or not ready. */
    Waiting,
    Queued,
    Starting,
    Running,
    /** Between a failed attempt and the next. */
    Restarting,
    Suspended,
    Complete,
    Failed
}
