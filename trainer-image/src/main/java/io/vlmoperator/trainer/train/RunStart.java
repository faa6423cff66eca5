package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Verifier;
import io.vlmoperator.trainer.dist.Communicator;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;

/** Finds out where an attempt begins: from nothing, or from the newest checkpoint that is whole and of the same spec and data. */
final class RunStart {
    private final Trainer.Context context;
    private final FrozenJob job;
    private final TrainingSpec spec;
    private final Communicator communicator;
    private final RunFolder run;

    RunStart(Trainer.Context context, RunFolder run) {
        this.context = context;
        this.job = context.job();
        this.spec = SpecDigest.training(job);
        this.communicator = context.communicator();
        this.run = run;
    }

    private boolean leads() {
        return communicator.rank() == 0;
    }

    private void log(String line) {
        if (leads()) {
            context.log().accept(line);
        }
    }

    /**
     * Where this attempt begins, the same on all ranks: rank 0 looks and tells.
     *
     * @param attempt that wrote the checkpoint
     * @param writer uid of the resource of that attempt
     */
    record Start(Long step, Integer attempt, String writer, List<String> damaged) {
        ModelLoader.Source source(RunFolder run) {
            return ModelLoader.find(run.path(), Optional.of(step));
        }
    }

    /**
     * Finds the newest whole checkpoint; to be called by all ranks.
     *
     * @throws TrainerException InvalidConfiguration when it was made from another spec or other data
     */
    Start find() throws IOException {
        byte[] told = new byte[0];
        context.facts().doing(leads() ? "checking the checkpoints" : "waiting for rank 0 to choose a checkpoint");
        if (leads()) {
            Verifier.Newest newest = Verifier.newestWhole(run);
            if (newest.checkpoint().isPresent()) {
                requireSameRun(newest.checkpoint().get().read());
            }
            int attempt = newest.checkpoint().map(RunFolder.Complete::attempt).orElse(0);
            told = Json.bytes(new Start(
                    newest.checkpoint().map(RunFolder.Complete::step).orElse(0L),
                    attempt,
                    run.job(attempt).orElse("unknown"),
                    newest.damaged().stream().limit(5).toList()));
        }
        Start start = Json.read(communicator.allGather(told)[0], Start.class);
        start.damaged().forEach(line -> {
            log(line);
            context.facts().warn(line);
        });
        if (start.step() == 0) {
            log("fresh start");
        } else {
            String line = "resumes after step " + start.step() + " of attempt " + start.attempt() + " in "
                    + spec.output().location() + ", written by resource uid " + start.writer();
            log(line);
            if (!start.writer().equals(job.uid())) {
                // The same spec applied again: its author may have wanted a run of its own.
                context.facts().warn(line + "; for a run from the start choose another output.location");
            }
        }
        return start;
    }

    /** Before the fence is taken: a job that may not write here must not throw out the one that does. */
    void requireFolderOfThisSpec() throws IOException {
        if (!Files.isDirectory(run.path())) {
            return;
        }
        for (RunFolder.Complete candidate : run.complete()) {
            Manifest manifest;
            try {
                manifest = candidate.read();
            } catch (IOException damaged) {
                continue; // named when the newest whole one is looked for
            }
            requireSameRun(manifest);
            return;
        }
    }

    private void requireSameRun(Manifest manifest) {
        if (!SpecDigest.of(spec).equals(manifest.specDigest())) {
            throw TrainerException.configuration("the run folder " + run.path()
                    + " holds checkpoints of another spec; choose another output.location, or delete the folder");
        }
        List<String> wanted = job.datasets().stream()
                .map(FrozenJob.ResolvedDataset::digest)
                .map(d -> d == null ? "" : d)
                .toList();
        if (!wanted.equals(manifest.datasetDigests())) {
            throw TrainerException.configuration("the run folder " + run.path()
                    + " holds checkpoints trained on other data (" + manifest.datasetDigests() + ", now " + wanted
                    + "); choose another output.location, or delete the folder");
        }
    }
}
