package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.spec.Language;
import io.vlmoperator.api.spec.Precision;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.Schedule;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Vision;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.launch.ManifestFiles.Resource;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.plan.Device;
import io.vlmoperator.trainer.plan.KnownModels;
import io.vlmoperator.trainer.plan.RunPlan;
import io.vlmoperator.trainer.plan.Workload;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** {@code vlm-trainer plan}: what a training job of the manifests will need. Runs nothing and reads no data. */
final class PlanCommand {
    private static final double SIGLIP_EPS = 1e-6;
    private static final int MIN_POSITIONS = 4096;
    private static final double GIGA = 1e9;

    /** What first-fit-decreasing reaches on captions of the paper's lengths. */
    private static final double FILL = 0.983;

    private final Arguments arguments;
    private final PrintStream out;
    private final List<Resource> resources;

    private PlanCommand(List<String> words, PrintStream out) {
        this.out = out;
        arguments = Arguments.parse(
                words,
                List.of(
                        "--gpu",
                        "--nodes",
                        "--gpus-per-node",
                        "--only",
                        "--samples",
                        "--text-tokens",
                        "--mfu",
                        "--network",
                        "--shard"),
                List.of("--mount"));
        if (arguments.words().isEmpty()) {
            throw TrainerException.configuration("name at least one manifest: plan job.yaml --gpu H100-80G --nodes 1");
        }
        resources =
                ManifestFiles.planned(arguments.words().stream().map(Path::of).toList());
    }

    static void run(List<String> words, PrintStream out) {
        PlanCommand command = new PlanCommand(words, out);
        command.print(command.plan());
    }

    private RunPlan plan() {
        Resource job = job();
        TrainingSpec spec = (TrainingSpec) job.spec();
        String name = arguments
                .one("--gpu")
                .orElseThrow(() -> TrainerException.configuration(
                        "option --gpu is missing; there are " + String.join(", ", Device.names())));
        Device device = Device.gpu(name)
                .orElseThrow(() -> TrainerException.configuration(
                        "--gpu '" + name + "' is not known; there are " + String.join(", ", Device.names())));
        int nodes = arguments.number("--nodes", 1024).orElse(spec.workers().nodes());
        int perNode = arguments
                .number("--gpus-per-node", 64)
                .orElse(spec.workers().gpusPerNode() > 0 ? spec.workers().gpusPerNode() : 8);
        if (nodes * perNode > spec.batch().globalSize()) {
            throw TrainerException.configuration(nodes + " nodes of " + perNode + " GPUs are more than the "
                    + spec.batch().globalSize() + " rows of a step (batch.globalSize)");
        }
        double mfu = arguments.decimal("--mfu").orElse(0.4);
        if (!(mfu > 0 && mfu <= 1)) {
            throw TrainerException.configuration("--mfu is " + mfu + "; above 0 and up to 1 is possible");
        }
        double network = arguments.decimal("--network").orElse(25);
        if (!(network > 0)) {
            throw TrainerException.configuration("--network is 0; write gigabytes per second, such as 25");
        }
        boolean zero1 = switch (arguments.one("--shard").orElse("none")) {
            case "none" -> false;
            case "zero1" -> true;
            default -> throw TrainerException.configuration("--shard is none or zero1");
        };
        Workload work = work(job);
        out.printf("%s %s: %,d weights, %,d of them learn%n", job.kind(), job.name(), count(work), learning(work));
        return RunPlan.of(work, device, nodes, perNode, tokens(spec, work), mfu, network * GIGA, zero1);
    }

    private Resource job() {
        List<Resource> jobs = resources.stream()
                .filter(resource -> resource.spec() instanceof TrainingSpec)
                .filter(resource ->
                        arguments.one("--only").map(resource.name()::equals).orElse(true))
                .toList();
        if (jobs.isEmpty()) {
            throw TrainerException.configuration(arguments
                    .one("--only")
                    .map(name -> "there is no PretrainJob or SFTJob " + name + " in the manifests")
                    .orElse("there is no PretrainJob or SFTJob in the manifests"));
        }
        if (jobs.size() > 1) {
            throw TrainerException.configuration("there are " + jobs.size() + " training jobs ("
                    + String.join(", ", jobs.stream().map(Resource::key).toList()) + "); name one with --only");
        }
        return jobs.getFirst();
    }

    private Workload work(Resource job) {
        TrainingSpec spec = (TrainingSpec) job.spec();
        ModelConfig base = model(pretrain(job));
        ModelConfig model = new ModelConfig(base.language(), base.vision(), new ProjectorConfig(spec.tokensPerImage()));
        boolean packed = spec instanceof PretrainJobSpec;
        double text = arguments.number("--text-tokens", 100_000).orElse(packed ? 32 : 200);
        double sample = Math.min(spec.batch().contextLength(), spec.tokensPerImage() + text);
        return new Workload(
                model,
                parts(spec),
                spec.precision() == Precision.BFloat16,
                switch (spec.recompute()) {
                    case None -> Workload.Recompute.NONE;
                    case Selective -> Workload.Recompute.SELECTIVE;
                    case Full -> Workload.Recompute.FULL;
                },
                spec.batch().microSize(),
                spec.batch().globalSize(),
                packed ? Math.max(sample, spec.batch().contextLength() * FILL) : sample,
                spec.batch().contextLength(),
                sample,
                1,
                packed && spec.batch().attention() == io.vlmoperator.api.spec.Batch.Attention.Causal);
    }

    /** The PretrainJob that has the sizes: the job itself, or where it started. */
    private PretrainJobSpec pretrain(Resource job) {
        Resource at = job;
        for (int hops = 0; hops < resources.size() + 1; hops++) {
            if (at.spec() instanceof PretrainJobSpec spec) {
                return spec;
            }
            SFTJobSpec.From from = ((SFTJobSpec) at.spec()).from();
            String wanted = from.pretrainJob() != null
                    ? "PretrainJob/" + from.pretrainJob().name()
                    : from.sftJob() != null ? "SFTJob/" + from.sftJob().name() : "";
            String key = at.key();
            at = resources.stream()
                    .filter(resource -> resource.key().equals(wanted))
                    .findFirst()
                    .orElseThrow(() -> TrainerException.configuration(key + " starts from "
                            + (wanted.isEmpty() ? "a location" : wanted)
                            + ", whose sizes are not known here; give the manifest of the PretrainJob too"));
        }
        throw TrainerException.configuration(job.key() + " starts from itself");
    }

    private ModelConfig model(PretrainJobSpec spec) {
        try {
            return new ModelConfig(language(spec), vision(spec), new ProjectorConfig(spec.tokensPerImage()));
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration("spec.model: " + e.getMessage());
        } catch (IOException e) {
            throw TrainerException.configuration("spec.model: " + e.getMessage());
        }
    }

    private LanguageConfig language(PretrainJobSpec spec) throws IOException {
        Language language = spec.model().language();
        Language.Config config = language.config();
        if (config != null) {
            return new LanguageConfig(
                    config.hiddenSize(),
                    config.intermediateSize(),
                    config.numHiddenLayers(),
                    config.numAttentionHeads(),
                    config.numKeyValueHeads(),
                    config.vocabSize(),
                    config.ropeTheta(),
                    config.rmsNormEps(),
                    config.tieWordEmbeddings(),
                    Math.max(MIN_POSITIONS, spec.batch().contextLength()));
        }
        if (arguments.many("--mount").isEmpty()) {
            return KnownModels.language(language.location()).orElseThrow(() -> unknown(language.location()));
        }
        return HuggingFace.languageConfig(locations().resolve(language.location()));
    }

    private VisionConfig vision(PretrainJobSpec spec) throws IOException {
        Vision vision = spec.model().vision();
        Vision.Config config = vision.config();
        VisionConfig.Activation activation =
                VisionConfig.Activation.valueOf(vision.activation().name());
        if (config != null) {
            return new VisionConfig(
                    config.imageSize(),
                    config.patchSize(),
                    config.hiddenSize(),
                    config.intermediateSize(),
                    config.numHiddenLayers(),
                    config.numAttentionHeads(),
                    SIGLIP_EPS,
                    vision.featureLayer(),
                    activation);
        }
        if (arguments.many("--mount").isEmpty()) {
            return KnownModels.vision(vision.location(), vision.featureLayer(), activation)
                    .orElseThrow(() -> unknown(vision.location()));
        }
        return HuggingFace.visionConfig(locations().resolve(vision.location()), vision.featureLayer(), activation);
    }

    private static TrainerException unknown(String location) {
        return TrainerException.configuration("the sizes of " + location
                + " are not known by its name; give --mount CLAIM=FOLDER with its config.json");
    }

    private Locations locations() {
        Map<String, Path> mounts = new LinkedHashMap<>();
        for (String mount : arguments.many("--mount")) {
            int equals = mount.indexOf('=');
            if (equals < 1 || !Files.isDirectory(Path.of(mount.substring(equals + 1)))) {
                throw TrainerException.configuration("--mount '" + mount + "'; write --mount CLAIM=FOLDER");
            }
            mounts.put(mount.substring(0, equals), Path.of(mount.substring(equals + 1)));
        }
        return Locations.of(mounts);
    }

    private static Set<Part> parts(TrainingSpec spec) {
        Set<Part> parts = EnumSet.noneOf(Part.class);
        for (io.vlmoperator.api.spec.Part part : spec.trainedParts()) {
            parts.add(
                    switch (part) {
                        case Vision -> Part.VISION;
                        case Projector -> Part.PROJECTOR;
                        case Language -> Part.LANGUAGE;
                    });
        }
        return parts;
    }

    private double tokens(TrainingSpec spec, Workload work) {
        Schedule.StopAfter stop = spec.schedule().stopAfter();
        if (stop.tokens() != null) {
            return stop.tokens();
        }
        if (stop.steps() != null) {
            return stop.steps() * (double) spec.batch().globalSize() * work.rowTokens();
        }
        long samples = arguments
                .count("--samples", 1_000_000_000_000L)
                .orElseThrow(() -> TrainerException.configuration("schedule.stopAfter.epochs is " + stop.epochs()
                        + ", and how many samples the data has stands in no manifest: give --samples N"));
        return samples * work.sampleTokens() * stop.epochs();
    }

    private static long count(Workload work) {
        return work.model().parameters().stream().mapToLong(p -> p.count()).sum();
    }

    private static long learning(Workload work) {
        return work.model().parameters().stream()
                .filter(p -> work.trained().contains(p.part()))
                .mapToLong(p -> p.count())
                .sum();
    }

    private void print(RunPlan plan) {
        PlanTable.print(plan, out);
    }
}
