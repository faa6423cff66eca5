package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.train.StopSignal;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/** Runs one job in several processes of this machine, each as a pod would run it. */
final class Children {
    private static final int FIRST_PORT = 21_000;
    private static final int LAST_PORT = 31_000;
    private static final Duration KILL_AFTER = Duration.ofSeconds(40);

    private Children() {}

    static TerminationMessage run(
            FrozenJob job,
            Map<String, Path> mounts,
            Map<String, String> environment,
            StopSignal stop,
            Consumer<String> log)
            throws IOException {
        Path folder = Files.createTempDirectory("vlm-trainer-");
        try (ChildProcesses children = new ChildProcesses(folder, log)) {
            Path root = Files.createDirectory(folder.resolve("mnt"));
            for (Map.Entry<String, Path> mount : mounts.entrySet()) {
                Files.createSymbolicLink(root.resolve(mount.getKey()), mount.getValue());
            }
            Path jobFile = folder.resolve(FrozenJob.FILE);
            Files.write(jobFile, Json.bytes(job));
            int port = freePorts(job.nodes());
            String secret = PeerSecret.random().text();
            int cpus = Math.max(1, Runtime.getRuntime().availableProcessors() / job.nodes());
            for (int index = 0; index < job.nodes(); index++) {
                Map<String, String> child = new HashMap<>(environment);
                child.put(PodEnvironment.JOB_FILE, jobFile.toString());
                child.put(PodEnvironment.MOUNT_ROOT, root.toString());
                child.put(PodEnvironment.RENDEZVOUS, "127.0.0.1:" + port);
                child.put(PodEnvironment.PEER_SECRET, secret);
                child.put(PodEnvironment.COMPLETION_INDEX, Integer.toString(index));
                child.put(PodEnvironment.CPUS, Integer.toString(cpus));
                child.put(PodEnvironment.GRACE_SECONDS, "30");
                child.put("VLM_POD_ADDRESS", "127.0.0.1");
                if (Gpu.workers(job).gpusPerNode() > 0) {
                    // Here every process stands for a pod, and all share the machine's GPUs.
                    child.put(LocalRanks.VISIBLE, LocalRanks.visible(environment.get(LocalRanks.VISIBLE), index));
                    if (Gpu.exact(job)) {
                        PodEnvironment.EXACT.forEach(child::putIfAbsent);
                    }
                }
                children.start(index, child);
            }
            return children.await(stop, KILL_AFTER);
        } finally {
            delete(folder);
        }
    }

    static int freePorts(int count) {
        int start = FIRST_PORT + (int) (ProcessHandle.current().pid() % 500) * 16;
        for (int port = start; port + count < LAST_PORT; port += 16) {
            if (free(port, count)) {
                return port;
            }
        }
        throw new IllegalStateException("no free ports from " + start + " to " + LAST_PORT);
    }

    private static boolean free(int port, int count) {
        for (int i = 0; i < count; i++) {
            try (ServerSocket socket = new ServerSocket()) {
                socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port + i));
            } catch (IOException e) {
                return false;
            }
        }
        return true;
    }

    static void delete(Path folder) throws IOException {
        try (var all = Files.walk(folder)) {
            for (Path path : all.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
