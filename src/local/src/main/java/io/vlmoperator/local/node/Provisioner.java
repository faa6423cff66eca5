package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.ObjectReferenceBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolume;
import io.fabric8.kubernetes.api.model.PersistentVolumeBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBindingBuilder;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBuilder;
import io.fabric8.kubernetes.api.model.rbac.PolicyRuleBuilder;
import io.fabric8.kubernetes.api.model.storage.StorageClass;
import io.fabric8.kubernetes.api.model.storage.StorageClassBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.vlmoperator.local.Files2;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Gives every claim of the StorageClass {@code local}, the cluster's default, a folder {@code RUN/volumes/NAMESPACE/CLAIM}. A folder that
 * lies there already is taken as it is, so data can be put there first. Of several nodes of a run one provisions.
 */
final class Provisioner implements AutoCloseable {
    static final String USER = "vlm-local-provisioner";

    private static final Logger LOG = Logger.getLogger(Provisioner.class.getName());
    private static final String NAME = "vlm-operator.io/local";
    private static final String STORAGE_CLASS = "local";
    private static final String PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
    private static final long SPACE_TO_LEAVE = 64L << 20;

    private final KubernetesClient client;
    private final Path run;
    private final Semaphore changed = new Semaphore(0);
    private final Set<String> reported = new HashSet<>();
    private final Thread thread = Thread.ofVirtual().name("provisioner").unstarted(this::run);

    /** @param client with the rights that {@link #grant} gives */
    Provisioner(KubernetesClient client, Path run) {
        this.client = client;
        this.run = run;
    }

    /** Grants the provisioner's user what it needs, and makes the StorageClass. Done by an administrator, once. */
    static void grant(KubernetesClient admin) {
        admin.resource(new ClusterRoleBuilder()
                        .withNewMetadata()
                        .withName(USER)
                        .endMetadata()
                        .addToRules(new PolicyRuleBuilder()
                                .withApiGroups("")
                                .withResources("persistentvolumes")
                                .withVerbs("get", "list", "watch", "create", "delete")
                                .build())
                        .addToRules(new PolicyRuleBuilder()
                                .withApiGroups("")
                                .withResources("persistentvolumeclaims")
                                .withVerbs("get", "list", "watch")
                                .build())
                        .addToRules(new PolicyRuleBuilder()
                                .withApiGroups("storage.k8s.io")
                                .withResources("storageclasses")
                                .withVerbs("get", "list", "watch")
                                .build())
                        .addToRules(new PolicyRuleBuilder()
                                .withApiGroups("")
                                .withResources("events")
                                .withVerbs("create")
                                .build())
                        .build())
                .serverSideApply();
        admin.resource(new ClusterRoleBindingBuilder()
                        .withNewMetadata()
                        .withName(USER)
                        .endMetadata()
                        .withNewRoleRef("rbac.authorization.k8s.io", "ClusterRole", USER)
                        .addNewSubject("rbac.authorization.k8s.io", "User", USER, null)
                        .build())
                .serverSideApply();
        StorageClass storageClass = new StorageClassBuilder()
                .withNewMetadata()
                .withName(STORAGE_CLASS)
                .addToAnnotations("storageclass.kubernetes.io/is-default-class", "true")
                .endMetadata()
                .withProvisioner(NAME)
                .withReclaimPolicy("Delete")
                .withVolumeBindingMode("Immediate")
                .build();
        if (admin.resource(storageClass).get() == null) { // most of its fields can't be changed: a person's own stays
            admin.resource(storageClass).create();
        }
    }

    void start() {
        thread.start();
    }

    private void run() {
        try (FileChannel channel = FileChannel.open(
                run.resolve(".provisioner.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            FileLock lock = null;
            while (lock == null) {
                try {
                    lock = channel.tryLock();
                } catch (OverlappingFileLockException e) {
                    LOG.log(Level.FINEST, "another node of this JVM provisions", e);
                }
                if (lock == null) {
                    Thread.sleep(1000);
                }
            }
            serve();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // closing
        } catch (IOException e) {
            LOG.log(Level.SEVERE, "no provisioner: cannot lock in " + run + ": " + e.getMessage(), e);
        }
    }

    private void serve() throws InterruptedException {
        SharedIndexInformer<PersistentVolumeClaim> claims =
                client.persistentVolumeClaims().inAnyNamespace().runnableInformer(0);
        SharedIndexInformer<PersistentVolume> volumes =
                client.persistentVolumes().runnableInformer(0);
        claims.exceptionHandler((begun, problem) -> true);
        volumes.exceptionHandler((begun, problem) -> true);
        claims.addEventHandler(handler());
        volumes.addEventHandler(handler());
        claims.start();
        volumes.start();
        try {
            while (true) {
                if (claims.hasSynced() && volumes.hasSynced()) {
                    claims.getStore().list().forEach(this::provision);
                    volumes.getStore().list().forEach(this::reclaim);
                }
                if (changed.tryAcquire(5, TimeUnit.SECONDS)) {
                    changed.drainPermits();
                }
            }
        } finally {
            claims.stop();
            volumes.stop();
        }
    }

    private <T> ResourceEventHandler<T> handler() {
        return new ResourceEventHandler<>() {
            @Override
            public void onAdd(T added) {
                changed.release();
            }

            @Override
            public void onUpdate(T before, T after) {
                changed.release();
            }

            @Override
            public void onDelete(T removed, boolean unknown) {
                changed.release();
            }
        };
    }

    private void provision(PersistentVolumeClaim claim) {
        String storageClass =
                Optional.ofNullable(claim.getSpec().getStorageClassName()).orElse("");
        boolean pending =
                claim.getStatus() == null || !"Bound".equals(claim.getStatus().getPhase());
        String volumeName = "pvc-" + claim.getMetadata().getUid();
        if (!pending
                || claim.getSpec().getVolumeName() != null
                || claim.getMetadata().getDeletionTimestamp() != null
                || !isOurs(storageClass)) {
            return;
        }
        try {
            if (client.persistentVolumes().withName(volumeName).get() != null) {
                return; // made; the controller manager binds it
            }
            Quantity asked = claim.getSpec().getResources().getRequests().get("storage");
            Path folder = folderFor(claim);
            if (folder.getParent().toFile().getUsableSpace() < SPACE_TO_LEAVE) {
                report(claim, "the disk of " + folder.getParent() + " is full; free some space");
                return;
            }
            Files.writeString(ownerFile(folder), claim.getMetadata().getUid() + "\n");
            String policy = Optional.ofNullable(client.storage()
                            .v1()
                            .storageClasses()
                            .withName(storageClass)
                            .get())
                    .map(StorageClass::getReclaimPolicy)
                    .orElse("Delete");
            client.resource(new PersistentVolumeBuilder()
                            .withNewMetadata()
                            .withName(volumeName)
                            .addToAnnotations(PROVISIONED_BY, NAME)
                            .endMetadata()
                            .withNewSpec()
                            .withCapacity(Map.of("storage", asked))
                            .withAccessModes(claim.getSpec().getAccessModes())
                            .withStorageClassName(storageClass)
                            .withPersistentVolumeReclaimPolicy(policy)
                            .withVolumeMode(claim.getSpec().getVolumeMode())
                            .withNewHostPath(folder.toString(), "Directory")
                            .withClaimRef(new ObjectReferenceBuilder()
                                    .withApiVersion("v1")
                                    .withKind("PersistentVolumeClaim")
                                    .withNamespace(claim.getMetadata().getNamespace())
                                    .withName(claim.getMetadata().getName())
                                    .withUid(claim.getMetadata().getUid())
                                    .build())
                            .endSpec()
                            .build())
                    .create();
        } catch (KubernetesClientException | IOException | java.io.UncheckedIOException e) {
            report(claim, "cannot make a volume: " + e.getMessage());
        }
    }

    private boolean isOurs(String storageClass) {
        if (storageClass.isEmpty()) {
            return false;
        }
        if (storageClass.equals(STORAGE_CLASS)) {
            return true;
        }
        StorageClass found =
                client.storage().v1().storageClasses().withName(storageClass).get();
        return found != null && NAME.equals(found.getProvisioner());
    }

    /** The claim's folder; one that an earlier claim of that name has left is cleared away, or avoided when it is to be retained. */
    private Path folderFor(PersistentVolumeClaim claim) throws IOException {
        String uid = claim.getMetadata().getUid();
        Path parent = Files2.privateFolder(
                run.resolve("volumes").resolve(claim.getMetadata().getNamespace()));
        Path folder = parent.resolve(claim.getMetadata().getName());
        Optional<String> owner = Files2.read(ownerFile(folder)).map(String::strip);
        if (owner.isPresent() && !owner.get().equals(uid)) {
            PersistentVolume old =
                    client.persistentVolumes().withName("pvc-" + owner.get()).get();
            if (old != null && !"Delete".equals(old.getSpec().getPersistentVolumeReclaimPolicy())) {
                folder = parent.resolve(claim.getMetadata().getName() + "." + uid.substring(0, 8));
            } else {
                remove(folder);
            }
        }
        return Files2.privateFolder(folder);
    }

    private static Path ownerFile(Path folder) {
        return folder.resolveSibling("." + folder.getFileName() + ".claim");
    }

    private void reclaim(PersistentVolume volume) {
        boolean ours = NAME.equals(Optional.ofNullable(volume.getMetadata().getAnnotations())
                .orElse(Map.of())
                .get(PROVISIONED_BY));
        boolean released = volume.getStatus() != null
                && "Released".equals(volume.getStatus().getPhase());
        if (!ours
                || !released
                || !"Delete".equals(volume.getSpec().getPersistentVolumeReclaimPolicy())
                || volume.getMetadata().getDeletionTimestamp() != null) {
            return;
        }
        try {
            Path folder = Path.of(volume.getSpec().getHostPath().getPath());
            String uid = volume.getSpec().getClaimRef().getUid();
            boolean below = folder.normalize().startsWith(run.resolve("volumes"));
            if (below
                    && Files2.read(ownerFile(folder))
                            .map(String::strip)
                            .filter(uid::equals)
                            .isPresent()) {
                remove(folder);
            }
            client.persistentVolumes().withName(volume.getMetadata().getName()).delete();
        } catch (KubernetesClientException | IOException | java.io.UncheckedIOException e) {
            LOG.log(
                    Level.WARNING,
                    "volume " + volume.getMetadata().getName() + " cannot be removed: " + e.getMessage());
        }
    }

    private static void remove(Path folder) throws IOException {
        Files2.deleteTree(folder);
        Files.deleteIfExists(ownerFile(folder));
    }

    private void report(PersistentVolumeClaim claim, String message) {
        LOG.log(Level.WARNING, () -> "claim " + claim.getMetadata().getName() + ": " + message);
        if (reported.size() > 1000 || !reported.add(claim.getMetadata().getUid() + message)) {
            return;
        }
        String now = StatusBuilder.time(Instant.now());
        try {
            client.v1()
                    .events()
                    .inNamespace(claim.getMetadata().getNamespace())
                    .resource(new io.fabric8.kubernetes.api.model.EventBuilder()
                            .withNewMetadata()
                            .withGenerateName(claim.getMetadata().getName() + ".")
                            .endMetadata()
                            .withType("Warning")
                            .withReason("ProvisioningFailed")
                            .withMessage(message)
                            .withFirstTimestamp(now)
                            .withLastTimestamp(now)
                            .withNewInvolvedObject()
                            .withApiVersion("v1")
                            .withKind("PersistentVolumeClaim")
                            .withNamespace(claim.getMetadata().getNamespace())
                            .withName(claim.getMetadata().getName())
                            .withUid(claim.getMetadata().getUid())
                            .endInvolvedObject()
                            .withNewSource(USER, null)
                            .build())
                    .create();
        } catch (KubernetesClientException e) {
            LOG.log(Level.FINE, "event: " + e.getMessage());
        }
    }

    @Override
    public void close() {
        thread.interrupt();
        try {
            thread.join(Duration.ofSeconds(5)); // so that the lock is free for the next
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
