/** The API as a real kube-apiserver sees it: schema, rules, defaults, edits, field managers and roles. No operator runs here. */
package io.vlmoperator.e2e.api;
