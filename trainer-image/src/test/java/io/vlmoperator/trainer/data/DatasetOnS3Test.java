package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.storage.ObjectServer;
import io.vlmoperator.trainer.storage.S3Server;

/** On S3Proxy in this process. */
class DatasetOnS3Test extends DatasetOnStoreContract {
    @Override
    ObjectServer open() throws Exception {
        return new S3Server();
    }
}
