package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.storage.ObjectServer;
import io.vlmoperator.trainer.storage.S3Server;

/** On S3Proxy in this process. */
class VerbsOnS3Test extends VerbsOnStoreContract {
    @Override
    ObjectServer open() throws Exception {
        return new S3Server();
    }
}
