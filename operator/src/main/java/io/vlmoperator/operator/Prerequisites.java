package io.vlmoperator.operator;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.vlmoperator.api.resource.Api;
import io.vlmoperator.api.run.Kind;
import java.util.Optional;
import java.util.Set;

/** What a cluster must have before the operator can do anything: looked at once, so that what is missing is said in one line. */
final class Prerequisites {
    private static final int NOT_FOUND = 404;
    private static final int FORBIDDEN = 403;

    private Prerequisites() {}

    /**
     * The first thing that is missing, as a sentence with what to do.
     *
     * @param namespaces watched; empty: all
     */
    static Optional<String> missing(KubernetesClient client, Set<String> namespaces) {
        for (Kind kind : Kind.values()) {
            var context = new ResourceDefinitionContext.Builder()
                    .withGroup(Api.GROUP)
                    .withVersion(Api.VERSION)
                    .withKind(kind.name())
                    .withPlural(kind.plural())
                    .withNamespaced(true)
                    .build();
            var resources = client.genericKubernetesResources(context);
            try {
                var one = new io.fabric8.kubernetes.api.model.ListOptionsBuilder()
                        .withLimit(1L)
                        .build();
                if (namespaces.isEmpty()) {
                    resources.inAnyNamespace().list(one);
                } else {
                    namespaces.forEach(
                            namespace -> resources.inNamespace(namespace).list(one));
                }
            } catch (KubernetesClientException e) {
                return Optional.of(reason(kind, e));
            }
        }
        return Optional.empty();
    }

    private static String reason(Kind kind, KubernetesClientException e) {
        var crd = kind.plural() + "." + Api.GROUP;
        return switch (e.getCode()) {
            case NOT_FOUND ->
                "the CRD " + crd + " (" + Api.VERSION
                        + ") is not installed; install the chart, or apply crds/crds first";
            case FORBIDDEN ->
                "this service account may not list " + crd + "; install the chart with rbac.create=true, or give it the"
                        + " permissions of src/docs/rbac.md";
            default -> "can't list " + crd + ": " + root(e);
        };
    }

    /** The first cause of an error, in one line. */
    static String root(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return String.valueOf(cause.getMessage()).replaceAll("\\s*\\R\\s*", " ");
    }
}
