package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.api.spec.Checkpoints;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Which checkpoints stay. The newest one always does, and whatever something refers to. */
public final class Retention {
    private Retention() {}

    /**
     * @param losses loss of each complete checkpoint by step; without one it can't be among the best
     * @param pins steps that something refers to
     * @return the steps that stay
     */
    public static Set<Long> keep(Map<Long, Double> losses, Checkpoints.Keep rule, Set<Long> pins) {
        List<Long> steps =
                losses.keySet().stream().sorted(Comparator.reverseOrder()).toList();
        Set<Long> keep = new HashSet<>(steps.subList(0, Math.min(Math.max(1, rule.last()), steps.size())));
        steps.stream().filter(pins::contains).forEach(keep::add);
        if (rule.every() > 0) {
            steps.stream().filter(step -> step % rule.every() == 0).forEach(keep::add);
        }
        keep.addAll(best(losses, rule));
        return keep;
    }

    /** The best steps by training loss, best first; empty when the rule asks for none (or for a benchmark, which the operator judges). */
    public static List<Long> best(Map<Long, Double> losses, Checkpoints.Keep rule) {
        if (rule.best() == null
                || rule.best().metric() == null
                || rule.best().metric().loss() == null) {
            return List.of();
        }
        return losses.entrySet().stream()
                .filter(e -> Double.isFinite(e.getValue()))
                .sorted(Map.Entry.<Long, Double>comparingByValue().thenComparing(Map.Entry.comparingByKey()))
                .limit(rule.best().count())
                .map(Map.Entry::getKey)
                .toList();
    }

    /**
     * Deletes what does not stay, and the unfinished folders older than the newest checkpoint.
     *
     * @return the deleted steps, ascending
     */
    public static List<Long> prune(RunFolder run, RunFolder.Fence fence, Set<Long> keep, Faults faults)
            throws IOException {
        List<RunFolder.Complete> complete = run.complete();
        if (complete.isEmpty()) {
            return List.of();
        }
        Map<Long, RunFolder.Complete> byStep = new HashMap<>();
        complete.forEach(c -> byStep.put(c.step(), c));
        long newest = complete.getFirst().step();
        List<Long> deleted = new ArrayList<>();
        for (long step : run.stepFolders()) {
            if (step >= newest || keep.contains(step)) {
                continue;
            }
            fence.check();
            if (byStep.containsKey(step)) {
                // First it stops being a checkpoint, then it goes: a crash between leaves an unfinished folder.
                faults.before("delete manifest", byStep.get(step).manifest());
                Files.deleteIfExists(byStep.get(step).manifest());
            }
            faults.before("delete folder", run.stepFolder(step));
            Durable.deleteFolder(run.stepFolder(step));
            deleted.add(step);
        }
        return deleted;
    }
}
