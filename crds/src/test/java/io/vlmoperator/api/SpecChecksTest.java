package io.vlmoperator.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.Problem;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.SpecChecks;
import io.vlmoperator.api.spec.SpecChecks.Where;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The table of bad specs, without an API server. The same table runs against a real one in src/e2e. */
class SpecChecksTest {
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());
    private static final Map<String, Example> GOOD = read("good.yaml", new TypeReference<>() {});

    record Example(String kind, JsonNode spec) {}

    record Bad(String name, String base, ObjectNode change, String path, String message, String schema, String only) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Bad> bad() {
        return read("bad.yaml", new TypeReference<List<Bad>>() {}).stream().filter(bad -> !"server".equals(bad.only()));
    }

    @ParameterizedTest
    @MethodSource("bad")
    void badSpecsAreRefused(Bad bad) {
        Example base = GOOD.get(bad.base());
        List<Problem> problems = check(base.kind(), merge(base.spec().deepCopy(), bad.change()), Where.CLUSTER);
        assertThat(problems).as("problems of %s + %s", bad.base(), bad.change()).anySatisfy(problem -> {
            assertThat(problem.path()).startsWith(bad.path());
            assertThat(problem.message()).contains(bad.message());
        });
    }

    static Stream<String> good() {
        return GOOD.keySet().stream();
    }

    @ParameterizedTest
    @MethodSource("good")
    void goodSpecsPass(String name) {
        for (Where where : Where.values()) {
            assertThat(check(GOOD.get(name).kind(), GOOD.get(name).spec(), where))
                    .isEmpty();
        }
    }

    @Test
    void filesOfTheMachineAreForLaptops() {
        JsonNode spec = GOOD.get("captions").spec().deepCopy();
        ((ObjectNode) spec.get("output")).put("location", "file:///home/me/packed");
        ((ObjectNode) spec.get("sources").get(0).get("webDataset")).put("location", "file:///data/{00..10}/*.tar");
        assertThat(check("Dataset", spec, Where.LAPTOP)).isEmpty();
        assertThat(check("Dataset", spec, Where.CLUSTER))
                .extracting(Problem::path)
                .containsExactly("spec.sources[0].webDataset.location", "spec.output.location");
        ((ObjectNode) spec.get("output")).put("location", "file:///home/../etc");
        assertThat(check("Dataset", spec, Where.LAPTOP))
                .extracting(Problem::path)
                .containsExactly("spec.output.location");
    }

    @Test
    void oddPathsThatAreFine() {
        for (String location : List.of(
                "pvc://data/a", "pvc://data/a/", "pvc://my.claim/.hidden/a.b..c", "pvc://data/Ünïcode/x=1,y@2+3~4%5")) {
            JsonNode spec = GOOD.get("captions").spec().deepCopy();
            ((ObjectNode) spec.get("output")).put("location", location);
            assertThat(check("Dataset", spec, Where.CLUSTER)).as(location).isEmpty();
        }
    }

    @Test
    void longTextsAreRefusedAndNotMatched() {
        for (String location : List.of("pvc://data/" + "*".repeat(1000), "pvc://data" + "/{0..1}".repeat(140))) {
            assertThat(checkSource(location)).as(location).isEmpty();
        }
        assertThat(checkSource("pvc://data/" + "a*".repeat(500_000)))
                .extracting(Problem::message)
                .containsExactly("must have at most 1024 characters");
    }

    private static List<Problem> checkSource(String location) {
        JsonNode spec = GOOD.get("captions").spec().deepCopy();
        ((ObjectNode) spec.get("sources").get(0).get("webDataset")).put("location", location);
        return check("Dataset", spec, Where.CLUSTER);
    }

    @Test
    void namesOfResources() {
        assertThat(SpecChecks.checkName("ov2vl-sft")).isEmpty();
        for (String name : List.of("", "a".repeat(41), "1a", "a.b", "A", "a-")) {
            assertThat(SpecChecks.checkName(name))
                    .as(name)
                    .singleElement()
                    .satisfies(problem -> assertThat(problem.path()).isEqualTo("metadata.name"));
        }
        assertThat(SpecChecks.checkName(null)).hasSize(1);
    }

    @Test
    void aMissingSpecIsAProblem() {
        assertThat(SpecChecks.check((DatasetSpec) null, Where.CLUSTER))
                .extracting(Problem::toString)
                .containsExactly("spec: is required");
    }

    private static List<Problem> check(String kind, JsonNode spec, Where where) {
        return switch (kind) {
            case "Dataset" -> SpecChecks.check(YAML.convertValue(spec, DatasetSpec.class), where);
            case "PretrainJob" -> SpecChecks.check(YAML.convertValue(spec, PretrainJobSpec.class), where);
            case "SFTJob" -> SpecChecks.check(YAML.convertValue(spec, SFTJobSpec.class), where);
            case "EvalJob" -> SpecChecks.check(YAML.convertValue(spec, EvalJobSpec.class), where);
            default -> throw new IllegalArgumentException("unknown kind " + kind);
        };
    }

    /** JSON merge patch (RFC 7386). */
    private static JsonNode merge(JsonNode target, JsonNode patch) {
        if (!(patch instanceof ObjectNode changes)) {
            return patch;
        }
        ObjectNode result = target instanceof ObjectNode object ? object : YAML.createObjectNode();
        changes.properties().forEach(entry -> {
            if (entry.getValue().isNull()) {
                result.remove(entry.getKey());
            } else {
                result.set(entry.getKey(), merge(result.get(entry.getKey()), entry.getValue()));
            }
        });
        return result;
    }

    private static <T> T read(String name, TypeReference<T> type) {
        try (InputStream in = SpecChecksTest.class.getResourceAsStream("/specs/" + name)) {
            return YAML.readValue(in, type);
        } catch (IOException e) {
            throw new IllegalStateException("Can't read specs/" + name, e);
        }
    }
}
