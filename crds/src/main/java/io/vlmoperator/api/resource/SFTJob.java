package io.vlmoperator.api.resource;

import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.Kind;
import io.fabric8.kubernetes.model.annotation.Plural;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Singular;
import io.fabric8.kubernetes.model.annotation.Version;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.status.TrainingStatus;

/** The custom resource; see {@link SFTJobSpec} and {@link TrainingStatus}. */
@Group(Api.GROUP)
@Version(Api.VERSION)
@Kind("SFTJob")
@Plural("sftjobs")
@Singular("sftjob")
@ShortNames("vsft")
public class SFTJob extends CustomResource<SFTJobSpec, TrainingStatus> implements Namespaced {
    private static final long serialVersionUID = 1L;

    @Override
    protected SFTJobSpec initSpec() {
        return null;
    }

    @Override
    protected TrainingStatus initStatus() {
        return null;
    }
}
