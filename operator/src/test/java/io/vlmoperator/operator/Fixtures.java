package io.vlmoperator.operator;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.EvalJob;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.operator.engine.Subjects;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** Small resources and observations, as tests need them. */
public final class Fixtures {
    public static final Instant T0 = Instant.parse("2026-01-01T00:00:00Z");

    private Fixtures() {}

    public static final String PRETRAIN = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: PretrainJob
            metadata: {name: emoji, namespace: team, uid: u-1, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z"}
            spec:
              model:
                language: {tokenizer: "pvc://data/tokenizer", config: {hiddenSize: 64, intermediateSize: 128, numHiddenLayers: 2, numAttentionHeads: 2, numKeyValueHeads: 1, vocabSize: 512}}
                vision: {config: {imageSize: 64, patchSize: 16, hiddenSize: 64, intermediateSize: 128, numHiddenLayers: 2, numAttentionHeads: 2}}
                projector: {tokensPerImage: 4}
              data: [{dataset: captions}]
              batch: {globalSize: 8, microSize: 4, contextLength: 512}
              output: {location: "pvc://runs/emoji"}
              checkpoints: {everySteps: 100}
              workers: {nodes: 2}
              failure: {maxRestarts: 2, maxInfrastructureRestarts: 4, startupDeadlineSeconds: 600, stepDeadlineSeconds: 60, activeDeadlineSeconds: 86400, gracePeriodSeconds: 30}
            """;
    public static final String DATASET = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: captions, namespace: team, uid: u-d, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z"}
            spec:
              sources: [{name: tars, webDataset: {location: "pvc://tars/emoji/*.tar"}}]
              pack: {contextLength: 512, tokensPerImage: 4, tokenizer: "pvc://data/tokenizer"}
              output: {location: "pvc://data/packed"}
            """;
    /** A Dataset that is indexed by eight pods, scored on GPUs by two, and packed by one. */
    public static final String STAGED = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: captions, namespace: team, uid: u-d, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z"}
            spec:
              sources: [{name: tars, webDataset: {location: "pvc://tars/emoji/*.tar"}}]
              select: {anyOf: [{score: {metric: SemanticUnderstanding, atLeast: 85, scorer: {location: "pvc://models/mlm-filter"}}}]}
              pack: {contextLength: 512, tokensPerImage: 4, tokenizer: "pvc://data/tokenizer"}
              output: {location: "pvc://data/packed"}
              failure: {maxRestarts: 1}
              workers:
                count: 8
                resources: {requests: {cpu: "4", memory: 8Gi}, limits: {memory: 8Gi}}
                env: [{name: LANG, value: C.UTF-8}]
                nodeSelector: {pool: cpu}
                queue: {kind: Kueue, name: research}
                stages:
                  score:
                    count: 2
                    gpus: 4
                    resources: {limits: {memory: 64Gi}}
                    nodeSelector: {pool: h200}
                    tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
            """;

    public static final String CONVERSATIONS = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: questions, namespace: team, uid: u-q, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z"}
            spec:
              sources: [{name: q, conversations: {location: "pvc://data/q.jsonl", images: "pvc://tars/images"}}]
              pack: {contextLength: 512, tokensPerImage: 16, algorithm: None, tokenizer: "pvc://data/tokenizer"}
              output: {location: "pvc://data/questions"}
            """;
    public static final String SFT = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: SFTJob
            metadata: {name: emoji, namespace: team, uid: u-s, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z"}
            spec:
              from: {pretrainJob: {name: emoji}}
              model: {projector: {tokensPerImage: 16}}
              data: [{dataset: questions}]
              batch: {contextLength: 512}
              output: {location: "pvc://runs/sft"}
            """;
    public static final String EVAL = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: EvalJob
            metadata: {name: emoji, namespace: team, uid: u-e, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z"}
            spec:
              checkpoint: {sftJob: {name: emoji}}
              benchmarks: [{name: names, location: "pvc://data/names.tsv", protocols: [Strict]}]
              output: {location: "pvc://runs/eval"}
            """;

    public static HasMetadata resource(String yaml) {
        Class<? extends HasMetadata> type = yaml.contains("kind: PretrainJob")
                ? PretrainJob.class
                : yaml.contains("kind: SFTJob")
                        ? SFTJob.class
                        : yaml.contains("kind: EvalJob") ? EvalJob.class : Dataset.class;
        return Serialization.unmarshal(yaml, type);
    }

    public static Subject subject(String yaml) {
        return Subjects.of(resource(yaml));
    }

    public static Subject with(Subject s, RunStatus status) {
        return new Subject(
                s.work(), s.namespace(), s.name(), s.uid(), s.generation(), s.createdAt(), s.deleting(), status);
    }

    public static Subject with(Subject s, long generation, String yaml, RunStatus status) {
        return new Subject(
                subject(yaml).work(),
                s.namespace(),
                s.name(),
                s.uid(),
                generation,
                s.createdAt(),
                s.deleting(),
                status);
    }

    public static AttemptJob job(int attempt, AttemptJob.State state, Instant created) {
        boolean ended = state == AttemptJob.State.Complete
                || state == AttemptJob.State.Failed
                || state == AttemptJob.State.Failing;
        return new AttemptJob(
                attempt,
                "emoji-pretrain-" + attempt,
                state,
                "",
                created,
                ended ? Optional.of(created.plusSeconds(100)) : Optional.empty(),
                Optional.empty(),
                2,
                false,
                Optional.empty(),
                "digest");
    }

    public static WorkerPod running(int attempt, int index) {
        return pod(attempt, index, WorkerPod.Phase.Running, Optional.empty(), "", "");
    }

    public static WorkerPod waiting(int attempt, int index, String reason, String message) {
        return new WorkerPod(
                attempt,
                index,
                "pod-" + attempt + "-" + index,
                "",
                WorkerPod.Phase.Pending,
                false,
                T0,
                Optional.of(new WorkerPod.Waiting(reason, message)),
                "",
                "",
                Optional.empty());
    }

    public static WorkerPod ended(
            int attempt, int index, int code, String reason, int second, TerminationMessage word) {
        return pod(
                attempt,
                index,
                code == 0 ? WorkerPod.Phase.Succeeded : WorkerPod.Phase.Failed,
                Optional.of(new WorkerPod.End(code, reason, T0.plusSeconds(second), Optional.ofNullable(word), "")),
                "",
                "");
    }

    public static WorkerPod evicted(int attempt, int index, String disruption) {
        return pod(attempt, index, WorkerPod.Phase.Failed, Optional.empty(), "", disruption);
    }

    private static WorkerPod pod(
            int attempt,
            int index,
            WorkerPod.Phase phase,
            Optional<WorkerPod.End> end,
            String reason,
            String disruption) {
        return new WorkerPod(
                attempt,
                index,
                "pod-" + attempt + "-" + index,
                "node-" + index,
                phase,
                false,
                T0,
                Optional.empty(),
                reason,
                disruption,
                end);
    }

    public static TerminationMessage word(String reason, String message, long step) {
        return new TerminationMessage(reason, message, step, 0L, null, null, 0, null, List.of(), null);
    }

    public static Checkpoint checkpoint(long step) {
        return new Checkpoint(
                step,
                T0.plusSeconds(step).toString(),
                String.format("pvc://runs/emoji/checkpoints/step-%09d", step),
                "sha256:" + Long.toHexString(step).repeat(8),
                1000L,
                2.5);
    }

    public static ProgressReport report(String uid, int attempt, long sequence, long step, Checkpoint... checkpoints) {
        return new ProgressReport(
                uid,
                attempt,
                sequence,
                step,
                1000L,
                null,
                null,
                step * 100,
                2.5,
                1.0,
                1e-3,
                5000.0,
                null,
                0.1,
                60L,
                null,
                0L,
                List.of(checkpoints),
                null,
                null,
                List.of(),
                List.of(),
                null);
    }
}
