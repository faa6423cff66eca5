package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvFromSource;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarSource;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodSecurityContext;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.vlmoperator.local.Files2;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Turns a container's specification into a command line, an environment and a working folder.
 *
 * @param network what the pod needs to find others and be found
 */
record ContainerSetup(
        Pod pod,
        Container container,
        PodFolder folder,
        Map<String, Path> volumes,
        DownwardApi downward,
        NodeClient client,
        Images images,
        PodNetwork network) {
    private static final String ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
    private static final String TERMINATION_LOG = "/dev/termination-log";
    /** What a process gets of the node's own environment: the installed program may need it to run at all. */
    private static final List<String> INHERITED =
            List.of("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "JAVA_HOME", "LD_LIBRARY_PATH");

    /** What to run. */
    record Invocation(List<String> command, Map<String, String> environment, Path workingFolder, Path terminationLog) {}

    /**
     * Where a pod is on the network.
     *
     * @param hostname its own name
     * @param address the loopback address that name resolves to
     * @param javaOptions options for every JVM in the pod, or ""
     * @param apiHost the API server's real address
     */
    record PodNetwork(String hostname, String address, String javaOptions, String apiHost, int apiPort) {}

    String terminationMessagePath() {
        return Optional.ofNullable(container.getTerminationMessagePath())
                .filter(path -> !path.isEmpty())
                .orElse(TERMINATION_LOG);
    }

    PathRewriter rewriter() {
        List<String> known = new ArrayList<>(List.of(terminationMessagePath()));
        mounts().forEach(mount -> known.add(mount.getMountPath()));
        return new PathRewriter(folder.root(container.getName()), known);
    }

    private List<VolumeMount> mounts() {
        return Optional.ofNullable(container.getVolumeMounts()).orElse(List.of());
    }

    /** Makes the links and computes the rest. */
    Invocation prepare() throws Unsupported, NodeClient.ApiException, IOException {
        PathRewriter rewriter = rewriter();
        Map<String, String> declared = declaredEnvironment(rewriter);
        linkMounts(rewriter, declared);
        Path terminationLog = rewriter.inRoot(terminationMessagePath());
        Files.createDirectories(terminationLog.getParent());
        Files.deleteIfExists(terminationLog);
        Files.createFile(terminationLog);

        Path workingFolder = folder.root(container.getName());
        if (container.getWorkingDir() != null && !container.getWorkingDir().isEmpty()) {
            workingFolder = workingFolder(rewriter, container.getWorkingDir());
        }
        Map<String, String> environment = environment(rewriter, declared);
        return new Invocation(command(rewriter, declared), environment, workingFolder, terminationLog);
    }

    private static Path workingFolder(PathRewriter rewriter, String asked) throws Unsupported {
        Path folder = Path.of(rewriter.rewrite(asked));
        if (!Files.isDirectory(folder)) {
            throw new Unsupported(
                    "workingDir " + asked + " is neither below a mount of the container nor a folder of this machine");
        }
        return folder;
    }

    private List<String> command(PathRewriter rewriter, Map<String, String> declared) throws Unsupported {
        List<String> program = images.find(container.getImage())
                .orElseThrow(() -> new Unsupported(images.unknown(container.getImage())));
        List<String> own = Optional.ofNullable(container.getCommand()).orElse(List.of());
        List<String> line = new ArrayList<>();
        if (own.isEmpty()) {
            line.addAll(program);
        } else {
            own.forEach(part -> line.add(rewriter.rewrite(Expansion.expand(part, declared))));
        }
        Optional.ofNullable(container.getArgs())
                .orElse(List.of())
                .forEach(part -> line.add(rewriter.rewrite(Expansion.expand(part, declared))));
        Optional<String> broken = Images.broken(line);
        if (broken.isPresent()) {
            throw new Unsupported(
                    "the program of image \"" + container.getImage() + "\" cannot be run: " + broken.get());
        }
        return line;
    }

    private void linkMounts(PathRewriter rewriter, Map<String, String> declared) throws Unsupported, IOException {
        Path root = Files2.privateFolder(folder.root(container.getName()));
        for (VolumeMount mount : mounts()) {
            Path place = Optional.ofNullable(volumes.get(mount.getName()))
                    .orElseThrow(() -> new Unsupported("volumeMount names no volume \"" + mount.getName() + "\""));
            for (VolumeMount other : mounts()) {
                if (!other.getMountPath().equals(mount.getMountPath())
                        && Path.of(mount.getMountPath()).startsWith(Path.of(other.getMountPath()))) {
                    throw new Unsupported("this node has no mounts inside mounts: " + mount.getMountPath() + " lies in "
                            + other.getMountPath());
                }
            }
            String sub = Optional.ofNullable(mount.getSubPathExpr())
                    .filter(text -> !text.isEmpty())
                    .map(text -> Expansion.expand(text, declared))
                    .or(() -> Optional.ofNullable(mount.getSubPath()))
                    .orElse("");
            Path target = place.resolve(sub).normalize();
            if (!target.startsWith(place)) {
                throw new Unsupported("subPath " + sub + " leaves its volume");
            }
            if (!Files.exists(target)) {
                Files.createDirectories(target);
            }
            Path link = rewriter.inRoot(mount.getMountPath());
            Files.createDirectories(link.getParent());
            if (Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
                Files2.deleteTree(link); // of the start before; a link's target stays
            }
            Files.createSymbolicLink(link, target.toAbsolutePath());
        }
        Files.createDirectories(root);
    }

    /** The variables the pod declares, with references resolved and paths rewritten, so that what refers to them has both. */
    private Map<String, String> declaredEnvironment(PathRewriter rewriter) throws Unsupported, NodeClient.ApiException {
        Map<String, String> all = new LinkedHashMap<>();
        all.put("HOSTNAME", network.hostname());
        all.put("KUBERNETES_SERVICE_HOST", network.apiHost());
        all.put("KUBERNETES_SERVICE_PORT", Integer.toString(network.apiPort()));
        all.put("KUBERNETES_SERVICE_PORT_HTTPS", Integer.toString(network.apiPort()));
        for (EnvFromSource source : Optional.ofNullable(container.getEnvFrom()).orElse(List.of())) {
            String prefix = Optional.ofNullable(source.getPrefix()).orElse("");
            if (source.getConfigMapRef() != null) {
                configMap(
                                source.getConfigMapRef().getName(),
                                source.getConfigMapRef().getOptional())
                        .forEach((key, value) -> all.put(prefix + key, rewriter.rewrite(value)));
            } else if (source.getSecretRef() != null) {
                secret(source.getSecretRef().getName(), source.getSecretRef().getOptional())
                        .forEach((key, value) -> all.put(prefix + key, rewriter.rewrite(value)));
            }
        }
        for (EnvVar variable : Optional.ofNullable(container.getEnv()).orElse(List.of())) {
            Optional<String> value = variable.getValueFrom() == null
                    ? Optional.of(Expansion.expand(
                            Optional.ofNullable(variable.getValue()).orElse(""), all))
                    : valueFrom(variable.getValueFrom());
            value.ifPresent(text -> all.put(variable.getName(), rewriter.rewrite(text)));
        }
        return all;
    }

    private Optional<String> valueFrom(EnvVarSource source) throws Unsupported, NodeClient.ApiException {
        if (source.getFieldRef() != null) {
            return Optional.of(downward.field(source.getFieldRef().getFieldPath()));
        }
        if (source.getResourceFieldRef() != null) {
            return Optional.of(downward.resource(source.getResourceFieldRef(), container));
        }
        if (source.getConfigMapKeyRef() != null) {
            var ref = source.getConfigMapKeyRef();
            return key(
                    "configmap",
                    ref.getName(),
                    ref.getKey(),
                    configMap(ref.getName(), ref.getOptional()),
                    ref.getOptional());
        }
        if (source.getSecretKeyRef() != null) {
            var ref = source.getSecretKeyRef();
            return key(
                    "secret", ref.getName(), ref.getKey(), secret(ref.getName(), ref.getOptional()), ref.getOptional());
        }
        throw new Unsupported("valueFrom is of a kind this node does not know");
    }

    private static Optional<String> key(
            String kind, String name, String key, Map<String, String> data, Boolean optional) throws Unsupported {
        if (!data.containsKey(key) && !Boolean.TRUE.equals(optional)) {
            throw new Unsupported("couldn't find key " + key + " in " + kind + " \"" + name + "\"");
        }
        return Optional.ofNullable(data.get(key));
    }

    private Map<String, String> configMap(String name, Boolean optional) throws Unsupported, NodeClient.ApiException {
        var found = client.configMap(pod.getMetadata().getNamespace(), name);
        if (found.isEmpty() && !Boolean.TRUE.equals(optional)) {
            throw new Unsupported("configmap \"" + name + "\" not found");
        }
        return found.flatMap(map -> Optional.ofNullable(map.getData())).orElse(Map.of());
    }

    private Map<String, String> secret(String name, Boolean optional) throws Unsupported, NodeClient.ApiException {
        var found = client.secret(pod.getMetadata().getNamespace(), name);
        if (found.isEmpty() && !Boolean.TRUE.equals(optional)) {
            throw new Unsupported("secret \"" + name + "\" not found");
        }
        Map<String, String> data = new LinkedHashMap<>();
        found.flatMap(secret -> Optional.ofNullable(secret.getData()))
                .orElse(Map.of())
                .forEach((key, value) ->
                        data.put(key, new String(Base64.getDecoder().decode(value), StandardCharsets.UTF_8)));
        return data;
    }

    private Map<String, String> environment(PathRewriter rewriter, Map<String, String> declared) {
        Map<String, String> all = new LinkedHashMap<>();
        for (String name : INHERITED) {
            Optional.ofNullable(System.getenv(name)).ifPresent(value -> all.put(name, value));
        }
        all.putAll(declared);
        all.put("VLM_POD_ROOT", folder.root(container.getName()).toString());
        all.put("VLM_POD_ADDRESS", network.address());
        // This node does not act on it; a program that runs the pod in a container does.
        Optional.ofNullable(pod.getSpec().getSecurityContext())
                .map(PodSecurityContext::getFsGroup)
                .ifPresent(group -> all.put("VLM_POD_FS_GROUP", group.toString()));
        if (!network.javaOptions().isEmpty()) {
            // First ours, so that the container's own options win.
            all.merge("JAVA_TOOL_OPTIONS", network.javaOptions(), (own, ours) -> ours + " " + own);
        }
        boolean hasAccount =
                mounts().stream().anyMatch(mount -> mount.getMountPath().equals(ACCOUNT));
        // What a Fabric8 client looks at in place of its fixed paths; never the kubeconfig of the person who runs the
        // node.
        all.putIfAbsent("KUBERNETES_AUTH_TRYKUBECONFIG", "false");
        if (hasAccount) {
            Path account = rewriter.inRoot(ACCOUNT);
            all.putIfAbsent(
                    "KUBERNETES_AUTH_SERVICEACCOUNT_TOKEN",
                    account.resolve("token").toString());
            all.putIfAbsent(
                    "KUBERNETES_CERTS_CA_FILE", account.resolve("ca.crt").toString());
            all.putIfAbsent("KUBENAMESPACE", account.resolve("namespace").toString());
        }
        return all;
    }
}
