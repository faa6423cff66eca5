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
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.status.EvalJobStatus;

/** The custom resource; see {@link EvalJobSpec} and {@link EvalJobStatus}. */
@Group(Api.GROUP)
@Version(Api.VERSION)
@Kind("EvalJob")
@Plural("evaljobs")
@Singular("evaljob")
@ShortNames("vev")
@AdditionalPrinterColumn(name = "Phase", jsonPath = ".status.phase", type = Type.STRING)
@AdditionalPrinterColumn(name = "Checkpoint", jsonPath = ".status.checkpoint", type = Type.STRING)
@AdditionalPrinterColumn(name = "Done", jsonPath = ".status.progress.done", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Rows", jsonPath = ".status.progress.total", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "ETA(s)", jsonPath = ".status.progress.etaSeconds", type = Type.INTEGER, priority = 1)
@AdditionalPrinterColumn(name = "Scores", jsonPath = ".status.summary", type = Type.STRING)
@AdditionalPrinterColumn(name = "Reason", jsonPath = ".status.reason", type = Type.STRING)
@AdditionalPrinterColumn(name = "Message", jsonPath = ".status.message", type = Type.STRING, priority = 1)
@AdditionalPrinterColumn(name = "Age", jsonPath = ".metadata.creationTimestamp", type = Type.DATE)
@SchemaCustomizer(value = SchemaRules.class, input = "EvalJob")
public class EvalJob extends CustomResource<EvalJobSpec, EvalJobStatus> implements Namespaced {
    private static final long serialVersionUID = 1L;

    @Override
    protected EvalJobSpec initSpec() {
        return null;
    }

    @Override
    protected EvalJobStatus initStatus() {
        return null;
    }
}
