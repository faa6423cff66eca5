package io.vlmoperator.api.resource;

import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn.Type;
import io.fabric8.crdv2.generator.v1.SchemaCustomizer;
import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.Kind;
import io.fabric8.kubernetes.model.annotation.Plural;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Singular;
import io.fabric8.kubernetes.model.annotation.Version;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.status.TrainingStatus;

/** The custom resource; see {@link PretrainJobSpec} and {@link TrainingStatus}. */
@Group(Api.GROUP)
@Version(Api.VERSION)
@Kind("PretrainJob")
@Plural("pretrainjobs")
@Singular("pretrainjob")
@ShortNames("vpt")
@AdditionalPrinterColumn(name = "Phase", jsonPath = ".status.phase", type = Type.STRING)
@AdditionalPrinterColumn(name = "Step", jsonPath = ".status.progress.step", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Steps", jsonPath = ".status.progress.steps", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Loss", jsonPath = ".status.progress.loss", type = Type.NUMBER)
@AdditionalPrinterColumn(name = "Tok/s", jsonPath = ".status.progress.tokensPerSecond", type = Type.NUMBER)
@AdditionalPrinterColumn(name = "ETA(s)", jsonPath = ".status.progress.etaSeconds", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Checkpoint", jsonPath = ".status.checkpoints.latest.step", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Restarts", jsonPath = ".status.restarts.total", type = Type.INTEGER, priority = 1)
@AdditionalPrinterColumn(name = "Export", jsonPath = ".status.export.location", type = Type.STRING, priority = 1)
@AdditionalPrinterColumn(name = "Reason", jsonPath = ".status.reason", type = Type.STRING)
@AdditionalPrinterColumn(name = "Message", jsonPath = ".status.message", type = Type.STRING, priority = 1)
@AdditionalPrinterColumn(name = "Age", jsonPath = ".metadata.creationTimestamp", type = Type.DATE)
@SchemaCustomizer(value = SchemaRules.class, input = "PretrainJob")
public class PretrainJob extends CustomResource<PretrainJobSpec, TrainingStatus> implements Namespaced {
    private static final long serialVersionUID = 1L;

    @Override
    protected PretrainJobSpec initSpec() {
        return null;
    }

    @Override
    protected TrainingStatus initStatus() {
        return null;
    }
}
