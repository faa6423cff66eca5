package io.vlmoperator.demo;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.EvalJob;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.api.status.EvalJobStatus;
import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.api.status.TrainingStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * One resource as the board shows it.
 *
 * @param facts what there is to say beside the phase: steps, loss, rates, checkpoint, scores
 * @param message why it waits or failed; empty when all is well
 */
record Row(String kind, String name, Phase phase, String facts, String message) {

    static Row of(HasMetadata resource) {
        String name = resource.getMetadata().getName();
        return switch (resource) {
            case Dataset dataset -> of("Dataset", name, dataset.getStatus());
            case PretrainJob job -> of("PretrainJob", name, job.getStatus());
            case SFTJob job -> of("SFTJob", name, job.getStatus());
            case EvalJob job -> of("EvalJob", name, job.getStatus());
            default -> throw new IllegalArgumentException("not one of the four kinds: " + resource.getKind());
        };
    }

    boolean ended() {
        return phase == Phase.Complete || phase == Phase.Failed;
    }

    private static Row of(String kind, String name, DatasetStatus status) {
        if (status == null) {
            return new Row(kind, name, Phase.Pending, "", "");
        }
        List<String> facts = new ArrayList<>();
        if (status.samples() != null) {
            facts.add(String.format(Locale.ROOT, "%,d samples", status.samples()));
            if (status.rows() != null && status.fill() != null) {
                facts.add(String.format(Locale.ROOT, "%,d rows %.1f %% full", status.rows(), 100 * status.fill()));
            }
        } else if (status.progress() != null && status.progress().fetch() != null) {
            fetch(status.progress(), facts);
        } else {
            progress(status.progress(), "shards", facts);
        }
        return new Row(kind, name, orPending(status.phase()), join(facts), why(status.phase(), status.conditions()));
    }

    private static Row of(String kind, String name, TrainingStatus status) {
        if (status == null) {
            return new Row(kind, name, Phase.Pending, "", "");
        }
        List<String> facts = new ArrayList<>();
        Progress progress = status.progress();
        if (progress != null) {
            if (progress.step() != null && progress.steps() != null) {
                facts.add("step " + progress.step() + "/" + progress.steps());
            }
            number("loss %.3f", progress.loss(), facts);
            number("%,.0f tok/s", progress.tokensPerSecond(), facts);
            if (status.phase() == Phase.Running && progress.etaSeconds() != null) {
                facts.add("ETA " + duration(progress.etaSeconds()));
            }
        }
        Optional.ofNullable(status.checkpoints())
                .map(checkpoints -> checkpoints.latest())
                .map(Checkpoint::step)
                .ifPresent(step -> facts.add("checkpoint " + step));
        scores(status.benchmarks(), facts);
        return new Row(kind, name, orPending(status.phase()), join(facts), why(status.phase(), status.conditions()));
    }

    private static Row of(String kind, String name, EvalJobStatus status) {
        if (status == null) {
            return new Row(kind, name, Phase.Pending, "", "");
        }
        List<String> facts = new ArrayList<>();
        if (status.phase() != Phase.Complete) {
            progress(status.progress(), "rows", facts);
        }
        scores(status.results(), facts);
        return new Row(kind, name, orPending(status.phase()), join(facts), why(status.phase(), status.conditions()));
    }

    private static void progress(Progress progress, String unit, List<String> facts) {
        if (progress != null && progress.done() != null && progress.total() != null) {
            facts.add(progress.done() + "/" + progress.total() + " " + unit);
            if (progress.etaSeconds() != null) {
                facts.add("ETA " + duration(progress.etaSeconds()));
            }
        }
    }

    private static void fetch(Progress progress, List<String> facts) {
        FetchProgress fetch = progress.fetch();
        facts.add("fetching " + fetch.filesDone() + "/" + fetch.filesTotal() + " files"
                + (fetch.percent() == null ? "" : " " + fetch.percent() + " %"));
        if (progress.etaSeconds() != null) {
            facts.add("ETA " + duration(progress.etaSeconds()));
        }
    }

    private static void scores(List<BenchmarkResult> results, List<String> facts) {
        if (results != null) {
            for (BenchmarkResult result : results) {
                facts.add(String.format(
                        Locale.ROOT, "%s %.1f %% (%s)", result.benchmark(), 100 * result.value(), result.protocol()));
            }
        }
    }

    private static void number(String format, Double value, List<String> facts) {
        if (value != null) {
            facts.add(String.format(Locale.ROOT, format, value));
        }
    }

    static String duration(long seconds) {
        return seconds < 60 ? seconds + "s" : seconds / 60 + "m" + String.format(Locale.ROOT, "%02ds", seconds % 60);
    }

    private static String join(List<String> facts) {
        return String.join("  ", facts);
    }

    private static Phase orPending(Phase phase) {
        return phase == null ? Phase.Pending : phase;
    }

    /** The message that explains a phase which is neither progress nor success. */
    private static String why(Phase phase, List<Condition> conditions) {
        if (conditions == null || phase == Phase.Running || phase == Phase.Complete) {
            return "";
        }
        List<String> wanted = phase == Phase.Failed ? List.of("Failed", "Stalled") : List.of("Accepted", "Progressing");
        return wanted.stream()
                .flatMap(type ->
                        conditions.stream().filter(condition -> condition.type().equals(type)))
                .filter(condition -> phase == Phase.Failed || !"True".equals(condition.status()))
                .map(condition -> condition.reason() + ": " + condition.message())
                .findFirst()
                .orElse("");
    }
}
