package io.vlmoperator.api.status;

import java.util.List;

/** The newest and the best checkpoint, and the newest few. */
public record Checkpoints(Checkpoint latest, Checkpoint best, List<Checkpoint> recent) {}
