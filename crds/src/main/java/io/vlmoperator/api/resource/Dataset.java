package io.vlmoperator.api.resource;

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
