package io.vlmoperator.trainer.dist;

import java.util.Optional;

class TcpRingTest extends CommunicatorContract {
    @Override
    Communicator join(Membership membership) {
        return TcpRing.connect(membership, Optional.of("127.0.0.1"), Optional.empty());
    }
}
