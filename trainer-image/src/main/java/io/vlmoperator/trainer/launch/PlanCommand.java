package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.spec.Precision;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.Schedule;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.launch.ManifestFiles.Resource;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.plan.Device;
import io.vlmoperator.trainer.plan.KnownModels;
import io.vlmoperator.trainer.plan.RunPlan;
import io.vlmoperator.trainer.plan.Workload;
import io.vlmoperator.trainer.train.ModelSizes;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** {@code vlm-trainer plan}: what a training job of the manifests will need. Runs nothing and reads no data. */
final class PlanCommand {
    /** Numbers of GPUs that every plan is also made for. */
    private static final int[] SCALING = {8, 64, 512, 1024};

    private static final double GIGA = 1e9;

    /** What first-fit-decreasing reaches on captions of the paper's lengths. */
    private static final double FILL = 0.983;

    /**
     * Models by the name that their location ends with, for plans without the files; those of other names are read where that takes no
     * {@code --mount}.
     */
    private record Published(ModelSizes.Named folders) implements ModelSizes.Named {
        @Override
        public LanguageConfig language(String location) throws IOException {
            Optional<LanguageConfig> known = KnownModels.language(location);
            return known.isPresent() ? known.get() : readable(location).language(location);
        }

        @Override
        public VisionConfig vision(String location, int featureLayer, VisionConfig.Activation activation)
                throws IOException {
            Optional<VisionConfig> known = KnownModels.vision(location, featureLayer, activation);
            return known.isPresent() ? known.get() : readable(location).vision(location, featureLayer, activation);
        }

        private ModelSizes.Named readable(String location) {
            if (location.startsWith("pvc://")) {
                throw unknown(location);
            }
            return folders;
        }
    }

    private final Arguments arguments;
    private final PrintStream out;
    private final Places places;
    private final List<Resource> resources;

    private PlanCommand(List<String> words, Map<String, String> environment, PrintStream out) {
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
        places = Places.of(arguments, environment);
        resources = ManifestFiles.planned(
                arguments.words().stream().map(places::path).toList());
    }

    static void run(List<String> words, Map<String, String> environment, PrintStream out) {
        PlanCommand command = new PlanCommand(words, environment, out);
        Asked asked = command.asked();
        PlanTable.print(asked.plan(asked.nodes(), asked.perNode()), out);
        PlanTable.scaling(
                Arrays.stream(SCALING).mapToObj(gpus -> asked.plan(gpus / 8, 8)).toList(), out);
    }

    private record Asked(
            Workload work,
            Device device,
            int nodes,
            int perNode,
            double tokens,
            double mfu,
            double network,
            boolean zero1) {
        RunPlan plan(int onNodes, int each) {
            return RunPlan.of(work, device, onNodes, each, tokens, mfu, network, zero1);
        }
    }

    private Asked asked() {
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
        boolean zero1 = switch (arguments.one("--shard").orElse("zero1")) {
            case "none" -> false;
            case "zero1" -> true;
            default -> throw TrainerException.configuration("--shard is none or zero1");
        };
        Workload work = work(job);
        out.printf("%s %s: %,d weights, %,d of them learn%n", job.kind(), job.name(), count(work), learning(work));
        return new Asked(work, device, nodes, perNode, tokens(spec, work), mfu, network * GIGA, zero1);
    }

    private Resource job() {
        List<Resource> jobs = resources.stream()
                .filter(resource -> resource.spec() instanceof TrainingSpec)
                .filter(resource -> arguments
                        .one("--only")
                        .map(only -> only.equals(resource.name()) || only.equals(resource.key()))
                        .orElse(true))
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
                ModelSizes.trained(spec),
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
        ModelSizes.Named folders = ModelSizes.Named.folders(places.locations());
        boolean mounted = !arguments.many("--mount").isEmpty();
        try {
            return ModelSizes.of(spec, mounted ? folders : new Published(folders));
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration("spec.model: " + e.getMessage());
        } catch (IOException e) {
            throw TrainerException.configuration("spec.model: " + e.getMessage());
        }
    }

    private static TrainerException unknown(String location) {
        return TrainerException.configuration("the sizes of " + location
                + " are not known by its name; give --mount CLAIM=FOLDER with its config.json");
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
        if (samples == 0) {
            throw TrainerException.configuration("--samples is 0; a plan is for at least one");
        }
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
}
