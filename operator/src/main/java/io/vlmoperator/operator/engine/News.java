package io.vlmoperator.operator.engine;

import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.inbound.SimpleInboundEventSource;
import io.vlmoperator.api.run.Kind;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Wakes the reconciler of a resource for a reason that its own informers do not see: a report, or a change of what it refers to. */
public final class News {
    private final Map<Kind, SimpleInboundEventSource<?>> sources = new ConcurrentHashMap<>();

    void register(Kind kind, SimpleInboundEventSource<?> source) {
        sources.put(kind, source);
    }

    /** Nothing happens while the controllers do not run (another replica leads). */
    public void about(Kind kind, String namespace, String name) {
        var source = sources.get(kind);
        if (source != null && source.isRunning()) {
            source.propagateEvent(new ResourceID(name, namespace));
        }
    }
}
