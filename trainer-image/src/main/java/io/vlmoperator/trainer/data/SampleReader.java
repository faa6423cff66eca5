package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.SFTJobSpec.Template;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Templates;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.util.List;

/** Reads samples of the forms: tokens, and the files of their pictures. */
record SampleReader(Tokenizer tokenizer, Template template) {
    /**
     * A sample before its pictures are decoded.
     *
     * @param images files in the order of their places
     */
    record Raw(EncodedText text, List<byte[]> images) {}

    /**
     * @throws RejectedException when what was good no longer is
     * @throws TrainerException InvalidData when the bytes are not those that were indexed
     */
    Raw read(SampleTable table, int sample) throws IOException, RejectedException {
        return switch (table.form()) {
            case Captions -> caption(table, sample);
            case Conversations -> conversation(table, sample);
            case Interleaved -> document(table, sample);
        };
    }

    private Raw caption(SampleTable table, int sample) throws IOException, RejectedException {
        SampleTable.Bytes bytes = table.read(sample);
        byte[] image = bytes.image().orElseThrow();
        requireIndexed(table, sample, bytes.text(), image);
        return new Raw(Templates.caption(tokenizer, SampleRules.utf8(bytes.text())), List.of(image));
    }

    private Raw conversation(SampleTable table, int sample) throws IOException, RejectedException {
        byte[] json = table.read(sample).text();
        ConversationParser.Parsed parsed = ConversationParser.parse(json);
        byte[][] parts = new byte[1 + parsed.images().size()][];
        parts[0] = json;
        for (int i = 0; i < parsed.images().size(); i++) {
            parts[1 + i] =
                    ImageFolder.read(table.imageFolder(sample), parsed.images().get(i));
        }
        requireIndexed(table, sample, parts);
        EncodedText text = switch (template) {
            case ChatML -> Templates.chatML(tokenizer, parsed.conversation());
            case PaperCompatible ->
                Templates.paper(tokenizer, parsed.conversation().turns(), Templates.Paper.Late);
        };
        if (text.images() != parsed.images().size()) {
            throw new RejectedException(
                    RejectReason.ImagePlaces, "the paper's layout takes images in the first turn only");
        }
        return new Raw(text, List.of(parts).subList(1, parts.length));
    }

    private Raw document(SampleTable table, int sample) throws IOException, RejectedException {
        byte[] json = table.read(sample).text();
        Document document = Document.parse(json);
        byte[][] parts = document.parts(json, table.imageFolder(sample));
        requireIndexed(table, sample, parts);
        return new Raw(
                Templates.interleaved(tokenizer, document.texts()),
                List.of(parts).subList(1, parts.length));
    }

    private static void requireIndexed(SampleTable table, int sample, byte[]... parts) {
        if (!table.isIndexed(sample, parts)) {
            throw TrainerException.data(
                    table.describe(sample) + " changed since the Dataset was made; make the Dataset again");
        }
    }
}
