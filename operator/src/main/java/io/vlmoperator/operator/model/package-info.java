/** What a decision is made of: the resource ({@link Subject}), its work, its status and what was observed. Values only; no client. */
package io.vlmoperator.operator.model;
