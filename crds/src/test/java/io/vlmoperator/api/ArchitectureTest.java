package io.vlmoperator.api;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** No Kubernetes client reaches the trainer: all but api.resource need nothing but annotations. */
class ArchitectureTest {
    private static JavaClasses api;

    @BeforeAll
    static void readClasses() {
        api = new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .importPackages("io.vlmoperator.api");
        assertThat(api.stream().map(type -> type.getPackageName()).distinct())
                .contains(
                        "io.vlmoperator.api.spec",
                        "io.vlmoperator.api.run",
                        "io.vlmoperator.api.status",
                        "io.vlmoperator.api.resource");
    }

    @Test
    void typesForBothWorldsNeedNothingButAnnotations() {
        classes()
                .that()
                .resideInAnyPackage("io.vlmoperator.api.spec", "io.vlmoperator.api.run", "io.vlmoperator.api.status")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "java..",
                        "io.vlmoperator.api.spec",
                        "io.vlmoperator.api.run",
                        "io.vlmoperator.api.status",
                        "io.fabric8.generator.annotation",
                        "com.fasterxml.jackson.annotation")
                .check(api);
    }

    @Test
    void specsStandAlone() {
        classes()
                .that()
                .resideInAPackage("io.vlmoperator.api.spec")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "java..",
                        "io.vlmoperator.api.spec",
                        "io.fabric8.generator.annotation",
                        "com.fasterxml.jackson.annotation")
                .check(api);
    }
}
