package io.vlmoperator.local.node;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;

/**
 * The addresses of a node's pods. A pod listens on {@code 127.A.B.h}. Its status shows {@code 10.A.B.h} instead: Endpoints refuse
 * loopback addresses, and one such pod would keep its whole Service from being published. Whoever reads an address from an EndpointSlice
 * turns it back.
 */
final class Addresses {
    private static final int FIRST = 2; // .1 is the node
    private static final int LAST = 254;

    private final String prefix;
    private final Set<Integer> used = new HashSet<>();
    private final Deque<Integer> free = new ArrayDeque<>();

    /** @param nodeAddress {@code 127.A.B.1} */
    Addresses(String nodeAddress) {
        prefix = nodeAddress.substring(0, nodeAddress.lastIndexOf('.') + 1);
        for (int host = FIRST; host <= LAST; host++) {
            free.add(host);
        }
    }

    /** An address that was not in use for as long as possible. */
    synchronized String take() {
        Integer host = free.poll();
        if (host == null) {
            throw new IllegalStateException("all " + (LAST - FIRST + 1) + " addresses of this node are in use");
        }
        used.add(host);
        return prefix + host;
    }

    /** Takes the address that a pod had before the node was started again; says whether it could be had. */
    synchronized boolean take(String address) {
        if (!address.startsWith(prefix)) {
            return false;
        }
        Integer host = Integer.valueOf(address.substring(prefix.length()));
        return free.remove(host) && used.add(host);
    }

    /** Whether the address is one of this node's that is in use. */
    synchronized boolean has(String address) {
        return address.startsWith(prefix) && used.contains(Integer.valueOf(address.substring(prefix.length())));
    }

    synchronized void give(String address) {
        Integer host = Integer.valueOf(address.substring(prefix.length()));
        if (used.remove(host)) {
            free.add(host);
        }
    }

    /** {@code 127.A.B.h} as {@code 10.A.B.h}. */
    static String statusAddress(String loopback) {
        return "10" + loopback.substring(loopback.indexOf('.'));
    }

    /** {@code 10.A.B.h} as {@code 127.A.B.h}; other addresses as they are. */
    static String loopback(String statusAddress) {
        return statusAddress.startsWith("10.") ? "127" + statusAddress.substring(2) : statusAddress;
    }
}
