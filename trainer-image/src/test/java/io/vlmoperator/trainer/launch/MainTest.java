package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.TorchException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MainTest {
    @TempDir
    Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int run(Map<String, String> environment, String... arguments) {
        return Main.run(
                Arrays.asList(arguments),
                environment,
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
    }

    private static final String DATASET = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: Dataset
            metadata: {name: d}
            spec:
              sources: [{name: s, webDataset: {location: "pvc://c/x.tar"}}]
              pack: {contextLength: 64, tokensPerImage: 4, tokenizer: "pvc://c/tokenizer"}
              output: {location: "pvc://c/out"}
            """;

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            frobnicate                                  | unknown command 'frobnicate'
            run                                         | name at least one folder
            run nowhere                                 | nowhere does not exist
            run FOLDER --mount c                        | write --mount CLAIM=FOLDER
            run FOLDER --mount c=/nowhere               | is no folder
            run FOLDER --bogus 1                        | unknown option --bogus
            run FOLDER --mount                          | option --mount needs a value
            run FOLDER --processes 0                    | 1 to 64 is possible
            run FOLDER --only x                         | there is no such resource
            run FOLDER                                  | claim c is not here; add --mount CLAIM=FOLDER
            checkpoint list                             | write: checkpoint list|verify|prune|delete RUN
            checkpoint list nowhere                     | nowhere is no folder
            checkpoint shuffle FOLDER                   | there are list, verify, prune and delete
            checkpoint prune FOLDER                     | prune needs --keep N
            checkpoint delete FOLDER --step 7           | has no checkpoint of step 7
            generate --image x                          | option --checkpoint is missing
            generate --checkpoint nowhere               | without a prompt the model writes the caption of one image
            generate --checkpoint nowhere --prompt x    | nowhere
            generate --checkpoint c --prompt x --top-k 5               | --top-k is for sampling
            generate --checkpoint c --prompt x --seed 5                | --seed is for sampling
            generate --checkpoint c --prompt x --temperature hot       | --temperature is 'hot'
            generate --checkpoint c --prompt x --temperature 200       | --temperature is 200.0
            generate --checkpoint c --prompt x --temperature 1 --top-p 0    | --top-p is 0.0
            generate --checkpoint c --prompt x --max-new-tokens 5000   | 1 to 4096 is possible
            plan                                        | name at least one manifest
            plan FOLDER --gpu H100-80G                  | there is no PretrainJob or SFTJob in the manifests
            worker                                      | VLM_JOB_FILE is not set
            """)
    void badCommandsSayWhatToWrite(String line, String message) throws IOException {
        Files.writeString(folder.resolve("d.yaml"), DATASET);
        String[] words = line.replace("FOLDER", folder.toString()).split(" ");
        assertThat(run(Map.of("VLM_TERMINATION_LOG", folder.resolve("log").toString()), words))
                .isEqualTo(64);
        assertThat(err.toString(StandardCharsets.UTF_8))
                .contains("InvalidConfiguration: ")
                .contains(message);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {name: d}              | {name: d, labels: {a: b}}  | claim c is not here
            kind: Dataset          | kind: Datasett             | kind Datasett; there are Dataset
            v1alpha1               | v9                         | this trainer reads vlm-operator.io/v1alpha1
            contextLength: 64      | contextLenght: 64          | contextLenght
            contextLength: 64      | contextLength: many        | spec.pack.contextLength
            contextLength: 64      | contextLength: 4           | contextLength
            tokensPerImage: 4      | tokensPerImage: 5          | square
            {name: d}              | {name: Not_A_Name}         | metadata.name 'Not_A_Name'
            pvc://c/out            | pvc://c/../out             | spec.output.location
            sources: [             | sources: [[                | d.yaml
            """)
    void badManifestsAreRefusedWithTheirPath(String from, String to, String message) throws IOException {
        Files.writeString(folder.resolve("d.yaml"), DATASET.replace(from, to));
        assertThat(run(Map.of(), "run", folder.toString())).isEqualTo(64);
        assertThat(err.toString(StandardCharsets.UTF_8)).contains(message);
    }

    @Test
    void referencesMustBeThere() throws IOException {
        Files.writeString(folder.resolve("e.yaml"), """
                apiVersion: v1
                kind: PersistentVolumeClaim
                metadata: {name: c}
                ---
                apiVersion: vlm-operator.io/v1alpha1
                kind: EvalJob
                metadata: {name: e}
                spec:
                  checkpoint: {sftJob: {name: missing}}
                  benchmarks: [{name: b, location: "pvc://c/b.tsv"}]
                  output: {location: "pvc://c/out"}
                """);
        assertThat(run(Map.of(), "run", folder.toString(), "--mount", "c=" + folder))
                .isEqualTo(64);
        assertThat(out.toString(StandardCharsets.UTF_8)).contains("PersistentVolumeClaim is for Kubernetes, skipped");
        assertThat(err.toString(StandardCharsets.UTF_8))
                .contains("spec.checkpoint.sftJob names SFTJob missing, which is in none of the manifests");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {                                                                                   | can't be read
            {"schemaVersion":99,"kind":"EvalJob","name":"e","uid":"u","attempt":1}              | reads up to 1
            {"schemaVersion":1,"kind":"EvalJob","name":"e","uid":"u","attempt":1}               | a EvalJob without its spec
            {"schemaVersion":1,"kind":"EvalJob","name":"e","uid":"u","attempt":1,"colour":1}    | colour
            {"schemaVersion":1,"kind":"Dataset","name":"e","uid":"u","attempt":0,"dataset":{}}  | attempt 0
            """)
    void badFrozenJobsEndWithLastWords(String job, String message) throws IOException {
        Path file = Files.writeString(folder.resolve("job.json"), job);
        Path log = folder.resolve("log");
        int code = run(Map.of("VLM_JOB_FILE", file.toString(), "VLM_TERMINATION_LOG", log.toString()), "worker");
        assertThat(code).isEqualTo(64);
        JsonNode words = new ObjectMapper().readTree(log.toFile());
        assertThat(words.path("reason").asText()).isEqualTo("InvalidConfiguration");
        assertThat(words.path("message").asText()).contains(message);
        assertThat(err.toString(StandardCharsets.UTF_8).lines()).hasSize(1);
    }

    @Test
    void checkLoadsTheNativeLibraries() {
        assertThat(run(Map.of(), "check"))
                .as(err.toString(StandardCharsets.UTF_8))
                .isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("libtorch    2.7.1", "tokenizers  loaded", "images      JPEG by ", "MiB free");
        assertThat(run(Map.of(), "check", "everything")).isEqualTo(64);
    }

    private static final String JOBS = """
            apiVersion: vlm-operator.io/v1alpha1
            kind: PretrainJob
            metadata: {name: p}
            spec:
              model:
                language: {location: "pvc://models/Qwen2.5-1.5B-Instruct"}
                vision: {location: "pvc://models/siglip-so400m-patch14-384"}
              data: [{dataset: d}]
              batch: {attention: Causal}
              schedule: {stopAfter: {tokens: 5000000000}}
              workers: {nodes: 1, gpusPerNode: 8}
              output: {location: "pvc://c/p"}
            ---
            apiVersion: vlm-operator.io/v1alpha1
            kind: SFTJob
            metadata: {name: s}
            spec:
              from: {pretrainJob: {name: p}}
              data: [{dataset: d}]
              output: {location: "pvc://c/s"}
            """;

    @Test
    void aPlanOfWhatCannotRunHere() throws IOException {
        Files.writeString(folder.resolve("jobs.yaml"), JOBS);
        String jobs = folder.toString();
        assertThat(run(Map.of(), "plan", jobs, "--gpu", "A100-40G", "--only", "p", "--mfu", "0.283"))
                .as(err.toString(StandardCharsets.UTF_8))
                .isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("1,945,591,584 weights", "1 x 8 A100-40G", "DOES NOT FIT", "GPU-hours")
                .containsPattern("together +1[34]\\.\\d+ GFLOP");
        out.reset();
        assertThat(run(
                        Map.of(),
                        "plan",
                        jobs,
                        "--gpu",
                        "H100-80G",
                        "--only",
                        "s",
                        "--nodes",
                        "2",
                        "--samples",
                        "10000000",
                        "--shard",
                        "zero1"))
                .isZero();
        assertThat(out.toString(StandardCharsets.UTF_8)).contains("2 x 8 H100-80G", "78,125 steps", ": fits");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            --gpu H100-80G                                | there are 2 training jobs (PretrainJob/p, SFTJob/s)
            --only p                                      | option --gpu is missing; there are A100-40G
            --only p --gpu GTX                            | --gpu 'GTX' is not known; there are A100-40G
            --only q --gpu H100-80G                       | there is no PretrainJob or SFTJob q
            --only s --gpu H100-80G                       | give --samples N
            --only p --gpu H100-80G --nodes 99            | are more than the 256 rows of a step
            --only p --gpu H100-80G --mfu 0               | --mfu is 0.0
            --only p --gpu H100-80G --network 0           | --network is 0
            --only p --gpu H100-80G --shard zero3         | --shard is none or zero1
            --only p --gpu H100-80G --mount models=/nowhere | is no folder
            """)
    void plansThatCannotBeMade(String options, String message) throws IOException {
        Files.writeString(folder.resolve("jobs.yaml"), JOBS);
        List<String> words = new java.util.ArrayList<>(List.of("plan", folder.toString()));
        words.addAll(Arrays.asList(options.split(" +")));
        assertThat(run(Map.of(), words.toArray(String[]::new))).isEqualTo(64);
        assertThat(err.toString(StandardCharsets.UTF_8)).contains(message);
    }

    @Test
    void helpAndVersion() {
        assertThat(run(Map.of(), "--help")).isZero();
        assertThat(run(Map.of(), "--version")).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("vlm-trainer COMMAND")
                .contains("libtorch 2.7.1");
    }

    @Test
    void everyCommandHelps() {
        assertThat(run(Map.of(), "generate", "--help")).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .startsWith("  generate --checkpoint DIR")
                .contains("--temperature", "Greedy")
                .doesNotContain("plan FOLDER", "Exit codes");
        for (String command : java.util.List.of("run", "plan", "export", "import", "verify", "checkpoint", "data")) {
            assertThat(Main.help(command))
                    .as(command)
                    .startsWith("  " + command + " ")
                    .doesNotContain("Exit codes");
        }
        assertThat(Main.help("no-such-command")).contains("Exit codes");
    }

    @Test
    void everyErrorHasItsCode() {
        assertThat(Ending.code(TrainerException.data("x")).code()).isEqualTo(65);
        assertThat(Ending.code(new IllegalStateException(TrainerException.data("x")))
                        .code())
                .isEqualTo(65);
        assertThat(Ending.code(new OutOfMemoryError("Java heap space")).code()).isEqualTo(67);
        assertThat(Ending.code(new IllegalStateException("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
                        .code())
                .isEqualTo(67);
        assertThat(Ending.message(new IllegalStateException(new OutOfMemoryError("Java heap space"))))
                .contains("Java heap, which may have", "Java heap space; raise it by the variable TRAINER_HEAP");
        TorchException onGpu = new TorchException(
                "operator linear(): RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB. " + "x".repeat(2000));
        assertThat(Ending.code(onGpu).code()).isEqualTo(67);
        assertThat(Ending.message(onGpu))
                .contains("out of the GPU's memory: ", "Tried to allocate 2.00 GiB")
                .endsWith("use more or larger GPUs");
        assertThat(Ending.code(new java.nio.file.NoSuchFileException("x")).code())
                .isEqualTo(66);
        assertThat(Ending.code(new NullPointerException("x")).code()).isEqualTo(70);
        assertThat(Ending.message(new NullPointerException("two\nlines"))).contains("two lines at MainTest.java:");
    }

    /** More than any address space holds: nothing of the machine is used up. */
    @Test
    void memoryThatLibtorchCannotHaveIsNamed() {
        try (Scope scope = Scope.open()) {
            for (Runnable wish :
                    java.util.List.<Runnable>of(() -> scope.zeros(DType.FLOAT32, 1L << 50), () -> huge(scope))) {
                Throwable failure = catchThrowable(wish::run);
                assertThat(failure).isNotNull();
                assertThat(Ending.code(failure)).as("%s", failure).isEqualTo(ExitCode.DoesNotFit);
                assertThat(Ending.message(failure))
                        .startsWith("out of memory: ")
                        .endsWith(
                                "raise workers.resources.limits.memory, lower batch.microSize, choose recompute: Full, or"
                                        + " use more workers");
            }
        }
    }

    /** An operator's result. */
    private static void huge(Scope scope) {
        Tensor column = scope.zeros(DType.FLOAT32, 1L << 24, 1);
        Tensor wide = scope.ops().linear(column, column);
        wide.close();
    }

    @Test
    void lastWordsNameFilesAsTheSpecDoes() {
        TerminationMessage words = new TerminationMessage(
                "InvalidData", "/pod/mnt/emoji/a.tar is empty", 3L, null, null, null, 0, null, null, null);
        assertThat(Ending.inLocations(words, Path.of("/pod/mnt")).message()).isEqualTo("pvc://emoji/a.tar is empty");
        assertThat(Ending.inLocations(words, Path.of("/pod/mnt")).step()).isEqualTo(3);
        assertThat(Ending.inLocations(words, Path.of("/mnt"))).isEqualTo(words);
    }

    @Test
    void lastWordsAreBounded() throws IOException {
        BenchmarkResult result = new BenchmarkResult(
                "b",
                "s",
                "Strict",
                "accuracy",
                0.5,
                0.1,
                0.25,
                10L,
                0L,
                0L,
                1L,
                "c",
                "d",
                "p",
                4,
                1.0,
                null,
                Collections.nCopies(16, new BenchmarkResult.Category("category", 0.5, 3L)));
        Path log = folder.resolve("log");
        Ending.write(
                log,
                new TerminationMessage(
                        "Completed",
                        "m".repeat(3000),
                        1L,
                        null,
                        null,
                        null,
                        0,
                        null,
                        Collections.nCopies(20, result),
                        null));
        assertThat(Files.size(log)).isLessThanOrEqualTo(TerminationMessage.MAX_BYTES);
        TerminationMessage read = Ending.read(log);
        assertThat(read.results()).isNotEmpty().allMatch(r -> r.categories().isEmpty());
        Ending.write(
                log,
                new TerminationMessage(
                        "Completed", "m".repeat(90_000), 1L, null, null, null, 0, null, List.of(), null));
        assertThat(Files.size(log)).isLessThanOrEqualTo(TerminationMessage.MAX_BYTES);
    }
}
