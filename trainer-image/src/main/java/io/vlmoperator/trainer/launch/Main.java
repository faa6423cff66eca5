package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.verify.Comparison;
import io.vlmoperator.trainer.verify.Verify;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** {@code vlm-trainer}. */
public final class Main {
    private static final String HELP = """
            vlm-trainer COMMAND ...

              worker                          one process of an operator's pod; everything stands in its environment
              run FOLDER|FILE... --mount CLAIM=FOLDER... [--only NAME] [--processes N] [--profile N]
                                              runs the manifests (Dataset, PretrainJob, SFTJob, EvalJob) on this machine, without
                                              Kubernetes, in order of dependence; what is finished is skipped, what was begun resumes.
                                              --profile N writes when each operator of N steps ran to the run folder's profile/
              generate --checkpoint DIR [--image FILE]... [--prompt TEXT] [--max-new-tokens N] [--stop TEXT]...
                       [--temperature T [--top-k K] [--top-p P] [--seed S]]
                                              the model's answer, printed as it is made; DIR is a run folder, a checkpoint or an export.
                                              Images stand where the prompt says <image>, or in front of it; without a prompt the model
                                              writes a caption. Greedy, unless a temperature is given
              plan FOLDER|FILE... --gpu NAME [--nodes N] [--gpus-per-node N] [--only NAME] [--samples N] [--text-tokens N]
                   [--mfu SHARE] [--network GB/s] [--shard none|zero1] [--mount CLAIM=FOLDER]...
                                              what a training job needs: memory, operations, time, communication; runs nothing
              data show DATASET --tokenizer DIR [--mount CLAIM=FOLDER]... [--sample N] [--images DIR] [--image-size N]
                        [--template ChatML|PaperCompatible]
                                              a sample of a finished Dataset as the model sees it: text, tokens, which of them are
                                              targets; its images are written to a folder
              data fetch TO (--repository NAME [--revision R] [--kind Model|Dataset] | --url URL --sha256 HEX [--name N] | --folder LOCATION)
                         [--files PATTERN]...
                                              brings a revision of a Hugging Face repository (HF_TOKEN, HF_ENDPOINT), a file or a folder
                                              of storage to the folder TO; ended anywhere, it goes on where it was
              data score DATASET --scorer DIR [--mount CLAIM=FOLDER]... [--metric NAME]... [--threads N] [--part I/N]
                                              asks a filter model (a run folder, a checkpoint or an imported model) about the captions of
                                              a finished Dataset: one Parquet file of scores per tar; without --metric SemanticUnderstanding
              checkpoint list RUN             the checkpoints of a run folder
              checkpoint verify RUN           reads them all and compares their digests
              checkpoint prune RUN --keep N [--pins STEP,STEP,...]
                                              deletes all but the newest N, the pinned ones, and the newest that is whole
              checkpoint delete RUN --step N  deletes one
              export --checkpoint DIR --to DIR [--as-729] [--text-only] [--type Float32|BFloat16]
                                              a stock LLaVA folder (or its text model alone) for other libraries
              import --to DIR (--llava DIR | --language DIR --vision DIR --projector FILE | --released FILE --language DIR --vision DIR)
                     [--tokenizer DIR] [--tokens-per-image N] [--activation Erf|Tanh]
                                              weights from elsewhere, as a folder that stands for a checkpoint
              verify DIR [--tokenizer DIR] [--dump OUT]
                                              runs the cases of a reference folder and compares
              check                           whether this machine can train: loads every native library, says what is there
              bench-step [--threads N] [--steps N] [--lengths L,L,... | --shape HIDDEN/LAYERS/VOCABULARY/SEQUENCE]
                         [--precision Float32|BFloat16] [--recompute None|Selective|Full] [--table yes]
                                              a training step on made-up samples: the demo's model, or one row (see make bench-train);
                                              with --table yes also the time of each operator
              bench-generate [--threads N] [--tokens N] [--pairs N] [--json FILE]
                                              an answer with the cache of keys and values, and without (see make bench-generate)
              bench-full-size [--threads N] [--recompute None|Selective|Full] [--json FILE]
                                              forward and backward at the paper's sizes; needs 12 GiB (see make bench-full-size)
              bench-gpu [--steps N] [--rows N] [--recompute None|Selective|Full] [--peak TFLOPS] [--ranks N] [--json FILE]
                                              the paper's pre-training step on one GPU and the bandwidth between GPUs (see make bench-gpu);
                                              --device cpu --size tiny tries the same code on the processor
              bench-plan [--json FILE]        the plan's memory against that of three small runs (see make bench-plan)
              bench-scaling [--steps N] [--rounds N] [--json FILE]
                                              1, 2 and 4 workers, and their ring against a plain copy (see make bench-scaling)
              bench-checkpoint [--rounds N] [--threads N] [--folder DIR] [--json FILE]
                                              what a save costs the training that goes on meanwhile (see make bench-checkpoint)
              bench-images TAR [--decoder turbo|jdk] [--passes N]
                                              decode, resize and normalise the JPEGs of a tar (see make bench-images)
              bench-data pack|select|conversations N [--within SECONDS]
                                              index, plan, order or selection of N made-up samples (see make bench-pack, bench-select, bench-conversations)
              --version, --help

            A location stands wherever a file or folder does, but for verify and the benches, which work on files of this machine.
            A location is pvc://CLAIM/path or s3://bucket/key; pvc://CLAIM/path lies under the folder of --mount CLAIM=FOLDER (in a pod under /mnt/CLAIM).
            Exit codes: 0 done, 64 configuration, 65 data, 66 storage, 67 does not fit, 70 internal error, 80 not finite, 143 terminated,
            160 saved before the end, 161 collective too late, 162 peer lost, 163 step too late, 164 a newer attempt owns the run.
            """;

    private Main() {}

    /** Runs a command and exits with its code. */
    public static void main(String[] arguments) {
        // Nothing may be fetched or reported by a library.
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        // DJL logs through SLF4J; without a logger behind it nothing is lost, errors are thrown.
        System.setProperty("slf4j.internal.verbosity", "ERROR");
        int code = run(Arrays.asList(arguments), System.getenv(), System.out, System.err);
        System.out.flush();
        System.err.flush();
        // Threads of libraries must not keep a finished process, nor a shutdown hook a failed one.
        Thread.ofPlatform().daemon().start(() -> {
            try {
                Thread.sleep(5000);
                Runtime.getRuntime().halt(code);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        System.exit(code);
    }

    static int run(List<String> arguments, Map<String, String> environment, PrintStream out, PrintStream err) {
        String command = arguments.isEmpty() ? "--help" : arguments.getFirst();
        List<String> rest = arguments.isEmpty() ? List.of() : arguments.subList(1, arguments.size());
        if (rest.contains("--help") || rest.contains("-h")) {
            out.print(help(command));
            return 0;
        }
        try {
            return switch (command) {
                case "worker" -> {
                    Arguments.parse(rest, List.of(), List.of()).requireNone();
                    yield new Worker(environment, out, err).run();
                }
                case "run" -> new RunCommand(rest, environment, out, err).run();
                case "generate" -> {
                    GenerateCommand.run(rest, environment, out);
                    yield 0;
                }
                case "plan" -> {
                    PlanCommand.run(rest, environment, out);
                    yield 0;
                }
                case "checkpoint" -> new CheckpointCommand(rest, environment, out).run();
                case "export" -> ModelCommands.export(rest, environment, out);
                case "import" -> ModelCommands.imports(rest, environment, out);
                case "data" ->
                    switch (rest.isEmpty() ? "" : rest.getFirst()) {
                        case "fetch" -> FetchCommand.run(rest, environment, out);
                        case "score" -> DataScoreCommand.run(rest, environment, out);
                        default -> new DataCommand(rest, environment, out).run();
                    };
                case "verify" -> verify(rest, out);
                case "check" -> Check.run(rest, out);
                case "bench-step" -> StepBench.run(rest, out);
                case "bench-full-size" -> FullSizeBench.run(rest, out);
                case "bench-gpu" -> GpuBench.run(rest, environment, out);
                case "bench-plan" -> PlanBench.run(rest, out);
                case "bench-scaling" -> ScalingBench.run(rest, environment, out);
                case "bench-generate" -> GenerateBench.run(rest, out);
                case "bench-checkpoint" -> CheckpointBench.run(rest, out);
                case "bench-images" -> ImageBenchCommand.run(rest, out);
                case "bench-data" -> DataBenchCommand.run(rest, out);
                case "--version" -> {
                    out.println("vlm-trainer " + version() + ", libtorch " + io.vlmoperator.trainer.op.Torch.VERSION);
                    yield 0;
                }
                case "--help", "-h", "help" -> {
                    out.print(HELP);
                    yield 0;
                }
                default ->
                    throw TrainerException.configuration(
                            "unknown command '" + command
                                    + "'; there are worker, run, generate, plan, data, checkpoint, export, import, verify, check, --version, --help");
            };
        } catch (Throwable e) {
            ExitCode code = Ending.code(e);
            err.println(code.name() + ": " + Ending.message(e));
            return code.code();
        }
    }

    /** What the help says of one command; all of it for a command that it does not name. */
    static String help(String command) {
        StringBuilder own = new StringBuilder();
        boolean inside = false;
        for (String line : HELP.lines().toList()) {
            if (line.startsWith("  ") && !line.startsWith("   ")) {
                inside = line.startsWith("  " + command + " ");
            } else if (line.isBlank()) {
                inside = false;
            }
            if (inside) {
                own.append(line.stripTrailing()).append('\n');
            }
        }
        return own.isEmpty() ? HELP : own.toString();
    }

    private static int verify(List<String> words, PrintStream out) throws IOException {
        Arguments arguments = Arguments.parse(words, List.of("--dump", "--tokenizer"), List.of());
        if (arguments.words().size() != 1) {
            throw TrainerException.configuration("write: verify DIR [--tokenizer DIR] [--dump OUT]");
        }
        Path folder = Places.here(arguments.words().getFirst(), "verify");
        if (!Files.isDirectory(folder)) {
            throw TrainerException.configuration(folder + " is no folder");
        }
        List<Comparison> all = Verify.run(
                folder,
                arguments.one("--tokenizer").map(place -> Places.here(place, "verify")),
                arguments.one("--dump").map(place -> Places.here(place, "verify")));
        return Verify.print(all, out) ? ExitCode.Completed.code() : ExitCode.InternalError.code();
    }

    private static String version() {
        String version = Main.class.getPackage().getImplementationVersion();
        return version == null ? "0.1.0-SNAPSHOT" : version;
    }
}
