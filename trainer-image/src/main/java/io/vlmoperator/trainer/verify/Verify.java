package io.vlmoperator.trainer.verify;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * {@code vlm-trainer verify DIR --dump OUT}: runs every case of a reference folder through the code that trains, and compares. Sizes, names
 * and seeds come from the files.
 */
public final class Verify {
    /** Folders of cases. */
    private static final List<String> KINDS =
            List.of("decoder", "vision", "projector", "vlm", "preprocess", "tokenizer", "chat", "scoring", "packing");

    private final Path reference;
    private final Optional<Path> tokenizer;
    private final Findings findings;

    private Verify(Path reference, Optional<Path> tokenizer, Findings findings) {
        this.reference = reference;
        this.tokenizer = tokenizer;
        this.findings = findings;
    }

    /**
     * Runs the cases of {@code directory}: the folders of all kinds that it holds, or, if it is itself the folder of a kind, that one.
     *
     * @param tokenizer folder with the full tokenizer; without it one beside the cases is used
     * @param dump where our results go, as {@code KIND/CASE.safetensors} and {@code .jsonl}, with {@code report.json}; nowhere if empty
     * @return every comparison made
     * @throws TrainerException InvalidConfiguration when there are no cases
     */
    public static List<Comparison> run(Path directory, Optional<Path> tokenizer, Optional<Path> dump)
            throws IOException {
        Findings findings = new Findings(dump);
        Path folder = directory.toAbsolutePath().normalize();
        List<String> present = KINDS.stream()
                .filter(kind -> Files.isDirectory(folder.resolve(kind)))
                .toList();
        if (present.isEmpty() && folder.getParent() != null && KINDS.contains(String.valueOf(folder.getFileName()))) {
            new Verify(folder.getParent(), tokenizer, findings)
                    .kind(folder.getFileName().toString());
        } else {
            Verify verify = new Verify(folder, tokenizer, findings);
            for (String kind : present) {
                verify.kind(kind);
            }
        }
        if (findings.all().isEmpty()) {
            throw TrainerException.configuration(
                    directory + " holds no cases; a reference has the folders " + String.join(", ", KINDS));
        }
        findings.report();
        return findings.all();
    }

    /** Runs one kind; what can't be run is a failure of its own and does not stop the rest. */
    private void kind(String kind) {
        Path folder = reference.resolve(kind);
        switch (kind) {
            case "decoder" -> {
                tensorCases(kind, result -> DecoderCases.run(folder, result, findings));
                table(folder.resolve("schedule.json"), DecoderCases::schedule);
            }
            case "vision" -> {
                Map<String, Values> features = new HashMap<>();
                tensorCases(kind, result -> VisionCases.run(folder, result, features));
                table(folder.resolve("timm_mapping.json"), (file, found) -> VisionCases.timm(folder, features, found));
            }
            case "projector" -> {
                tensorCases(kind, result -> ProjectorCases.run(result, findings));
                table(folder.resolve("windows.json"), ProjectorCases::windows);
                table(folder.resolve("default_init.json"), ProjectorCases::defaultInit);
            }
            case "vlm" ->
                guarded("vlm", () -> {
                    VlmCases cases = new VlmCases(folder);
                    tensorCases(kind, cases::run);
                    cases.compare(findings);
                });
            case "preprocess" -> guarded(kind, () -> new PreprocessCases(folder, findings).run());
            case "tokenizer" -> tokenizer(folder);
            case "chat" -> chat(folder);
            case "scoring" -> table(folder.resolve("rows.jsonl"), (file, found) -> ScoringRows.run(folder, found));
            case "packing" -> table(folder.resolve("cases.jsonl"), PackingCases::run);
            default -> throw new IllegalArgumentException("no cases of kind " + kind);
        }
    }

    private void tokenizer(Path folder) {
        table(folder.resolve("small/cases.jsonl"), (file, found) -> {
            try (Tokenizer small = required(TokenizerCases.small(reference), file, "small/tokenizer.json")) {
                TokenizerCases.strings(file, "small/cases", small, found);
            }
        });
        withFull(folder.resolve("qwen2_5.jsonl"), (file, full) -> {
            TokenizerCases.strings(file, "qwen2_5", full, findings);
            Path facts = folder.resolve("facts.json");
            if (Files.exists(facts)) {
                TokenizerCases.facts(facts, full, findings);
            }
        });
    }

    private void chat(Path folder) {
        table(folder.resolve("small.jsonl"), (file, found) -> {
            try (Tokenizer small = required(TokenizerCases.small(reference), file, "tokenizer/small/tokenizer.json")) {
                ChatCases.run(file, "small", small, found);
            }
        });
        withFull(folder.resolve("qwen2_5.jsonl"), (file, full) -> ChatCases.run(file, "qwen2_5", full, findings));
    }

    private interface WithTokenizer {
        void run(Path file, Tokenizer tokenizer) throws IOException;
    }

    private void withFull(Path cases, WithTokenizer run) {
        table(cases, (file, found) -> {
            Optional<Tokenizer> full = TokenizerCases.full(reference, tokenizer);
            if (full.isEmpty()) {
                found.leftOut(
                        what(file),
                        "needs Qwen2.5's tokenizer.json: put it into the folder tokenizer, or name its folder with --tokenizer");
                return;
            }
            try (Tokenizer opened = full.get()) {
                run.run(file, opened);
            }
        });
    }

    private static Tokenizer required(Optional<Tokenizer> tokenizer, Path file, String name) throws IOException {
        return tokenizer.orElseThrow(() -> new IOException(file + " needs " + name + ", which is missing"));
    }

    private interface CaseRunner {
        void run(Case result) throws IOException;
    }

    private void tensorCases(String kind, CaseRunner runner) {
        guarded(kind, () -> {
            for (String name : Case.names(reference.resolve(kind))) {
                guarded(kind + "/" + name, () -> {
                    try (Case result = Case.open(reference.resolve(kind), name)) {
                        runner.run(result);
                        findings.tensors(kind, name, result.produced());
                        findings.json(kind, name + ".json", result.scalars());
                        TensorComparisons.run(result, findings);
                    }
                });
            }
        });
    }

    private interface Table {
        void run(Path file, Findings findings) throws IOException;
    }

    private void table(Path file, Table table) {
        if (Files.isRegularFile(file)) {
            guarded(what(file), () -> table.run(file, findings));
        }
    }

    private String what(Path file) {
        return reference.relativize(file).toString();
    }

    private interface Task {
        void run() throws IOException;
    }

    private void guarded(String what, Task task) {
        try {
            task.run();
        } catch (IOException | RuntimeException e) {
            findings.failed(what, "can't be run: " + e);
        }
    }

    /**
     * Prints one line a quantity, then the failures once more and the counts.
     *
     * @return whether all passed
     */
    public static boolean print(List<Comparison> all, PrintStream out) {
        all.forEach(comparison -> out.println(comparison.line()));
        List<Comparison> failed = all.stream().filter(c -> !c.passed()).toList();
        if (!failed.isEmpty()) {
            out.println();
            failed.forEach(comparison -> out.println(comparison.line()));
        }
        long leftOut = all.stream()
                .filter(c -> c.measure() instanceof Comparison.LeftOut)
                .count();
        out.printf("%n%d compared, %d failed, %d left out%n", all.size() - leftOut, failed.size(), leftOut);
        return failed.isEmpty();
    }
}
