package io.vlmoperator.trainer.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.vlmoperator.trainer.data.TarReader.Member;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Walks a WebDataset tar: adjacent members with one key (the name up to the first dot of its last part) are a sample of image, caption
 * ({@code txt}) and, possibly, {@code json}.
 */
final class CaptionIndexer implements ShardIndexer {
    private static final Set<String> IMAGES = Set.of("jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff");
    /** Members of one sample that are looked at; a key with more begins another sample. */
    private static final int MAX_MEMBERS = 64;

    private final Shard shard;
    private final SampleRules rules;

    CaptionIndexer(Shard shard, SampleRules rules) {
        this.shard = shard;
        this.rules = rules;
    }

    @Override
    public void walk(FileChannel channel, Sink sink) throws IOException {
        TarReader tar = new TarReader(channel);
        Group group = new Group("");
        boolean any = false;
        while (true) {
            Optional<Member> next;
            try {
                next = tar.next();
            } catch (RejectedException e) {
                any = true; // the complaint says what is wrong with the shard
                sink.row(IndexRow.rejected("", "", e.reason(), e.getMessage()));
                continue; // after a fatal one the next call says it is the end
            }
            if (next.isEmpty()) {
                break;
            }
            any = true;
            String name = next.get().name();
            int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
            String key = dot < 0 ? name : name.substring(0, dot);
            String extension = dot < 0 ? "" : name.substring(dot + 1).toLowerCase(Locale.ROOT);
            String kind = IMAGES.contains(extension) ? "image" : extension;
            if (!key.equals(group.key) || group.members.containsKey(kind) || group.members.size() == MAX_MEMBERS) {
                submit(channel, group, sink);
                group = new Group(key);
            }
            group.members.put(kind, next.get());
        }
        submit(channel, group, sink);
        if (!any) {
            sink.row(IndexRow.rejected("", "", RejectReason.EmptyShard, "the tar holds no file"));
        }
    }

    private void submit(FileChannel channel, Group group, Sink sink) {
        if (!group.members.isEmpty()) {
            long bytes = 0;
            for (Member member : group.members.values()) {
                bytes += member.size();
            }
            sink.sample(bytes, () -> row(channel, group));
        }
    }

    private static final class Group {
        final String key;
        final Map<String, Member> members = new LinkedHashMap<>();

        Group(String key) {
            this.key = key;
        }
    }

    private IndexRow row(FileChannel channel, Group group) throws IOException {
        String uid = Digests.short128(Digests.utf8(shard.location()), Digests.utf8(group.key));
        try {
            Member json = group.members.get("json");
            if (json != null) {
                uid = uid(read(channel, json, ConversationScanner.MAX_OBJECT, RejectReason.JsonInvalid), uid);
            }
            Member image = require(group.members.get("image"), RejectReason.ImageMissing, "no image beside it");
            Member text = require(group.members.get("txt"), RejectReason.CaptionMissing, "no .txt beside it");
            byte[] pixels = read(channel, image, SampleRules.MAX_IMAGE_BYTES, RejectReason.ImageTooLarge);
            byte[] captionBytes = read(channel, text, SampleRules.MAX_CAPTION_BYTES, RejectReason.CaptionTooLong);
            SampleRules.Image decoded = rules.image(pixels);
            String caption = SampleRules.utf8(captionBytes);
            if (caption.isBlank()) {
                throw new RejectedException(RejectReason.CaptionEmpty, "an empty caption");
            }
            rules.text(caption);
            EncodedText encoded = Templates.caption(rules.tokenizer(), caption);
            int captionTokens = encoded.textTokens() - 2; // without begin and end
            if (captionTokens > rules.reject().maxCaptionTokens()) {
                throw new RejectedException(
                        RejectReason.CaptionTooLong,
                        captionTokens + " tokens, at most " + rules.reject().maxCaptionTokens());
            }
            if (captionTokens < rules.reject().minCaptionTokens()) {
                throw new RejectedException(
                        RejectReason.CaptionTooShort,
                        captionTokens + " tokens, at least " + rules.reject().minCaptionTokens());
            }
            rules.length(encoded);
            return new IndexRow(
                    uid,
                    IndexRow.cut(group.key),
                    image.offset(),
                    (int) image.size(),
                    SampleRules.imageType(pixels),
                    decoded.width(),
                    decoded.height(),
                    text.offset(),
                    (int) text.size(),
                    json == null ? 0 : json.offset(),
                    json == null ? 0 : (int) json.size(),
                    encoded.textTokens(),
                    1,
                    (int) encoded.length(rules.pack().tokensPerImage()),
                    image.size() + text.size(),
                    Digests.short128(captionBytes, pixels),
                    rules.imageHash(pixels, decoded),
                    "",
                    "",
                    rules.tokenizer().specialTokenLiterals(caption),
                    SampleRules.count(caption, Tokenizer.IMAGE));
        } catch (RejectedException e) {
            return IndexRow.rejected(uid, group.key, e.reason(), e.getMessage());
        }
    }

    /** DataComp's uid, where the json has one. */
    private static String uid(byte[] bytes, String otherwise) throws RejectedException {
        JsonNode json = ConversationParser.json(bytes);
        if (!json.path("key").isValueNode() || json.path("key").isNull()) {
            throw new RejectedException(RejectReason.JsonWithoutKey, "the .json has no 'key'");
        }
        String uid = json.path("uid").asText("");
        ConversationParser.requirePairs(uid);
        return uid.isEmpty() ? otherwise : uid.length() <= 128 ? uid : Digests.short128(Digests.utf8(uid));
    }

    private static Member require(Member member, RejectReason reason, String detail) throws RejectedException {
        if (member == null) {
            throw new RejectedException(reason, detail);
        }
        return member;
    }

    private static byte[] read(FileChannel channel, Member member, int limit, RejectReason reason)
            throws IOException, RejectedException {
        if (member.size() > limit) {
            throw new RejectedException(reason, member.size() + " bytes, at most " + limit);
        }
        return Storage.read(channel, member.offset(), (int) member.size());
    }
}
