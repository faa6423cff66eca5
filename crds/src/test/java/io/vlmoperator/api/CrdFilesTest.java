package io.vlmoperator.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinitionVersion;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The checked-in CRDs say what the types say, and leave nothing unbounded or unexplained. */
class CrdFilesTest {
    private static final Map<String, String> GENERATED = CrdFiles.generate();

    static Stream<Path> folders() {
        return CrdFiles.CHECKED_IN.stream();
    }

    @ParameterizedTest
    @MethodSource("folders")
    void checkedInFilesAreThoseOfTheTypes(Path folder) throws IOException {
        if (Boolean.getBoolean("vlm.crds.write")) {
            Files.createDirectories(folder);
            for (Map.Entry<String, String> file : GENERATED.entrySet()) {
                Files.writeString(folder.resolve(file.getKey()), file.getValue());
            }
        }
        try (var names = Files.list(folder)) {
            assertThat(names.map(path -> path.getFileName().toString()))
                    .as("files in %s", folder)
                    .containsExactlyInAnyOrderElementsOf(GENERATED.keySet());
        }
        for (Map.Entry<String, String> file : GENERATED.entrySet()) {
            Path checkedIn = folder.resolve(file.getKey());
            assertThat(Files.readString(checkedIn))
                    .as("%s is older than the types: run `make crds` and look at the difference", checkedIn)
                    .isEqualTo(file.getValue());
        }
    }

    @Test
    void generationIsDeterministic() {
        assertThat(CrdFiles.generate()).isEqualTo(GENERATED);
    }

    @Test
    void everyFieldIsExplainedAndBounded() {
        List<String> gaps = new ArrayList<>();
        GENERATED.forEach((name, yaml) -> gaps(name, schema(yaml), gaps));
        assertThat(gaps)
                .as("fields without a description or a limit: annotate the record component")
                .isEmpty();
    }

    @Test
    void columnsStandInTheOrderTheyWereDeclaredIn() {
        assertThat(version(GENERATED.get("pretrainjobs.yaml")).getAdditionalPrinterColumns())
                .extracting("name")
                .startsWith("Phase", "Step", "Steps", "Loss")
                .endsWith("Age");
    }

    private static void gaps(String path, JSONSchemaProps schema, List<String> gaps) {
        schema.getProperties().forEach((name, field) -> {
            if (field.getDescription() == null && !path.endsWith(".yaml")) {
                gaps.add(path + "." + name + ": no description");
            }
            bounds(path + "." + name, field, gaps);
        });
    }

    private static void bounds(String path, JSONSchemaProps field, List<String> gaps) {
        boolean text = "string".equals(field.getType());
        if (text && field.getMaxLength() == null && field.getEnum().isEmpty()) {
            gaps.add(path + ": no maxLength");
        }
        if ("array".equals(field.getType())) {
            if (field.getMaxItems() == null) {
                gaps.add(path + ": no maxItems");
            }
            bounds(path + "[]", field.getItems().getSchema(), gaps);
        }
        if (field.getAdditionalProperties() != null) {
            if (field.getMaxProperties() == null) {
                gaps.add(path + ": no maxProperties");
            }
            bounds(path + "{}", field.getAdditionalProperties().getSchema(), gaps);
        }
        boolean number = "integer".equals(field.getType()) || "number".equals(field.getType());
        if (number && path.contains(".spec.") && (field.getMinimum() == null || field.getMaximum() == null)) {
            gaps.add(path + ": no minimum or maximum");
        }
        gaps(path, field, gaps);
    }

    private static CustomResourceDefinitionVersion version(String yaml) {
        return Serialization.unmarshal(yaml, CustomResourceDefinition.class)
                .getSpec()
                .getVersions()
                .getFirst();
    }

    private static JSONSchemaProps schema(String yaml) {
        return version(yaml).getSchema().getOpenAPIV3Schema();
    }
}
