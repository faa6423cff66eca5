package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.data.ConversationParser.Parsed;
import io.vlmoperator.trainer.data.ConversationScanner.Range;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Walks a file of conversations. The uid of a sample is its place: ids in such files name pictures and repeat. */
final class ConversationIndexer implements ShardIndexer {
    /** Conversations that are read and checked together: one by one, handing them over would cost more than the work. */
    private static final int BATCH = 128;

    private static final int BATCH_BYTES = 1 << 20;

    private final Shard shard;
    private final SampleRules rules;
    private final CheckedImages images;
    private final byte[] location;

    ConversationIndexer(Shard shard, SampleRules rules) {
        this.shard = shard;
        this.rules = rules;
        images = new CheckedImages(rules);
        location = Digests.utf8(shard.location());
    }

    @Override
    public void walk(FileChannel channel, Sink sink) throws IOException {
        try (FileChannel own = FileChannel.open(shard.path())) {
            ConversationScanner scanner = new ConversationScanner(Channels.newInputStream(own));
            List<Range> batch = new ArrayList<>();
            int first = 0;
            while (true) {
                Optional<Range> next = Optional.empty();
                Optional<IndexRow> complaint = Optional.empty();
                try {
                    next = scanner.next();
                } catch (RejectedException e) {
                    complaint = Optional.of(IndexRow.rejected("", "", e.reason(), e.getMessage()));
                }
                boolean full = batch.size() == BATCH
                        || next.isPresent()
                                && !batch.isEmpty()
                                && end(next.get()) - batch.getFirst().offset() > BATCH_BYTES;
                if (next.isEmpty() || full) {
                    submit(channel, batch, first, sink);
                    first += batch.size();
                    batch = new ArrayList<>();
                }
                if (next.isEmpty()) {
                    if (complaint.isEmpty() && first == 0) {
                        complaint = Optional.of(
                                IndexRow.rejected("", "", RejectReason.EmptyShard, "the file holds no conversation"));
                    }
                    complaint.ifPresent(sink::row);
                    return;
                }
                batch.add(next.get());
            }
        }
    }

    private static long end(Range range) {
        return range.offset() + range.size();
    }

    private void submit(FileChannel channel, List<Range> batch, int first, Sink sink) {
        if (batch.isEmpty()) {
            return;
        }
        long bytes = Math.min(end(batch.getLast()) - batch.getFirst().offset(), ConversationScanner.MAX_OBJECT);
        sink.samples(bytes, () -> rows(channel, batch, first));
    }

    private List<IndexRow> rows(FileChannel channel, List<Range> batch, int first) throws IOException {
        long start = batch.getFirst().offset();
        long size = end(batch.getLast()) - start;
        // One that is too large stands alone.
        byte[] together =
                size > ConversationScanner.MAX_OBJECT ? new byte[0] : Storage.read(channel, start, (int) size);
        List<IndexRow> rows = new ArrayList<>(batch.size());
        for (int i = 0; i < batch.size(); i++) {
            Range range = batch.get(i);
            int from = (int) (range.offset() - start);
            rows.add(
                    range.size() > ConversationScanner.MAX_OBJECT
                            ? tooLarge(range, first + i)
                            : row(range, Arrays.copyOfRange(together, from, from + (int) range.size()), first + i));
        }
        return rows;
    }

    private String uid(int number) {
        return Digests.short128(location, Digests.utf8(Integer.toString(number)));
    }

    private IndexRow tooLarge(Range range, int number) {
        return IndexRow.rejected(
                uid(number),
                Integer.toString(number),
                RejectReason.JsonInvalid,
                range.size() + " bytes, at most " + ConversationScanner.MAX_OBJECT);
    }

    private IndexRow row(Range range, byte[] json, int number) throws IOException {
        String uid = uid(number);
        String key = Integer.toString(number);
        try {
            Parsed parsed = ConversationParser.parse(json);
            if (!parsed.id().isEmpty()) {
                key = number + " (id " + parsed.id() + ")";
            }
            byte[][] parts = new byte[1 + parsed.images().size()][];
            parts[0] = json;
            long bytes = json.length;
            int width = 0;
            int height = 0;
            String type = "";
            for (int i = 0; i < parsed.images().size(); i++) {
                String name = parsed.images().get(i);
                CheckedImages.Image image = images.get(name, () -> ImageFolder.read(shard.images(), name));
                if (i == 0) {
                    width = image.width();
                    height = image.height();
                    type = image.type();
                }
                parts[1 + i] = image.data();
                bytes += image.data().length;
            }
            EncodedText chat = Templates.chatML(rules.tokenizer(), parsed.conversation());
            rules.length(chat);
            int literals = 0;
            for (var turn : parsed.conversation().turns()) {
                literals += rules.tokenizer().specialTokenLiterals(turn.text());
            }
            return new IndexRow(
                    uid,
                    IndexRow.cut(key),
                    0,
                    0,
                    type,
                    width,
                    height,
                    range.offset(),
                    (int) range.size(),
                    0,
                    0,
                    chat.textTokens(),
                    parsed.images().size(),
                    (int) chat.length(rules.pack().tokensPerImage()),
                    bytes,
                    Digests.short128(parts),
                    0,
                    "",
                    "",
                    literals,
                    parsed.imageLiterals());
        } catch (RejectedException e) {
            return IndexRow.rejected(uid, key, e.reason(), e.getMessage());
        }
    }
}
