package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.Checkpoints;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.checkpoint.CheckpointWriter;
import io.vlmoperator.trainer.checkpoint.Durable;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.Retention;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.FusedAdamW;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;

/** Saves checkpoints with the other ranks, and deletes the ones that the rule does not keep. All ranks call it at the same steps. */
final class Saver {
    /** Without an answer of the operator for so long nobody knows what is referred to, so nothing is deleted. */
    private static final Duration PINS_LAST = Duration.ofMinutes(10);

    private static final int MAX_LISTED = 10;

    private final FrozenJob job;
    private final RunFolder run;
    private final Optional<RunFolder.Fence> fence;
    private final CheckpointWriter writer;
    private final Communicator communicator;
    private final VisionLanguageModel model;
    private final FusedAdamW optimizer;
    private final byte[] tokenizer;
    private final Progress progress;
    private final Faults faults;
    private final RunFacts facts;
    private final Consumer<String> log;
    private final TreeMap<Long, Checkpoint> known = new TreeMap<>(Comparator.reverseOrder());
    private long saved;
    private long lastMillis;

    /**
     * @param fence of rank 0; empty on the others
     * @param tokenizer the file's content: the checkpoint it was read from may be deleted while the run goes on
     */
    Saver(
            Trainer.Context context,
            RunFolder run,
            Optional<RunFolder.Fence> fence,
            VisionLanguageModel model,
            FusedAdamW optimizer,
            byte[] tokenizer) {
        this.job = context.job();
        this.run = run;
        this.fence = fence;
        this.writer = new CheckpointWriter(run, job.attempt(), context.faults());
        this.communicator = context.communicator();
        this.model = model;
        this.optimizer = optimizer;
        this.tokenizer = tokenizer;
        this.progress = context.progress();
        this.faults = context.faults();
        this.facts = context.facts();
        this.log = context.log();
    }

    /** Takes over what earlier attempts saved. */
    void resume(long step) throws IOException {
        saved = step;
        if (fence.isPresent()) {
            for (RunFolder.Complete complete : run.complete()) {
                if (complete.step() <= step) {
                    list(complete);
                }
            }
            publishFacts();
        }
    }

    /** One that can't be read must not keep the run from going on with a newer one. */
    private void list(RunFolder.Complete complete) {
        try {
            Manifest manifest = complete.read();
            known.put(complete.step(), describe(manifest, Durable.digest(complete.manifest())));
        } catch (IOException e) {
            String line = "checkpoint of step " + complete.step() + " is not listed: " + e.getMessage();
            log.accept(line);
            facts.warn(line);
        }
    }

    /** The newest saved step; 0 for none. */
    long savedStep() {
        return saved;
    }

    /** How long the last save took on this rank. */
    long lastMillis() {
        return lastMillis;
    }

    void save(long step, long tokens, double loss) {
        long start = System.nanoTime();
        try {
            List<Manifest.FileEntry> files = new ArrayList<>();
            Manifest.FileEntry own = writer.writePart(
                    step,
                    communicator.rank(),
                    communicator.world(),
                    model.weights().values().data(),
                    optimizer.firstMoment().data(),
                    optimizer.secondMoment().data());
            for (byte[] entry : communicator.allGather(Json.bytes(own))) {
                files.add(Json.read(entry, Manifest.FileEntry.class));
            }
            if (fence.isPresent()) {
                publish(fence.get(), step, tokens, loss, files);
            }
        } catch (IOException e) {
            throw run.failed(job.attempt(), "saving step " + step + " in", e);
        }
        // Nobody goes on before it counts: a step after it is never lost without this one being there.
        communicator.barrier();
        saved = step;
        lastMillis = (System.nanoTime() - start) / 1_000_000;
        if (fence.isPresent()) {
            log.accept("saved step " + step + " in " + lastMillis + " ms: "
                    + known.get(step).location());
        }
    }

    private void publish(RunFolder.Fence owner, long step, long tokens, double loss, List<Manifest.FileEntry> files)
            throws IOException {
        writer.writeFrozen(step, model.weights()).ifPresent(files::add);
        files.add(writer.writeTokenizer(step, tokenizer));
        Manifest manifest = new Manifest(
                Manifest.FORMAT_VERSION,
                step,
                tokens,
                communicator.world(),
                job.attempt(),
                Instant.now().toString(),
                Double.isFinite(loss) ? loss : null,
                SpecDigest.of(SpecDigest.training(job)),
                job.datasets().stream()
                        .map(FrozenJob.ResolvedDataset::digest)
                        .map(d -> d == null ? "" : d)
                        .toList(),
                Trainer.CODE_VERSION,
                model.config(),
                model.trained().stream().sorted().toList(),
                model.weights().trained().stream()
                        .map(p -> new Manifest.Piece(p.name(), p.shape()))
                        .toList(),
                files);
        String digest = writer.publish(owner, manifest);
        known.put(step, describe(manifest, digest));
        publishFacts();
        prune(owner);
    }

    private void prune(RunFolder.Fence owner) throws IOException {
        if (!progress.heardWithin(PINS_LAST)) {
            log.accept("no checkpoint is deleted: the operator has not answered for 10 minutes, so it is unknown which"
                    + " ones are referred to");
            return;
        }
        Set<Long> keep = Retention.keep(losses(), rule(), progress.pins());
        for (long deleted : Retention.prune(run, owner, keep, faults)) {
            known.remove(deleted);
        }
        publishFacts();
    }

    private Checkpoints.Keep rule() {
        return SpecDigest.training(job).checkpoints().keep();
    }

    private Map<Long, Double> losses() {
        Map<Long, Double> losses = new TreeMap<>();
        known.forEach(
                (step, checkpoint) -> losses.put(step, checkpoint.loss() == null ? Double.NaN : checkpoint.loss()));
        return losses;
    }

    private void publishFacts() {
        List<Long> best = Retention.best(losses(), rule());
        facts.saved(
                known.values().stream().limit(MAX_LISTED).toList(),
                best.isEmpty() ? Optional.empty() : Optional.of(known.get(best.getFirst())));
    }

    private Checkpoint describe(Manifest manifest, String digest) {
        return new Checkpoint(
                manifest.step(),
                manifest.time(),
                location(SpecDigest.training(job).output().location(), "checkpoints", manifest.step()),
                digest,
                manifest.bytes(),
                manifest.loss());
    }

    /** A step's folder as a location, below that of the run. */
    static String location(String output, String kind, long step) {
        return output.replaceFirst("/+$", "") + "/" + kind + "/step-%09d".formatted(step);
    }
}
