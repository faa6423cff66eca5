package io.vlmoperator.api.spec;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Everything that can be said about a spec without looking elsewhere: the limits of the schema and the CEL rules again (on a laptop no
 * API server checks them), and what is not built yet. Pure; the messages are those of the CRDs.
 */
public final class SpecChecks {
    /** Where a spec is to run. */
    public enum Where {
        /** Behind an API server: {@code file:///} is refused. */
        CLUSTER,
        /** By {@code vlm-trainer run}: {@code file:///path} is a location, too. */
        LAPTOP
    }

    private final List<Problem> problems = new ArrayList<>();
    private final Where where;

    private SpecChecks(Where where) {
        this.where = where;
    }

    /** All problems of a Dataset's spec; empty when there are none. */
    public static List<Problem> check(DatasetSpec spec, Where where) {
        return new SpecChecks(where).run(spec, checks -> checks.dataset(spec));
    }

    /** All problems of a PretrainJob's spec; empty when there are none. */
    public static List<Problem> check(PretrainJobSpec spec, Where where) {
        return new SpecChecks(where).run(spec, checks -> checks.pretrain(spec));
    }

    /** All problems of an SFTJob's spec; empty when there are none. */
    public static List<Problem> check(SFTJobSpec spec, Where where) {
        return new SpecChecks(where).run(spec, checks -> checks.sft(spec));
    }

    /** All problems of an EvalJob's spec; empty when there are none. */
    public static List<Problem> check(EvalJobSpec spec, Where where) {
        return new SpecChecks(where).run(spec, checks -> checks.eval(spec));
    }

    /** Problems of one entry of {@code fetch}. */
    public static List<Problem> check(Fetch fetch, Where where) {
        return new SpecChecks(where).run(fetch, checks -> checks.fetch("spec", fetch));
    }

    /** Whether a resource may be called so. */
    public static List<Problem> checkName(String name) {
        return name != null && name.length() <= 40 && name.matches(Patterns.RESOURCE_NAME)
                ? List.of()
                : List.of(new Problem("metadata.name", Patterns.RESOURCE_NAME_MESSAGE));
    }

    private List<Problem> run(Record spec, Consumer<SpecChecks> rules) {
        if (spec == null) {
            return List.of(new Problem("spec", "is required"));
        }
        new SchemaChecks(where, problems).check("spec", spec);
        if (problems.isEmpty()) { // as on an API server: rules between fields only where each field is sound
            rules.accept(this);
        }
        return List.copyOf(problems);
    }

    private void dataset(DatasetSpec spec) {
        unique("spec.sources", "name", spec.sources(), Source::name);
        each("spec.sources", spec.sources(), (path, source) -> {
            require(
                    1 == given(source.webDataset(), source.urlList(), source.conversations(), source.interleaved()),
                    path,
                    Messages.SOURCE_FORM);
        });
        each("spec.fetch", spec.fetch(), this::fetch);
        long conversations =
                spec.sources().stream().filter(s -> s.conversations() != null).count();
        long documents =
                spec.sources().stream().filter(s -> s.interleaved() != null).count();
        require(
                (conversations == 0 || conversations == spec.sources().size())
                        && (documents == 0 || documents == spec.sources().size()),
                "spec.sources",
                Messages.NO_MIXING);
        require(!spec.select().hasRules() || conversations + documents == 0, "spec.select", Messages.SELECT_CAPTIONS);
        require(
                !spec.output().shards() || conversations + documents == 0,
                "spec.output.shards",
                Messages.SHARDS_CAPTIONS);
        require(spec.pack() != null || conversations > 0, "spec", Messages.PACK_REQUIRED);
        if (spec.pack() != null) {
            require(
                    conversations == 0 || spec.pack().algorithm() == Pack.Algorithm.None,
                    "spec",
                    Messages.PACK_CONVERSATIONS);
            square("spec.pack", spec.pack().tokensPerImage());
            require(
                    spec.pack().contextLength() > spec.pack().tokensPerImage(),
                    "spec.pack.contextLength",
                    Messages.CONTEXT);
        }
        require(
                spec.reject().duplicateDistance() == 0
                        || spec.reject().duplicateImages() == Reject.DuplicateImages.Perceptual,
                "spec.reject.duplicateDistance",
                Messages.DUPLICATE_DISTANCE);
        select("spec.select.anyOf", spec.select().anyOf());
        select("spec.select.allOf", spec.select().allOf());
        select("spec.select.not", spec.select().not());
        pods("spec.workers", spec.workers().env(), spec.workers().tolerations());
        if (spec.workers().stages() != null) {
            stages("spec.workers.stages", spec.workers().stages());
        }
        require(!spec.failure().trainingOnly(), "spec.failure", Messages.GUARDS);
    }

    private void stages(String path, DataStages stages) {
        require(
                stages.pack() == null
                        || stages.pack().count() == null
                        || stages.pack().count() == 1,
                path + ".pack",
                Messages.ONE_PACKS);
        require(
                Stream.of(stages.fetch(), stages.index(), stages.pack())
                        .allMatch(pods -> pods == null || pods.gpus() == 0),
                path,
                Messages.GPUS_SCORE);
        Map<String, DataPods> named = new LinkedHashMap<>();
        named.put("fetch", stages.fetch());
        named.put("index", stages.index());
        named.put("score", stages.score());
        named.put("pack", stages.pack());
        named.forEach((name, pods) -> {
            if (pods != null && pods.tolerations() != null) {
                tolerations(path + "." + name, pods.tolerations());
            }
        });
    }

    private void fetch(String path, Fetch fetch) {
        require(1 == given(fetch.huggingFace(), fetch.urls(), fetch.folder()), path, Messages.FETCH_FORM);
    }

    private void select(String path, List<Select.Rule> rules) {
        each(path, rules, (at, rule) -> require(1 == given(rule.uidList(), rule.score()), at, Messages.SELECT_FORM));
    }

    private void pretrain(PretrainJobSpec spec) {
        PretrainJobSpec.Model model = spec.model();
        language("spec.model.language", model.language());
        vision("spec.model.vision", model.vision());
        if (model.vision().config() != null && model.vision().config().patchSize() > 0) {
            long side = model.vision().config().imageSize()
                    / model.vision().config().patchSize();
            require(
                    model.projector().tokensPerImage() <= side * side,
                    "spec.model.projector.tokensPerImage",
                    Messages.GRID);
        }
        require(spec.batch().groupByLength() == null, "spec.batch.groupByLength", Messages.GROUP_BY_LENGTH);
        training(spec, Messages.MICRO_SIZE);
    }

    private void sft(SFTJobSpec spec) {
        SFTJobSpec.From from = spec.from();
        require(1 == given(from.pretrainJob(), from.sftJob(), from.location()), "spec.from", Messages.FROM_FORM);
        reference("spec.from.pretrainJob", from.pretrainJob());
        reference("spec.from.sftJob", from.sftJob());
        training(spec, Messages.MICRO_SIZE_SFT);
    }

    private void eval(EvalJobSpec spec) {
        EvalJobSpec.Checkpoint checkpoint = spec.checkpoint();
        require(
                1 == given(checkpoint.pretrainJob(), checkpoint.sftJob(), checkpoint.location(), checkpoint.endpoint()),
                "spec.checkpoint",
                Messages.CHECKPOINT_FORM);
        reference("spec.checkpoint.pretrainJob", checkpoint.pretrainJob());
        reference("spec.checkpoint.sftJob", checkpoint.sftJob());
        benchmarks("spec.benchmarks", spec.benchmarks());
        workers("spec.workers", spec.workers());
        require(!spec.failure().trainingOnly(), "spec.failure", Messages.GUARDS);
        NotBuilt.eval(spec).forEach(problems::add);
    }

    private void training(TrainingSpec spec, String microSizeMessage) {
        unique("spec.data", "dataset", spec.data(), DataRef::dataset);
        distinct("spec.model.train", spec.trainedParts());
        square("spec.model.projector", spec.tokensPerImage());
        require(spec.batch().contextLength() > spec.tokensPerImage(), "spec.batch.contextLength", Messages.CONTEXT);
        require(spec.batch().microSize() <= spec.batch().globalSize(), "spec.batch.microSize", microSizeMessage);
        stopAfter(spec.schedule().stopAfter());
        workers("spec.workers", spec.workers());
        if (spec.evaluate() != null) {
            benchmarks("spec.evaluate.benchmarks", spec.evaluate().benchmarks());
        }
        checkpoints(spec);
    }

    private void stopAfter(Schedule.StopAfter stop) {
        require(1 == given(stop.epochs(), stop.steps(), stop.tokens()), "spec.schedule.stopAfter", Messages.STOP_AFTER);
    }

    private void checkpoints(TrainingSpec spec) {
        Checkpoints.Keep keep = spec.checkpoints().keep();
        require(keep.every() % spec.checkpoints().everySteps() == 0, "spec.checkpoints", Messages.KEEP_EVERY);
        if (keep.best() == null) {
            return;
        }
        Checkpoints.Metric metric = keep.best().metric();
        require(
                1 == given(metric.loss(), metric.benchmark()),
                "spec.checkpoints.keep.best.metric",
                Messages.METRIC_FORM);
        Checkpoints.BenchmarkScore score = metric.benchmark();
        require(
                score == null
                        || spec.evaluate() != null
                                && spec.evaluate().benchmarks().stream()
                                        .anyMatch(b -> b.name().equals(score.name())
                                                && b.protocols().contains(score.protocol())),
                "spec",
                Messages.BEST_BENCHMARK);
    }

    private void language(String path, Language language) {
        require(1 == given(language.location(), language.config()), path, Messages.LANGUAGE_FORM);
        Language.Config config = language.config();
        if (config != null) {
            require(language.tokenizer() != null, path, Messages.LANGUAGE_TOKENIZER);
            require(
                    config.hiddenSize() % config.numAttentionHeads() == 0
                            && config.hiddenSize() / config.numAttentionHeads() % 2 == 0,
                    path + ".config",
                    Messages.LANGUAGE_HEADS);
            require(
                    config.numAttentionHeads() % config.numKeyValueHeads() == 0,
                    path + ".config",
                    Messages.LANGUAGE_GROUPS);
        }
    }

    private void vision(String path, Vision vision) {
        require(1 == given(vision.location(), vision.config()), path, Messages.VISION_FORM);
        Vision.Config config = vision.config();
        if (config != null) {
            require(config.hiddenSize() % config.numAttentionHeads() == 0, path + ".config", Messages.VISION_HEADS);
            require(config.patchSize() <= config.imageSize(), path + ".config", Messages.VISION_PATCH);
            require(-vision.featureLayer() <= config.numHiddenLayers(), path + ".featureLayer", Messages.VISION_LAYER);
        }
    }

    private void benchmarks(String path, List<Benchmark> benchmarks) {
        unique(path, "name", benchmarks, Benchmark::name);
        each(path, benchmarks, (at, benchmark) -> {
            distinct(at + ".protocols", benchmark.protocols());
            if (benchmark.fewShot() != null) {
                distinct(at + ".fewShot.seeds", benchmark.fewShot().seeds());
            }
        });
    }

    private void workers(String path, Workers workers) {
        require(workers.minNodes() <= workers.nodes(), path + ".minNodes", Messages.MIN_NODES);
        require(
                workers.network() == null
                        || workers.network().interfaceName() == null
                        || workers.env().stream()
                                .noneMatch(variable -> variable.name().equals("NCCL_SOCKET_IFNAME")),
                path + ".env",
                Messages.INTERFACE_ENV);
        pods(path, workers.env(), workers.tolerations());
    }

    private void pods(String path, List<EnvVar> env, List<Toleration> tolerations) {
        unique(path + ".env", "name", env, EnvVar::name);
        each(
                path + ".env",
                env,
                (at, variable) -> require(
                        !variable.name().startsWith("VLM_") && !variable.name().equals("JOB_COMPLETION_INDEX"),
                        at,
                        Messages.RESERVED_ENV));
        tolerations(path, tolerations);
    }

    private void tolerations(String path, List<Toleration> tolerations) {
        each(path + ".tolerations", tolerations, (at, toleration) -> {
            boolean value = toleration.value() != null && !toleration.value().isEmpty();
            boolean key = toleration.key() != null && !toleration.key().isEmpty();
            boolean form = "Exists".equals(toleration.operator()) ? !value : key;
            require(
                    form && (toleration.tolerationSeconds() == null || "NoExecute".equals(toleration.effect())),
                    at,
                    Messages.TOLERATION);
        });
    }

    private void reference(String path, CheckpointRef reference) {
        if (reference != null) {
            require(
                    (reference.select() == CheckpointRef.Which.Step) == (reference.step() != null),
                    path,
                    Messages.STEP);
        }
    }

    private void square(String path, int tokensPerImage) {
        require(Squares.isSquare(tokensPerImage), path + ".tokensPerImage", Messages.SQUARE);
    }

    private <T> void unique(String path, String field, List<T> values, Function<T, String> key) {
        Set<String> seen = new HashSet<>();
        each(
                path,
                values,
                (at, value) -> require(
                        seen.add(key.apply(value)), at + "." + field, "Duplicate value: \"" + key.apply(value) + "\""));
    }

    private <T> void distinct(String path, List<T> values) {
        Set<T> seen = new HashSet<>();
        each(path, values, (at, value) -> require(seen.add(value), at, "Duplicate value: " + value));
    }

    private void require(boolean holds, String path, String message) {
        if (!holds) {
            problems.add(new Problem(path, message));
        }
    }

    private static int given(Object... alternatives) {
        return (int) Stream.of(alternatives).filter(Objects::nonNull).count();
    }

    private static <T> void each(String path, List<T> values, BiConsumer<String, T> check) {
        for (int i = 0; i < values.size(); i++) {
            check.accept(path + "[" + i + "]", values.get(i));
        }
    }
}
