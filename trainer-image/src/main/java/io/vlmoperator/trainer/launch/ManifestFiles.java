package io.vlmoperator.trainer.launch;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.type.LogicalType;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.Problem;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.SpecChecks;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** Reads the manifests that a person applies, as strictly as the API server: an unknown field or a broken rule is refused with its path. */
final class ManifestFiles {
    private static final String API_VERSION = "vlm-operator.io/v1alpha1";
    private static final int MAX_FILES = 1000;
    private static final int MAX_RESOURCES = 1000;
    private static final long MAX_BYTES = 4 << 20;
    private static final ObjectMapper YAML = yaml();

    private final Consumer<String> log;
    private final Predicate<Problem> matters;
    private final Map<String, Resource> found = new LinkedHashMap<>();
    private final List<String> problems = new ArrayList<>();

    private static ObjectMapper yaml() {
        ObjectMapper mapper = Json.strict(YAMLMapper.builder());
        // To Kubernetes 5e-4 is a number, to YAML 1.1 a string.
        mapper.coercionConfigFor(LogicalType.Float).setCoercion(CoercionInputShape.String, CoercionAction.TryConvert);
        return mapper;
    }

    private ManifestFiles(Consumer<String> log, Predicate<Problem> matters) {
        this.log = log;
        this.matters = matters;
    }

    /**
     * One resource.
     *
     * @param spec {@link DatasetSpec}, {@link PretrainJobSpec}, {@link SFTJobSpec} or {@link EvalJobSpec}
     * @param file it stands in, for messages
     */
    record Resource(Kind kind, String name, Record spec, String file) {
        String key() {
            return key(kind, name);
        }

        static String key(Kind kind, String name) {
            return kind + "/" + name;
        }
    }

    /**
     * @param places files, or folders whose {@code .yaml} and {@code .yml} files are read (not those of folders in them)
     * @return the resources in the order of the files
     * @throws TrainerException InvalidConfiguration that names all problems found, at most ten
     */
    static List<Resource> read(List<Path> places, Consumer<String> log) {
        return new ManifestFiles(log, _ -> true).all(places);
    }

    /** As {@link #read}, for a plan: what this version can't run yet is read, too. */
    static List<Resource> planned(List<Path> places) {
        return new ManifestFiles(_ -> {}, problem -> !problem.isNotBuilt()).all(places);
    }

    private List<Resource> all(List<Path> places) {
        places.forEach(this::place);
        if (!problems.isEmpty()) {
            int more = problems.size() - 10;
            throw TrainerException.configuration(String.join("\n  ", problems.subList(0, Math.min(10, problems.size())))
                    + (more > 0 ? "\n  and " + more + " more" : ""));
        }
        if (found.isEmpty()) {
            throw TrainerException.configuration(
                    "no Dataset, PretrainJob, SFTJob or EvalJob of " + API_VERSION + " in " + places);
        }
        return List.copyOf(found.values());
    }

    private void place(Path place) {
        if (!Files.exists(place)) {
            problems.add(place + " does not exist");
            return;
        }
        if (!Files.isDirectory(place)) {
            file(place);
            return;
        }
        try (Stream<Path> entries = Files.list(place)) {
            List<Path> files = entries.filter(Files::isRegularFile)
                    .filter(f -> f.toString().endsWith(".yaml") || f.toString().endsWith(".yml"))
                    .sorted()
                    .limit(MAX_FILES + 1L)
                    .toList();
            if (files.size() > MAX_FILES) {
                problems.add(place + " has more than " + MAX_FILES + " manifests");
                return;
            }
            files.forEach(this::file);
        } catch (IOException e) {
            problems.add(place + " can't be read: " + e.getMessage());
        }
    }

    private void file(Path file) {
        try {
            if (Files.size(file) > MAX_BYTES) {
                problems.add(file + " is longer than " + MAX_BYTES + " bytes");
                return;
            }
            ObjectMapper lenient =
                    YAML.copy().disable(com.fasterxml.jackson.databind.DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
            try (MappingIterator<JsonNode> documents = lenient.readerFor(JsonNode.class)
                    .readValues(Buckets.local(file).toFile())) {
                for (int number = 1; documents.hasNextValue(); number++) {
                    JsonNode document = documents.nextValue();
                    if (document != null && !document.isNull() && !document.isMissingNode()) {
                        document(file + (number > 1 ? " (document " + number + ")" : ""), document);
                    }
                    if (found.size() > MAX_RESOURCES) {
                        problems.add("more than " + MAX_RESOURCES + " resources");
                        return;
                    }
                }
            }
        } catch (JsonProcessingException e) {
            problems.add(file + ": " + Json.problem(e));
        } catch (IOException e) {
            problems.add(file + " can't be read: " + e.getMessage());
        }
    }

    private void document(String file, JsonNode document) {
        String version = document.path("apiVersion").asText();
        String kindName = document.path("kind").asText();
        if (!version.equals(API_VERSION)) {
            if (version.startsWith("vlm-operator.io/")) {
                problems.add(file + ": apiVersion " + version + "; this trainer reads " + API_VERSION);
            } else if (version.isEmpty() || kindName.isEmpty()) {
                problems.add(file + ": apiVersion or kind is missing");
            } else {
                log.accept(file + ": " + kindName + " is for Kubernetes, skipped here");
            }
            return;
        }
        Kind kind;
        try {
            kind = Kind.valueOf(kindName);
        } catch (IllegalArgumentException e) {
            problems.add(file + ": kind " + kindName + "; there are Dataset, PretrainJob, SFTJob and EvalJob");
            return;
        }
        document.fieldNames().forEachRemaining(name -> {
            if (!List.of("apiVersion", "kind", "metadata", "spec", "status").contains(name)) {
                problems.add(file + ": unknown field " + name);
            }
        });
        String name = document.path("metadata").path("name").asText();
        List<Problem> nameProblems = SpecChecks.checkName(name);
        if (!nameProblems.isEmpty()) {
            problems.add(file + ": metadata.name '" + name + "': "
                    + nameProblems.getFirst().message());
            return;
        }
        spec(file, kind, name, document.path("spec"));
    }

    private void spec(String file, Kind kind, String name, JsonNode node) {
        String where = file + ": " + kind + " " + name + ": ";
        Record spec;
        try {
            spec = switch (kind) {
                case Dataset -> YAML.treeToValue(node, DatasetSpec.class);
                case PretrainJob -> YAML.treeToValue(node, PretrainJobSpec.class);
                case SFTJob -> YAML.treeToValue(node, SFTJobSpec.class);
                case EvalJob -> YAML.treeToValue(node, EvalJobSpec.class);
            };
        } catch (JsonProcessingException e) {
            problems.add(where + "spec." + Json.problem(e));
            return;
        } catch (IllegalArgumentException e) {
            problems.add(where + "spec: " + e.getMessage());
            return;
        }
        if (spec == null) {
            problems.add(where + "spec is missing");
            return;
        }
        List<Problem> broken = switch (spec) {
            case DatasetSpec dataset -> SpecChecks.check(dataset, SpecChecks.Where.LAPTOP);
            case PretrainJobSpec pretrain -> SpecChecks.check(pretrain, SpecChecks.Where.LAPTOP);
            case SFTJobSpec sft -> SpecChecks.check(sft, SpecChecks.Where.LAPTOP);
            case EvalJobSpec eval -> SpecChecks.check(eval, SpecChecks.Where.LAPTOP);
            default -> List.of();
        };
        broken.stream()
                .filter(matters)
                .forEach(problem -> problems.add(where + problem.path() + ": " + problem.message()));
        Resource resource = new Resource(kind, name, spec, file);
        Resource other = found.putIfAbsent(resource.key(), resource);
        if (other != null) {
            problems.add(where + "stands in " + other.file() + ", too");
        }
    }
}
