package io.vlmoperator.operator.workload;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.operator.model.Subject;
import java.util.Map;
import java.util.TreeMap;

/** Labels and annotations of children ({@code contracts.md}, Pods). */
public final class Labels {
    public static final String KIND = "vlm-operator.io/kind";
    public static final String NAME = "vlm-operator.io/name";
    public static final String ATTEMPT = "vlm-operator.io/attempt";
    /** Tells a resource's pods from those of an earlier resource of the same name. */
    public static final String UID = "vlm-operator.io/uid";
    /** On the Job and the pods of one stage of a Dataset. */
    public static final String STAGE = "vlm-operator.io/stage";
    /** On EvalJobs that a training job makes. */
    public static final String STEP = "vlm-operator.io/step";
    /** Annotation of a Job: digest of {@code workers} and {@code failure} when it was made. */
    public static final String RETRY_DIGEST = "vlm-operator.io/retry-digest";

    /** Annotation of a Job, read by Kueue: so few pods will do. */
    public static final String KUEUE_MIN_PARALLELISM = "kueue.x-k8s.io/job-min-parallelism";
    /** Annotation of a Job, read by Kueue: where it lowers parallelism, it lowers completions as well. */
    static final String KUEUE_COMPLETIONS_TOO = "kueue.x-k8s.io/job-completions-equal-parallelism";

    public static final String CONTAINER = "trainer";

    private Labels() {}

    static Map<String, String> of(FrozenJob job) {
        var labels = of(job.kind(), job.name(), job.uid(), job.attempt());
        if (job.stage() != null) {
            labels.put(STAGE, job.stage().word());
        }
        return labels;
    }

    static Map<String, String> of(Subject subject, int attempt) {
        return of(subject.kind(), subject.name(), subject.uid(), attempt);
    }

    private static TreeMap<String, String> of(Kind kind, String name, String uid, int attempt) {
        var labels = new TreeMap<String, String>();
        labels.put(KIND, kind.shortName());
        labels.put(NAME, name);
        labels.put(ATTEMPT, Integer.toString(attempt));
        labels.put(UID, uid);
        labels.put("app.kubernetes.io/managed-by", "vlm-operator");
        return labels;
    }

    /** Of an EvalJob that scores a checkpoint of a training job. */
    public static Map<String, String> ofEvaluation(Subject parent, long step) {
        return Map.of(
                KIND,
                parent.kind().shortName(),
                NAME,
                parent.name(),
                UID,
                parent.uid(),
                STEP,
                Long.toString(step),
                "app.kubernetes.io/managed-by",
                "vlm-operator");
    }
}
