/** What the operator answers over HTTP: reports of workers (HTTPS only) and the page that lists the resources. */
package io.vlmoperator.operator.web;
