package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import java.io.IOException;
import java.util.Optional;

/** Puts a run that goes on back to a checkpoint ({@code failure.nonFinite.action: Rewind}). */
final class Rewinding {
    private Rewinding() {}

    /**
     * Reads weights and moments back. All ranks call it with the same numbers.
     *
     * @param checkpoint step of a complete one; 0 for none
     * @param optimizer between two steps
     * @param step the one that could not be used
     * @param what was wrong with it
     * @return tokens that the weights have seen
     * @throws TrainerException NonFinite without a checkpoint, InvalidData when it is damaged
     */
    static long to(
            long checkpoint,
            RunFolder run,
            VisionLanguageModel model,
            ShardedOptimizer optimizer,
            Guard guard,
            long step,
            String what)
            throws IOException {
        if (checkpoint == 0) {
            throw Guard.stop(what + "; there is no checkpoint yet to rewind to. The weights were not changed. Lower"
                    + " optimizer.learningRate, lengthen the warm-up, or choose failure.nonFinite.action Skip");
        }
        ModelLoader.Source source = ModelLoader.find(run.path(), Optional.of(checkpoint));
        Manifest manifest = source.manifest().orElseThrow();
        optimizer.reload(() -> ModelLoader.readWeights(source, model.weights()));
        ModelLoader.readMoments(source, model.weights(), optimizer.state());
        guard.rewound(checkpoint, Optional.ofNullable(manifest.guarded()), step);
        return manifest.tokens();
    }
}
