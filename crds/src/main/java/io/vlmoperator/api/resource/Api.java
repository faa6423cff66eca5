package io.vlmoperator.api.resource;

/** Group and version of the API. */
public final class Api {
    public static final String GROUP = "vlm-operator.io";
    public static final String VERSION = "v1alpha1";

    private Api() {}
}
