package io.vlmoperator.trainer.storage;

import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** The contract, on MinIO. */
@EnabledIfEnvironmentVariable(named = MinioServer.PROGRAM, matches = ".+", disabledReason = MinioServer.SKIPPED)
class MinioTest extends StoreContract {
    @Override
    ObjectServer open() throws Exception {
        return MinioServer.start();
    }
}
