package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.data.ConversationParser.Parsed;
import io.vlmoperator.trainer.data.ConversationScanner.Range;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** Walks a file of conversations. The uid of a sample is its place: ids in such files name pictures and repeat. */
final class ConversationIndexer implements ShardIndexer {
    private static final int MAX_CHECKED = 200_000;

    private final Shard shard;
    private final SampleRules rules;
    /** Pictures that were decoded and found right, by the digest of their file; conversations share them. */
    private final ConcurrentHashMap<String, Size> checked = new ConcurrentHashMap<>();

    private record Size(int width, int height) {}

    ConversationIndexer(Shard shard, SampleRules rules) {
        this.shard = shard;
        this.rules = rules;
    }

    @Override
    public void walk(FileChannel channel, Sink sink) throws IOException {
        try (FileChannel own = FileChannel.open(shard.path())) {
            ConversationScanner scanner = new ConversationScanner(Channels.newInputStream(own));
            for (int number = 0; ; number++) {
                Optional<Range> next;
                try {
                    next = scanner.next();
                } catch (RejectedException e) {
                    sink.row(IndexRow.rejected("", "", e.reason(), e.getMessage()));
                    break;
                }
                if (next.isEmpty()) {
                    if (number == 0) {
                        sink.row(IndexRow.rejected("", "", RejectReason.EmptyShard, "the file holds no conversation"));
                    }
                    break;
                }
                Range range = next.get();
                int at = number;
                sink.sample(range.size(), () -> row(channel, range, at));
            }
        }
    }

    private Size check(byte[] image) throws RejectedException {
        String key = Digests.short128(image);
        Size known = checked.get(key);
        if (known != null) {
            return known;
        }
        Pixels decoded = rules.image(image);
        Size size = new Size(decoded.width(), decoded.height());
        if (checked.size() < MAX_CHECKED) {
            checked.put(key, size);
        }
        return size;
    }

    private IndexRow row(FileChannel channel, Range range, int number) throws IOException {
        String uid = Digests.short128(Digests.utf8(shard.location()), Digests.utf8(Integer.toString(number)));
        String key = Integer.toString(number);
        try {
            if (range.size() > ConversationScanner.MAX_OBJECT) {
                throw new RejectedException(
                        RejectReason.JsonInvalid, range.size() + " bytes, at most " + ConversationScanner.MAX_OBJECT);
            }
            byte[] json = Storage.read(channel, range.offset(), (int) range.size());
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
                byte[] image = ImageFolder.read(shard.images(), parsed.images().get(i));
                Size size = check(image);
                if (i == 0) {
                    width = size.width();
                    height = size.height();
                    type = SampleRules.imageType(image);
                }
                parts[1 + i] = image;
                bytes += image.length;
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
