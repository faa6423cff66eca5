package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.TrainerException;
import java.nio.file.Path;
import java.util.List;

/** A model that says of an image and its caption how good they are, on MLM-Filter's four scales. */
public interface FilterModel extends AutoCloseable {
    /**
     * A sample to judge.
     *
     * @param pixels of {@link #pixels}
     */
    @SuppressWarnings("ArrayRecordComponent") // handed on at once
    record Sample(String caption, float[] pixels) {}

    /** Finds models. */
    interface Opener {
        /** Finds none: for work that needs no scores. */
        Opener NONE = folder -> {
            throw TrainerException.configuration("select by score needs a filter model, which can't be run here");
        };

        /**
         * Verifies the model; it is read when it is first asked.
         *
         * @throws TrainerException InvalidConfiguration or InvalidData when there is none that can be used
         */
        FilterModel open(Path folder);
    }

    /** What tells this model, its prompts and its decoding from others: scores are kept by it. */
    String digest();

    /** Samples to ask about at once. */
    int batch();

    /**
     * The picture as the model takes it. Safe for use by several threads.
     *
     * @throws RejectedException when the file is no picture that is read
     */
    float[] pixels(byte[] file) throws RejectedException;

    /** What the model says to each sample, as text; its first line should be a number from 0 to 100. */
    List<String> ask(Select.Metric metric, List<Sample> samples);

    @Override
    void close();
}
