package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.util.Locale;
import java.util.Optional;

/** Walks a file of documents: a JSON array, JSON lines, or a tar of {@code .json} members. The uid of a sample is its place. */
final class DocumentIndexer implements ShardIndexer {
    private final Shard shard;
    private final SampleRules rules;

    DocumentIndexer(Shard shard, SampleRules rules) {
        this.shard = shard;
        this.rules = rules;
    }

    @Override
    public void walk(FileChannel channel, Sink sink) throws IOException {
        boolean any =
                shard.path().getFileName().toString().toLowerCase(Locale.ROOT).endsWith(".tar")
                        ? tar(channel, sink)
                        : lines(channel, sink);
        if (!any) {
            sink.row(IndexRow.rejected("", "", RejectReason.EmptyShard, "the file holds no document"));
        }
    }

    private boolean lines(FileChannel channel, Sink sink) throws IOException {
        try (FileChannel own = FileChannel.open(shard.path())) {
            ConversationScanner scanner = new ConversationScanner(Channels.newInputStream(own));
            for (int number = 0; ; number++) {
                Optional<ConversationScanner.Range> next;
                try {
                    next = scanner.next();
                } catch (RejectedException e) {
                    sink.row(IndexRow.rejected("", "", e.reason(), e.getMessage()));
                    return true;
                }
                if (next.isEmpty()) {
                    return number > 0;
                }
                submit(
                        channel,
                        Integer.toString(number),
                        next.get().offset(),
                        next.get().size(),
                        sink);
            }
        }
    }

    private boolean tar(FileChannel channel, Sink sink) throws IOException {
        TarReader tar = new TarReader(channel);
        boolean any = false;
        while (true) {
            Optional<TarReader.Member> next;
            try {
                next = tar.next();
            } catch (RejectedException e) {
                any = true;
                sink.row(IndexRow.rejected("", "", e.reason(), e.getMessage()));
                continue; // after a fatal one the next call says it is the end
            }
            if (next.isEmpty()) {
                return any;
            }
            any = true;
            TarReader.Member member = next.get();
            if (member.name().toLowerCase(Locale.ROOT).endsWith(".json")) {
                submit(channel, member.name(), member.offset(), member.size(), sink);
            } else {
                sink.row(IndexRow.rejected(
                        "", member.name(), RejectReason.UnsupportedMember, "a tar of documents holds .json only"));
            }
        }
    }

    private void submit(FileChannel channel, String key, long offset, long size, Sink sink) {
        sink.sample(Math.min(size, ConversationScanner.MAX_OBJECT), () -> row(channel, key, offset, size));
    }

    private IndexRow row(FileChannel channel, String key, long offset, long size) throws IOException {
        String uid = Digests.short128(Digests.utf8(shard.location()), Digests.utf8(key));
        String shown = key;
        try {
            if (size > ConversationScanner.MAX_OBJECT) {
                throw new RejectedException(
                        RejectReason.JsonInvalid, size + " bytes, at most " + ConversationScanner.MAX_OBJECT);
            }
            byte[] json = Storage.read(channel, offset, (int) size);
            Document document = Document.parse(json);
            shown = document.id().isEmpty() ? key : key + " (id " + document.id() + ")";
            byte[][] parts = document.parts(json, shard.images());
            long bytes = json.length;
            SampleRules.Image first = null;
            for (int i = 1; i < parts.length; i++) {
                SampleRules.Image decoded = rules.image(parts[i]);
                first = i == 1 ? decoded : first;
                bytes += shard.images().isPresent() ? parts[i].length : 0;
            }
            EncodedText text = Templates.interleaved(rules.tokenizer(), document.texts());
            rules.length(text);
            int literals = 0;
            for (Optional<String> piece : document.texts()) {
                literals += piece.map(rules.tokenizer()::specialTokenLiterals).orElse(0);
            }
            return new IndexRow(
                    uid,
                    IndexRow.cut(shown),
                    0,
                    0,
                    SampleRules.imageType(parts[1]),
                    first.width(),
                    first.height(),
                    offset,
                    (int) size,
                    0,
                    0,
                    text.textTokens(),
                    document.images().size(),
                    (int) text.length(rules.pack().tokensPerImage()),
                    bytes,
                    Digests.short128(parts),
                    0,
                    "",
                    "",
                    literals,
                    document.imageLiterals());
        } catch (RejectedException e) {
            return IndexRow.rejected(uid, shown, e.reason(), e.getMessage());
        }
    }
}
