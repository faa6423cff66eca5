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
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.status.DatasetStatus;

/** The custom resource; see {@link DatasetSpec} and {@link DatasetStatus}. */
@Group(Api.GROUP)
@Version(Api.VERSION)
@Kind("Dataset")
@Plural("datasets")
@Singular("dataset")
@ShortNames("vds")
@AdditionalPrinterColumn(name = "Phase", jsonPath = ".status.phase", type = Type.STRING)
@AdditionalPrinterColumn(name = "Samples", jsonPath = ".status.samples", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Rows", jsonPath = ".status.rows", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Fill", jsonPath = ".status.fill", type = Type.NUMBER)
@AdditionalPrinterColumn(name = "Stage", jsonPath = ".status.progress.stage", type = Type.STRING)
@AdditionalPrinterColumn(name = "Done", jsonPath = ".status.progress.done", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Shards", jsonPath = ".status.progress.total", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Fetch%", jsonPath = ".status.progress.fetch.percent", type = Type.INTEGER)
@AdditionalPrinterColumn(name = "Location", jsonPath = ".status.location", type = Type.STRING, priority = 1)
@AdditionalPrinterColumn(name = "Reason", jsonPath = ".status.reason", type = Type.STRING)
@AdditionalPrinterColumn(name = "Message", jsonPath = ".status.message", type = Type.STRING, priority = 1)
@AdditionalPrinterColumn(name = "Age", jsonPath = ".metadata.creationTimestamp", type = Type.DATE)
@SchemaCustomizer(value = SchemaRules.class, input = "Dataset")
public class Dataset extends CustomResource<DatasetSpec, DatasetStatus> implements Namespaced {
    private static final long serialVersionUID = 1L;

    @Override
    protected DatasetSpec initSpec() {
        return null;
    }

    @Override
    protected DatasetStatus initStatus() {
        return null;
    }
}
