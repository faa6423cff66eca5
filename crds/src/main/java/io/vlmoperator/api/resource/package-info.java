/** The four custom resources. Only this package needs a Kubernetes client on the class path. */
package io.vlmoperator.api.resource;
