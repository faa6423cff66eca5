package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.storage.ObjectServer;
import io.vlmoperator.trainer.storage.S3Server;

/** On S3Proxy in this process. */
class RunOnS3Test extends RunOnStoreContract {
    @Override
    ObjectServer open() throws Exception {
        return new S3Server();
    }
}
