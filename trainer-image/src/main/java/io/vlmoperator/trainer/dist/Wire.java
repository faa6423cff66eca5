package io.vlmoperator.trainer.dist;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;

/**
 * Moves bytes to one neighbour and from another at the same time, on one thread, without busy waiting: both channels are non-blocking
 * and one selector waits for either. Sending and receiving at once is what keeps a ring from blocking itself.
 */
final class Wire implements AutoCloseable {
    private final Selector selector;
    private final SelectionKey out;
    private final SelectionKey in;
    private final String outName;
    private final String inName;

    Wire(SocketChannel out, String outName, SocketChannel in, String inName) throws IOException {
        selector = Selector.open();
        out.configureBlocking(false);
        in.configureBlocking(false);
        this.out = out.register(selector, 0);
        this.in = in.register(selector, 0);
        this.outName = outName;
        this.inName = inName;
    }

    /** Sends all of {@code send} and fills all of {@code receive}; either may be empty. */
    void exchange(ByteBuffer send, ByteBuffer receive, Duration limit, String what) {
        long deadline = System.nanoTime() + limit.toNanos();
        String late = inName;
        try {
            while (true) {
                // Try first, wait only for what did not move: most slices fit into the socket's buffers.
                if (send.hasRemaining()) {
                    write(send);
                }
                if (receive.hasRemaining() && ((SocketChannel) in.channel()).read(receive) < 0) {
                    throw lost(inName, what, null);
                }
                if (!send.hasRemaining() && !receive.hasRemaining()) {
                    return;
                }
                late = receive.hasRemaining() ? inName : outName;
                out.interestOps(send.hasRemaining() ? SelectionKey.OP_WRITE : 0);
                in.interestOps(receive.hasRemaining() ? SelectionKey.OP_READ : 0);
                long left = (deadline - System.nanoTime()) / 1_000_000;
                if (left <= 0) {
                    throw new TrainerException(
                            ExitCode.CollectiveTimeout,
                            "waited " + limit.toSeconds() + " s for " + late + " in " + what
                                    + "; it is late or can't be reached");
                }
                selector.select(left);
                selector.selectedKeys().clear();
            }
        } catch (IOException e) {
            throw lost(late, what, e);
        }
    }

    private void write(ByteBuffer send) throws IOException {
        try {
            ((SocketChannel) out.channel()).write(send);
        } catch (IOException e) {
            throw lost(outName, "sending", e);
        }
    }

    private static TrainerException lost(String peer, String what, IOException cause) {
        return new TrainerException(ExitCode.PeerLost, "lost " + peer + " in " + what, cause);
    }

    @Override
    public void close() {
        try (selector) {
            out.channel().close();
            in.channel().close();
        } catch (IOException e) {
            // The connection is gone either way.
            return;
        }
    }
}
