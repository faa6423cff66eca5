package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.op.Torch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A copy of a rank's state at the edge of a step, which another thread writes while training goes on. Its memory is taken once, touched at
 * once (so that no save pays for that), and used for every save. Where the state lies on a GPU it is page-locked, if the system allows as much:
 * a copy into other memory goes through a small buffer of the driver's and takes several times as long.
 */
public final class Staging implements AutoCloseable {
    private static final long ALIGNMENT = 64;

    private final Arena arena = Arena.ofShared();
    private final List<StateShard> copies = new ArrayList<>();
    private final List<MemorySegment> locked = new ArrayList<>();

    /** @param like ranges of the sizes that every save will have */
    public Staging(List<StateShard> like) {
        for (StateShard shard : like) {
            long bytes = shard.weights().byteSize();
            // Arena.allocate fills with zeros: the pages are there from now on.
            copies.add(new StateShard(shard.from(), memory(bytes), memory(bytes), memory(bytes)));
        }
    }

    private MemorySegment memory(long bytes) {
        MemorySegment memory = arena.allocate(bytes, ALIGNMENT);
        if (Torch.start().pageLock(memory)) {
            locked.add(memory);
        }
        return memory;
    }

    /** Copies the state as it is now; nobody may be reading the former copy any more. */
    public void take(List<StateShard> state) {
        if (state.size() != copies.size()) {
            throw new IllegalArgumentException(state.size() + " ranges instead of " + copies.size());
        }
        for (int i = 0; i < state.size(); i++) {
            StateShard source = state.get(i);
            StateShard target = copies.get(i);
            if (source.from() != target.from() || source.count() != target.count()) {
                throw new IllegalArgumentException("the range " + source.from() + " to " + source.to() + " is not "
                        + target.from() + " to " + target.to());
            }
            Torch torch = Torch.start(); // the state may lie on a GPU
            torch.copyMemory(source.weights(), target.weights());
            torch.copyMemory(source.first(), target.first());
            torch.copyMemory(source.second(), target.second());
        }
    }

    /** What was taken last. */
    public List<StateShard> shards() {
        return List.copyOf(copies);
    }

    /** Bytes of memory. */
    public long bytes() {
        return copies.stream().mapToLong(s -> 3 * s.weights().byteSize()).sum();
    }

    /** Frees the memory; a thread that still reads it gets an error, no wrong bytes. */
    @Override
    public void close() {
        locked.forEach(Torch.start()::pageUnlock);
        locked.clear();
        arena.close();
    }
}
