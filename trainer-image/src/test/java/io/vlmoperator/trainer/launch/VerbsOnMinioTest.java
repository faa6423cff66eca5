package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.storage.MinioServer;
import io.vlmoperator.trainer.storage.ObjectServer;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** On MinIO. */
@EnabledIfEnvironmentVariable(named = MinioServer.PROGRAM, matches = ".+", disabledReason = MinioServer.SKIPPED)
class VerbsOnMinioTest extends VerbsOnStoreContract {
    @Override
    ObjectServer open() throws Exception {
        return MinioServer.start();
    }
}
