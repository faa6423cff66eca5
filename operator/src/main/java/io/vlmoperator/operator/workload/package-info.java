/** From an attempt to Kubernetes objects: a pure model, and the one interface behind which workloads are made. */
package io.vlmoperator.operator.workload;
