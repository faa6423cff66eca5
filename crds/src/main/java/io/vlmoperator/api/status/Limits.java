package io.vlmoperator.api.status;

/** Longest texts and lists of a status, as its schema has them: a writer cuts to these, or the API server refuses the write. */
public final class Limits {
    /** A type, reason, phase or other single word. */
    public static final int WORD = 128;

    public static final int TIME = 64;
    public static final int NAME = 253;
    public static final int DIGEST = 160;
    public static final int LOCATION = 1280;
    public static final int MESSAGE = 1024;
    public static final int SUMMARY = 256;
    public static final int ATTEMPTS = 10;
    public static final int RECENT = 10;
    public static final int RESULTS = 64;
    public static final int CATEGORIES = 16;
    public static final int SOURCES = 64;
    public static final int REASONS = 32;
    public static final int CONDITIONS = 16;

    private Limits() {}
}
