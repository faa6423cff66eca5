package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.train.StopSignal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * The launcher of a pod with several processes, one for each of its GPUs. Process {@code i} of pod {@code p} is rank {@code p * processesPerNode
 * + i} and sees GPU {@code i} only, as its first. The launcher itself touches no GPU.
 */
final class LocalRanks {
    /** Set for the processes: which one of the pod's they are. */
    static final String LOCAL_RANK = "VLM_LOCAL_RANK";

    /** CUDA's own variable. */
    static final String VISIBLE = "CUDA_VISIBLE_DEVICES";

    /** Beyond the grace period, for the last words; the node kills the whole pod before if it means what it says. */
    private static final Duration RESERVE = Duration.ofSeconds(10);

    private LocalRanks() {}

    /** Which process of its pod this one is; empty for the launcher and for the only one. */
    static OptionalInt of(Map<String, String> environment, int processes) {
        String text = environment.get(LOCAL_RANK);
        if (text == null) {
            return OptionalInt.empty();
        }
        if (!text.matches("\\d{1,4}") || Integer.parseInt(text) >= processes) {
            throw TrainerException.configuration(
                    LOCAL_RANK + "='" + text + "', but the pod has " + processes + " processes");
        }
        return OptionalInt.of(Integer.parseInt(text));
    }

    /** Runs the processes of pod {@code index} to their end and returns the last words of the pod. */
    static TerminationMessage run(
            FrozenJob job,
            int index,
            Map<String, String> environment,
            StopSignal stop,
            Duration grace,
            Consumer<String> log)
            throws IOException {
        int count = job.processesPerNode();
        Path folder = Files.createTempDirectory("vlm-trainer-pod-");
        try (ChildProcesses children = new ChildProcesses(folder, log)) {
            for (int local = 0; local < count; local++) {
                Map<String, String> own = new HashMap<>(environment);
                own.put(LOCAL_RANK, Integer.toString(local));
                own.put(VISIBLE, visible(environment.get(VISIBLE), local));
                children.start(index * count + local, own);
            }
            return children.await(stop, grace.plus(RESERVE));
        } finally {
            try (var all = Files.walk(folder)) {
                for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(path);
                }
            }
        }
    }

    /**
     * The one GPU that a process sees.
     *
     * @param all what the pod may see: a list of numbers or names, or null for all
     */
    static String visible(String all, int local) {
        if (all == null || all.isBlank()) {
            return Integer.toString(local);
        }
        List<String> names = List.of(all.split(",", -1));
        if (local >= names.size()) {
            throw TrainerException.configuration(VISIBLE + "=" + all + " names " + names.size()
                    + " devices, but the pod runs a process " + local + "; it has workers.gpusPerNode of them");
        }
        return names.get(local).strip();
    }
}
