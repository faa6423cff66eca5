package io.vlmoperator.trainer.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * {@code dataset.json}: published last, so a folder with it is a whole Dataset.
 *
 * @param form Captions or Conversations
 * @param specDigest of the parts of the spec that decide about samples and rows
 * @param summary counts, as in the resource's status; its digest identifies samples and plan
 * @param planDigest of plan.parquet; empty for conversations
 * @param specialTokenLiterals control tokens that stood literally in used texts, and stay text
 * @param imageLiterals literal image places that were renamed
 * @param notSelected usable samples that {@code select} left out
 * @param padding positions of all rows' contexts that hold no token
 * @param unreadableScores samples of which a filter model that {@code select} names said no number
 * @param index one entry per shard, in order; sample numbers count the rows of all of them, rejected ones included
 */
public record DatasetManifest(
        int formatVersion,
        String form,
        String specDigest,
        int contextLength,
        int tokensPerImage,
        DatasetSummary summary,
        String planDigest,
        long specialTokenLiterals,
        long imageLiterals,
        long notSelected,
        long padding,
        long unreadableScores,
        List<IndexEntry> index) {
    static final int FORMAT_VERSION = 2;
    static final String FILE = "dataset.json";
    static final String PLAN = "plan.parquet";
    static final String REJECTS = "rejects.jsonl";
    static final String INDEX = "index";

    private static final long MAX_BYTES = 1L << 30;
    private static final ObjectMapper JSON =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);

    public DatasetManifest {
        index = index == null ? List.of() : List.copyOf(index);
    }

    /**
     * @param file name under {@code index/}
     * @param shard location of the tar or the conversations
     * @param images location of the images of conversations; empty for tars
     * @param rows number of index rows
     * @param digest of the index file
     */
    public record IndexEntry(String file, String source, String shard, String images, int rows, String digest) {}

    /**
     * @throws TrainerException InvalidConfiguration when the folder is no Dataset or one of a newer version
     */
    static DatasetManifest read(Path folder) {
        Path file = folder.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw TrainerException.configuration(
                    folder + " holds no " + FILE + ": it is no Dataset, or its Dataset is not complete yet");
        }
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw TrainerException.configuration(file + " is larger than 1 GiB");
            }
            DatasetManifest manifest = JSON.readValue(Files.readAllBytes(file), DatasetManifest.class);
            if (manifest.formatVersion != FORMAT_VERSION) {
                throw TrainerException.configuration(file + " has format version " + manifest.formatVersion
                        + "; this trainer reads " + FORMAT_VERSION + "; make the Dataset again or use a newer trainer");
            }
            if (manifest.summary == null || manifest.form == null) {
                throw TrainerException.configuration(file + " is damaged: no summary; make the Dataset again");
            }
            return manifest;
        } catch (JsonProcessingException e) {
            throw new TrainerException(
                    io.vlmoperator.api.run.ExitCode.InvalidConfiguration,
                    file + " is damaged: " + e.getOriginalMessage() + "; make the Dataset again",
                    e);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + file + ": " + e.getMessage(), e);
        }
    }

    void publish(Path folder) {
        Storage.publish(
                folder.resolve(FILE),
                temporary -> JSON.writerWithDefaultPrettyPrinter()
                        .writeValue(Buckets.local(temporary).toFile(), this));
    }

    static String json(Object value) {
        try {
            return JSON.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("records of plain values", e);
        }
    }
}
