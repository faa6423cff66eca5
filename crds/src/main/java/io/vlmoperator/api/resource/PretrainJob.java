package io.vlmoperator.api.resource;

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
