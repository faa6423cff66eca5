package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.CheckpointRef;
import io.vlmoperator.api.spec.DataRef;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.launch.ManifestFiles.Resource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Which resource refers to which, and the order in which they can run. */
final class Order {
    private final Map<String, Resource> byKey = new LinkedHashMap<>();
    private final Set<String> done = new LinkedHashSet<>();
    private final Set<String> open = new LinkedHashSet<>();
    private final List<Resource> order = new ArrayList<>();

    private Order(List<Resource> resources) {
        resources.forEach(r -> byKey.put(r.key(), r));
    }

    /**
     * @param only run this one and what it needs; empty: all
     * @throws TrainerException InvalidConfiguration for a reference to something that is not there, or in a circle
     */
    static List<Resource> of(List<Resource> resources, Optional<String> only) {
        Order order = new Order(resources);
        List<Resource> wanted = resources.stream()
                .filter(r ->
                        only.isEmpty() || r.name().equals(only.get()) || r.key().equals(only.get()))
                .toList();
        if (wanted.isEmpty()) {
            throw TrainerException.configuration("--only " + only.orElse("") + ": there is no such resource; there are "
                    + String.join(", ", order.byKey.keySet()));
        }
        wanted.forEach(order::visit);
        return List.copyOf(order.order);
    }

    private void visit(Resource resource) {
        if (done.contains(resource.key())) {
            return;
        }
        if (!open.add(resource.key())) {
            throw TrainerException.configuration("references in a circle: " + String.join(" -> ", open));
        }
        for (Reference reference : references(resource)) {
            Resource target = byKey.get(Resource.key(reference.kind(), reference.name()));
            if (target == null) {
                throw TrainerException.configuration(
                        resource.file() + ": " + resource.key() + ": " + reference.path() + " names " + reference.kind()
                                + " " + reference.name() + ", which is in none of the manifests");
            }
            visit(target);
        }
        open.remove(resource.key());
        done.add(resource.key());
        order.add(resource);
    }

    /** @param path of the field, for messages */
    record Reference(String path, Kind kind, String name) {}

    static List<Reference> references(Resource resource) {
        List<Reference> references = new ArrayList<>();
        if (resource.spec() instanceof TrainingSpec training) {
            for (DataRef data : training.data()) {
                references.add(new Reference("spec.data", Kind.Dataset, data.dataset()));
            }
        }
        if (resource.spec() instanceof SFTJobSpec sft) {
            job(references, "spec.from", sft.from().pretrainJob(), sft.from().sftJob());
        }
        if (resource.spec() instanceof EvalJobSpec eval) {
            job(
                    references,
                    "spec.checkpoint",
                    eval.checkpoint().pretrainJob(),
                    eval.checkpoint().sftJob());
        }
        return references;
    }

    private static void job(List<Reference> references, String path, CheckpointRef pretrain, CheckpointRef sft) {
        if (pretrain != null) {
            references.add(new Reference(path + ".pretrainJob", Kind.PretrainJob, pretrain.name()));
        }
        if (sft != null) {
            references.add(new Reference(path + ".sftJob", Kind.SFTJob, sft.name()));
        }
    }
}
