package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The indexes of a Dataset in their order, read ahead on threads of their own, because asking DuckDB for rows takes longer than what is made
 * of them. A few blocks of rows wait at a time, however large an index is. Used by one thread.
 */
final class IndexFeed implements AutoCloseable {
    private static final int THREADS = 2;
    private static final int FILES_AHEAD = 4;
    private static final int BLOCK_ROWS = 1 << 14;
    private static final int BLOCKS_AHEAD = 4;
    /** Of a larger index the uids and digests are not joined in DuckDB's memory. */
    private static final long LARGE_BYTES = 32L << 20;

    /** Why a sample is not used: a line of the reject file. */
    record Refusal(String key, String reason, String detail) {}

    /**
     * What is known of an index before its rows.
     *
     * @param identity digest of the uids and digests of all used samples, in hexadecimal; empty when there is none
     * @param refusals by their number in this index: samples, and complaints about the shard
     */
    record Head(String identity, Map<Integer, Refusal> refusals) {}

    /** Some rows on end. */
    static final class Block {
        /** Number of the first row in its index. */
        final int first;

        int count;
        final boolean[] used = new boolean[BLOCK_ROWS];
        final int[] images = new int[BLOCK_ROWS];
        final int[] lengths = new int[BLOCK_ROWS];
        final long[] bytes = new long[BLOCK_ROWS];
        final int[] specialTokenLiterals = new int[BLOCK_ROWS];
        final int[] imageLiterals = new int[BLOCK_ROWS];
        final long[] imageHashes = new long[BLOCK_ROWS];
        /** Empty texts unless they were asked for. */
        final String[] uids;

        final String[] keys;

        private Block(int first, boolean texts) {
            this.first = first;
            uids = texts ? new String[BLOCK_ROWS] : new String[0];
            keys = texts ? new String[BLOCK_ROWS] : new String[0];
        }

        String uid(int row) {
            return uids.length == 0 ? "" : uids[row];
        }

        String key(int row) {
            return keys.length == 0 ? "" : keys[row];
        }
    }

    /**
     * What is known of an index behind its rows.
     *
     * @param digest of the file
     */
    record Tail(int rows, String digest) {}

    /** Receives an index. */
    interface Reader {
        void head(Head head);

        /** @param block valid during the call */
        void block(Block block) throws IOException;
    }

    private sealed interface Item {
        record Begins(Head head) implements Item {}

        record Rows(Block block) implements Item {}

        record Ends(Tail tail) implements Item {}

        record Failed(Throwable cause) implements Item {}
    }

    private final List<Path> files;
    private final boolean texts;
    private final Path spill;
    private final ExecutorService threads;
    private final List<BlockingQueue<Item>> queues = new ArrayList<>();
    private final ConcurrentLinkedQueue<Duck> ducks = new ConcurrentLinkedQueue<>();
    private final AtomicInteger opened = new AtomicInteger();
    private int taken;

    /**
     * @param files indexes in order
     * @param texts whether uids and keys are wanted: millions of texts are slow to hand over
     * @param spill folder that DuckDB may use
     */
    IndexFeed(List<Path> files, boolean texts, Path spill) {
        this.files = List.copyOf(files);
        this.texts = texts;
        this.spill = spill;
        threads = Executors.newFixedThreadPool(Math.min(THREADS, Math.max(1, files.size())), task -> {
            Thread thread = new Thread(task, "index-reader");
            thread.setDaemon(true);
            return thread;
        });
        while (queues.size() < Math.min(FILES_AHEAD, files.size())) {
            begin();
        }
    }

    private void begin() {
        Path file = files.get(queues.size());
        BlockingQueue<Item> queue = new ArrayBlockingQueue<>(BLOCKS_AHEAD);
        queues.add(queue);
        // Files are begun in their order, and each is handed on in that order: the first that is not done always has a
        // thread.
        threads.execute(() -> fill(file, queue));
    }

    private void fill(Path file, BlockingQueue<Item> queue) {
        try {
            Duck duck = ducks.poll();
            if (duck == null) {
                // Each its own folder: DuckDB's names in it are not made for two.
                duck = Duck.streaming(spill.resolveSibling(spill.getFileName() + "-" + opened.getAndIncrement()));
            }
            try {
                rows(duck, file, queue);
            } finally {
                ducks.add(duck);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // nobody reads any more
        } catch (IOException | RuntimeException | Error e) {
            hand(queue, new Item.Failed(e));
        }
    }

    private static void hand(BlockingQueue<Item> queue, Item item) {
        try {
            queue.put(item);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void rows(Duck duck, Path file, BlockingQueue<Item> queue) throws IOException, InterruptedException {
        queue.put(new Item.Begins(head(duck, file)));
        List<String> columns = List.of(
                "ordinal",
                "images",
                "length",
                "bytes",
                "special_token_literals",
                "image_literals",
                "image_hash",
                "status = 'ok'",
                texts ? "uid" : "''",
                texts ? "key" : "''");
        int[] rows = new int[1];
        Block[] current = {new Block(0, texts)};
        IndexFile.read(duck, file, columns, "", row -> {
            if (row.getInt(1) != rows[0]++) {
                throw new IllegalStateException(file + " is not in order at row " + row.getInt(1));
            }
            Block block = current[0];
            int at = block.count++;
            block.images[at] = row.getInt(2);
            block.lengths[at] = row.getInt(3);
            block.bytes[at] = row.getLong(4);
            block.specialTokenLiterals[at] = row.getInt(5);
            block.imageLiterals[at] = row.getInt(6);
            block.imageHashes[at] = row.getLong(7);
            block.used[at] = row.getBoolean(8);
            if (texts) {
                block.uids[at] = row.getString(9);
                block.keys[at] = row.getString(10);
            }
            if (block.count == BLOCK_ROWS) {
                hand(queue, new Item.Rows(block));
                if (Thread.currentThread().isInterrupted()) {
                    throw new IOException("no longer wanted");
                }
                current[0] = new Block(rows[0], texts);
            }
        });
        if (current[0].count > 0) {
            queue.put(new Item.Rows(current[0]));
        }
        queue.put(new Item.Ends(new Tail(rows[0], Digests.ofFile(file))));
    }

    private static Head head(Duck duck, Path file) throws IOException {
        if (Files.size(file) > LARGE_BYTES) {
            return head(duck, file, identity(duck, file));
        }
        String[] identity = new String[1];
        long[] refused = new long[1];
        IndexFile.read(
                duck,
                file,
                List.of(
                        "coalesce(sha256(string_agg(uid || ' ' || digest, '\n' ORDER BY ordinal)"
                                + " FILTER (status = 'ok')), '')",
                        "count(*) FILTER (status <> 'ok')"),
                "",
                row -> {
                    identity[0] = row.getString(1);
                    refused[0] = row.getLong(2);
                });
        return refused[0] == 0 ? new Head(identity[0], Map.of()) : head(duck, file, identity[0]);
    }

    /** The same digest, row by row. */
    static String identity(Duck duck, Path file) throws IOException {
        MessageDigest digest = Digests.sha256();
        int[] rows = new int[1];
        IndexFile.read(duck, file, List.of("uid", "digest"), "status = 'ok'", row -> {
            String line = (rows[0]++ == 0 ? "" : "\n") + row.getString(1) + " " + row.getString(2);
            digest.update(Digests.utf8(line));
        });
        return rows[0] == 0 ? "" : HexFormat.of().formatHex(digest.digest());
    }

    private static Head head(Duck duck, Path file, String identity) throws IOException {
        Map<Integer, Refusal> refusals = new TreeMap<>();
        IndexFile.read(duck, file, List.of("ordinal", "uid", "key", "reason", "detail"), "status <> 'ok'", row -> {
            refusals.put(row.getInt(1), new Refusal(row.getString(3), row.getString(4), row.getString(5)));
        });
        return new Head(identity, refusals);
    }

    /**
     * Hands on the next index.
     *
     * @throws IllegalStateException when there is none, or when the thread is interrupted
     */
    Tail next(Reader reader) throws IOException {
        if (taken == files.size()) {
            throw new IllegalStateException("there are " + taken + " indexes");
        }
        BlockingQueue<Item> queue = queues.get(taken++);
        while (true) {
            Item item;
            try {
                item = queue.take();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("interrupted while an index was read", e);
            }
            switch (item) {
                case Item.Begins(Head head) -> reader.head(head);
                case Item.Rows(Block block) -> reader.block(block);
                case Item.Ends(Tail tail) -> {
                    queues.set(taken - 1, new ArrayBlockingQueue<>(1));
                    if (queues.size() < files.size()) {
                        begin();
                    }
                    return tail;
                }
                case Item.Failed(IOException e) -> throw e;
                case Item.Failed(RuntimeException e) -> throw e;
                case Item.Failed(Error e) -> throw e;
                case Item.Failed(Throwable e) -> throw new IllegalStateException(e);
            }
        }
    }

    /** Ends the threads; what they still read is thrown away. */
    @Override
    public void close() {
        threads.shutdownNow();
        boolean interrupted = false;
        while (true) {
            try {
                if (threads.awaitTermination(1, TimeUnit.MINUTES)) {
                    break;
                }
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        ducks.forEach(Duck::close);
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
