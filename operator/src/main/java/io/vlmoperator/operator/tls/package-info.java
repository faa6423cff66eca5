/** The operator's own certificate authority and the serving certificate of the progress endpoint. */
package io.vlmoperator.operator.tls;
