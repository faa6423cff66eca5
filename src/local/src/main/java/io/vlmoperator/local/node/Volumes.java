package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapVolumeSource;
import io.fabric8.kubernetes.api.model.DownwardAPIVolumeFile;
import io.fabric8.kubernetes.api.model.HostPathVolumeSource;
import io.fabric8.kubernetes.api.model.KeyToPath;
import io.fabric8.kubernetes.api.model.PersistentVolume;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.ServiceAccountTokenProjection;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeProjection;
import io.vlmoperator.local.Files2;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The volumes of one pod as folders. {@link #prepare} makes them, {@link #refresh} brings what may change up to date. */
final class Volumes {
    private static final int DEFAULT_MODE = 0644;
    private static final Path MEMORY = Path.of("/dev/shm");

    private final Pod pod;
    private final PodFolder folder;
    private final NodeClient client;
    private final DownwardApi downward;
    private final Map<String, NodeClient.Token> tokens = new HashMap<>();

    Volumes(Pod pod, PodFolder folder, NodeClient client, DownwardApi downward) {
        this.pod = pod;
        this.folder = folder;
        this.client = client;
        this.downward = downward;
    }

    /**
     * Makes all volumes; may be called again.
     *
     * @return where each lies, by volume name
     * @throws Unsupported with the reason, when one cannot be had now
     */
    Map<String, Path> prepare() throws Unsupported {
        Map<String, Path> places = new HashMap<>();
        for (Volume volume : Optional.ofNullable(pod.getSpec().getVolumes()).orElse(List.of())) {
            try {
                places.put(volume.getName(), prepare(volume));
            } catch (Unsupported | NodeClient.ApiException | IOException | java.io.UncheckedIOException e) {
                throw new Unsupported("volume \"" + volume.getName() + "\": " + e.getMessage());
            }
        }
        return places;
    }

    /** Writes again what changed: ConfigMaps, Secrets, labels, tokens near their end. */
    void refresh(Pod latest) throws Unsupported {
        Volumes current = new Volumes(
                latest,
                folder,
                client,
                new DownwardApi(latest, downward.podIp(), downward.hostIp(), downward.capacity()));
        current.tokens.putAll(tokens);
        for (Volume volume : Optional.ofNullable(pod.getSpec().getVolumes()).orElse(List.of())) {
            try {
                if (current.payload(volume).isPresent()) {
                    current.prepare(volume);
                }
            } catch (NodeClient.ApiException | IOException | java.io.UncheckedIOException e) {
                throw new Unsupported("volume \"" + volume.getName() + "\": " + e.getMessage());
            }
        }
        tokens.putAll(current.tokens);
    }

    private Path prepare(Volume volume) throws Unsupported, NodeClient.ApiException, IOException {
        Path place = folder.volume(volume.getName());
        Optional<Payload> payload = payload(volume);
        if (payload.isPresent()) {
            payload.get().writeTo(place);
            return place;
        }
        if (volume.getEmptyDir() != null) {
            if ("Memory".equals(volume.getEmptyDir().getMedium()) && Files.isWritable(MEMORY)) {
                return Files2.privateFolder(
                        memoryFolder(pod.getMetadata().getUid()).resolve(volume.getName()));
            }
            return Files2.privateFolder(place);
        }
        if (volume.getHostPath() != null) {
            return hostPath(volume.getHostPath());
        }
        if (volume.getPersistentVolumeClaim() != null) {
            return claim(volume.getPersistentVolumeClaim().getClaimName());
        }
        throw new Unsupported("this node has no volumes of that kind; it has configMap, secret, projected, downwardAPI,"
                + " emptyDir, hostPath and persistentVolumeClaim");
    }

    /** Where a pod's volumes in memory lie; deleted with the pod. */
    static Path memoryFolder(String uid) {
        return MEMORY.resolve("vlm-local-" + uid);
    }

    private Optional<Payload> payload(Volume volume) throws Unsupported, NodeClient.ApiException {
        Payload payload = new Payload();
        if (volume.getConfigMap() != null) {
            ConfigMapVolumeSource source = volume.getConfigMap();
            addConfigMap(payload, source.getName(), source.getItems(), source.getDefaultMode(), source.getOptional());
        } else if (volume.getSecret() != null) {
            var source = volume.getSecret();
            addSecret(
                    payload, source.getSecretName(), source.getItems(), source.getDefaultMode(), source.getOptional());
        } else if (volume.getDownwardAPI() != null) {
            addDownward(
                    payload,
                    volume.getDownwardAPI().getItems(),
                    volume.getDownwardAPI().getDefaultMode());
        } else if (volume.getProjected() != null) {
            Integer mode = volume.getProjected().getDefaultMode();
            for (VolumeProjection source :
                    Optional.ofNullable(volume.getProjected().getSources()).orElse(List.of())) {
                addProjection(payload, volume.getName(), source, mode);
            }
        } else {
            return Optional.empty();
        }
        return Optional.of(payload);
    }

    private void addProjection(Payload payload, String volume, VolumeProjection source, Integer mode)
            throws Unsupported, NodeClient.ApiException {
        if (source.getConfigMap() != null) {
            var part = source.getConfigMap();
            addConfigMap(payload, part.getName(), part.getItems(), mode, part.getOptional());
        } else if (source.getSecret() != null) {
            var part = source.getSecret();
            addSecret(payload, part.getName(), part.getItems(), mode, part.getOptional());
        } else if (source.getDownwardAPI() != null) {
            addDownward(payload, source.getDownwardAPI().getItems(), mode);
        } else if (source.getServiceAccountToken() != null) {
            addToken(payload, volume, source.getServiceAccountToken(), mode);
        } else {
            throw new Unsupported("this node projects configMap, secret, downwardAPI and serviceAccountToken only");
        }
    }

    private void addToken(Payload payload, String volume, ServiceAccountTokenProjection source, Integer mode)
            throws NodeClient.ApiException {
        String key = volume + "/" + source.getPath();
        NodeClient.Token token = tokens.get(key);
        if (token == null || Instant.now().isAfter(token.renewAt())) {
            token = client.token(
                    pod,
                    Optional.ofNullable(source.getAudience()).orElse(""),
                    Optional.ofNullable(source.getExpirationSeconds()).orElse(3600L));
            tokens.put(key, token);
        }
        payload.add(source.getPath(), token.value().getBytes(StandardCharsets.UTF_8), mode(null, mode));
    }

    private void addConfigMap(Payload payload, String name, List<KeyToPath> items, Integer mode, Boolean optional)
            throws Unsupported, NodeClient.ApiException {
        Optional<ConfigMap> found = client.configMap(pod.getMetadata().getNamespace(), name);
        if (found.isEmpty() && !Boolean.TRUE.equals(optional)) {
            throw new Unsupported("configmap \"" + name + "\" not found");
        }
        Map<String, byte[]> data = new TreeMap<>();
        found.ifPresent(map -> {
            Optional.ofNullable(map.getData())
                    .orElse(Map.of())
                    .forEach((key, value) -> data.put(key, value.getBytes(StandardCharsets.UTF_8)));
            Optional.ofNullable(map.getBinaryData())
                    .orElse(Map.of())
                    .forEach((key, value) -> data.put(key, Base64.getDecoder().decode(value)));
        });
        add(payload, "configmap \"" + name + "\"", data, items, mode, optional);
    }

    private void addSecret(Payload payload, String name, List<KeyToPath> items, Integer mode, Boolean optional)
            throws Unsupported, NodeClient.ApiException {
        Optional<Secret> found = client.secret(pod.getMetadata().getNamespace(), name);
        if (found.isEmpty() && !Boolean.TRUE.equals(optional)) {
            throw new Unsupported("secret \"" + name + "\" not found");
        }
        Map<String, byte[]> data = new TreeMap<>();
        found.ifPresent(secret -> Optional.ofNullable(secret.getData())
                .orElse(Map.of())
                .forEach((key, value) -> data.put(key, Base64.getDecoder().decode(value))));
        add(payload, "secret \"" + name + "\"", data, items, mode, optional);
    }

    private static void add(
            Payload payload,
            String what,
            Map<String, byte[]> data,
            List<KeyToPath> items,
            Integer mode,
            Boolean optional)
            throws Unsupported {
        if (items == null || items.isEmpty()) {
            data.forEach((key, value) -> payload.add(key, value, mode(null, mode)));
            return;
        }
        for (KeyToPath item : items) {
            byte[] value = data.get(item.getKey());
            if (value != null) {
                payload.add(item.getPath(), value, mode(item.getMode(), mode));
            } else if (!Boolean.TRUE.equals(optional)) {
                throw new Unsupported(what + " has no key \"" + item.getKey() + "\"");
            }
        }
    }

    private void addDownward(Payload payload, List<DownwardAPIVolumeFile> items, Integer mode) throws Unsupported {
        for (DownwardAPIVolumeFile item : Optional.ofNullable(items).orElse(List.of())) {
            String value;
            if (item.getFieldRef() != null) {
                value = downward.field(item.getFieldRef().getFieldPath());
            } else {
                String name = item.getResourceFieldRef().getContainerName();
                value = downward.resource(
                        item.getResourceFieldRef(),
                        pod.getSpec().getContainers().stream()
                                .filter(container -> container.getName().equals(name))
                                .findFirst()
                                .orElseThrow(
                                        () -> new Unsupported("resourceFieldRef names no container \"" + name + "\"")));
            }
            payload.add(item.getPath(), value.getBytes(StandardCharsets.UTF_8), mode(item.getMode(), mode));
        }
    }

    private static int mode(Integer own, Integer fallback) {
        // The process runs as the node's user: it must be able to read, and the node to replace.
        return Optional.ofNullable(own).or(() -> Optional.ofNullable(fallback)).orElse(DEFAULT_MODE) | 0400;
    }

    private static Path hostPath(HostPathVolumeSource source) throws Unsupported, IOException {
        Path path = Path.of(source.getPath());
        String type = Optional.ofNullable(source.getType()).orElse("");
        if (type.equals("DirectoryOrCreate")) {
            Files.createDirectories(path);
        } else if (type.equals("FileOrCreate") && !Files.exists(path)) {
            Files.createFile(path);
        }
        boolean fits = switch (type) {
            case "Directory", "DirectoryOrCreate" -> Files.isDirectory(path);
            case "File", "FileOrCreate" -> Files.isRegularFile(path);
            default -> Files.exists(path);
        };
        if (!fits) {
            throw new Unsupported(
                    "hostPath " + path + " does not exist" + (type.isEmpty() ? "" : ", or is not of type " + type));
        }
        return path;
    }

    private Path claim(String name) throws Unsupported, NodeClient.ApiException {
        PersistentVolumeClaim claim = client.claim(pod.getMetadata().getNamespace(), name)
                .orElseThrow(() -> new Unsupported("persistentvolumeclaim \"" + name + "\" not found"));
        String volumeName = claim.getSpec().getVolumeName();
        if (volumeName == null || volumeName.isEmpty()) {
            throw new Unsupported("persistentvolumeclaim \"" + name + "\" is not bound yet");
        }
        PersistentVolume volume = client.volume(volumeName)
                .orElseThrow(() -> new Unsupported("persistentvolume \"" + volumeName + "\" not found"));
        Path path;
        if (volume.getSpec().getHostPath() != null) {
            path = Path.of(volume.getSpec().getHostPath().getPath());
        } else if (volume.getSpec().getLocal() != null) {
            path = Path.of(volume.getSpec().getLocal().getPath());
        } else {
            throw new Unsupported("persistentvolume \"" + volumeName + "\" is neither hostPath nor local");
        }
        if (!Files.isDirectory(path)) {
            throw new Unsupported("the folder " + path + " of persistentvolumeclaim \"" + name
                    + "\" is gone; create it again, or delete the claim");
        }
        return path;
    }
}
