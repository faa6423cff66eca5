package io.vlmoperator.trainer.storage;

/** The contract, on S3Proxy in this process. */
class BucketsTest extends StoreContract {
    @Override
    ObjectServer open() throws Exception {
        return new S3Server();
    }
}
