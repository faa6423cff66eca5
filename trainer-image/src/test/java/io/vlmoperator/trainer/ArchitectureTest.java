package io.vlmoperator.trainer;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.Temporal;

@AnalyzeClasses(
        packages = {"io.vlmoperator.trainer", "ai.djl.pytorch.jni"},
        importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    @ArchTest
    static final ArchRule DJL_IS_SEEN_IN_TWO_PACKAGES = noClasses()
            .that()
            .resideInAPackage("io.vlmoperator.trainer..")
            .and()
            .resideOutsideOfPackages("io.vlmoperator.trainer.op..", "io.vlmoperator.trainer.text..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("ai.djl..");

    @ArchTest
    static final ArchRule CUDAS_BINDINGS_ARE_SEEN_BY_NCCL_ONLY = noClasses()
            .that()
            .haveNameNotMatching("io[.]vlmoperator[.]trainer[.]dist[.]Nccl.*")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.bytedeco..");

    @ArchTest
    static final ArchRule OBJECT_STORAGE_IS_SEEN_IN_ONE_PACKAGE = noClasses()
            .that()
            .resideOutsideOfPackage("io.vlmoperator.trainer.storage..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("software.amazon..");

    @ArchTest
    static final ArchRule THE_MODEL_KNOWS_ONLY_THE_OPERATORS = classes()
            .that()
            .resideInAPackage("io.vlmoperator.trainer.model..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("io.vlmoperator.trainer.model..", "io.vlmoperator.trainer.op..", "java..");

    @ArchTest
    static final ArchRule OPERATORS_KNOW_NOTHING_ABOVE_THEM = noClasses()
            .that()
            .resideInAPackage("io.vlmoperator.trainer.op..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "io.vlmoperator.trainer.model..",
                    "io.vlmoperator.trainer.data..",
                    "io.vlmoperator.trainer.train..",
                    "io.vlmoperator.trainer.checkpoint..",
                    "io.vlmoperator.trainer.dist..",
                    "io.vlmoperator.trainer.eval..");

    /** A wall clock may be set while a run goes on: it dates records, and nothing is measured by it. */
    @ArchTest
    static final ArchRule NO_DURATION_IS_TAKEN_FROM_THE_WALL_CLOCK = noClasses()
            .that()
            .resideInAnyPackage(
                    "io.vlmoperator.trainer.train..",
                    "io.vlmoperator.trainer.dist..",
                    "io.vlmoperator.trainer.checkpoint..",
                    "io.vlmoperator.trainer.metric..",
                    "io.vlmoperator.trainer.launch..")
            .and()
            .doNotHaveSimpleName("StepLog") // the wall time of an event file's records
            .should()
            .callMethod(System.class, "currentTimeMillis")
            .orShould()
            .callMethod(Duration.class, "between", Temporal.class, Temporal.class)
            .orShould()
            .callMethod(Instant.class, "isAfter", Instant.class)
            .orShould()
            .callMethod(Instant.class, "isBefore", Instant.class);
}
