package io.vlmoperator.trainer.dist;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.security.MessageDigest;

/**
 * The beginning of every connection. The connecting side says who it is ({@code magic, job, attempt, world, rank}) and gives a random number;
 * the other answers with one of its own and its code; then the connecting side shows its code, and hears whether it is let in. So both know
 * that the other one knows the attempt's secret. Who does not match is answered with the reason and closed.
 */
final class Handshake {
    private static final int MAGIC = 0x564c4d32;
    private static final int ACCEPTED = 0;
    private static final int REFUSED = 1;

    private final Membership membership;

    Handshake(Membership membership) {
        this.membership = membership;
    }

    /** The peer is none of ours; it has been told why, and its connection is closed. */
    static final class RefusedException extends Exception {
        private static final long serialVersionUID = 1L;
    }

    /**
     * The connecting side.
     *
     * @throws IOException with the reason when the other one refuses, or does not know the secret
     */
    void connect(Socket socket) throws IOException {
        // Unbuffered: what follows belongs to somebody else.
        DataInputStream in = new DataInputStream(socket.getInputStream());
        byte[] greeting = greeting(membership.rank());
        byte[] own = PeerSecret.nonce();
        send(socket, greeting, own);
        requireAccepted(in);
        byte[] others = in.readNBytes(PeerSecret.BYTES);
        byte[] code = in.readNBytes(PeerSecret.BYTES);
        if (!MessageDigest.isEqual(code, membership.secret().code("accepting", greeting, own, others))) {
            throw new IOException("it does not know the secret of this attempt");
        }
        send(socket, membership.secret().code("connecting", greeting, own, others));
        requireAccepted(in);
    }

    private static void requireAccepted(DataInputStream in) throws IOException {
        if (in.readUnsignedByte() != ACCEPTED) {
            throw new IOException("refused: " + in.readUTF());
        }
    }

    /** The accepting side; returns the peer's rank. */
    int accept(Socket socket) throws IOException, RefusedException {
        DataInputStream in = new DataInputStream(socket.getInputStream());
        if (in.readInt() != MAGIC) {
            throw new RefusedException();
        }
        String job = in.readUTF();
        int attempt = in.readInt();
        int world = in.readInt();
        int rank = in.readInt();
        if (!job.equals(membership.job())) {
            throw refuse(socket, "this is job " + membership.job());
        }
        if (attempt != membership.attempt()) {
            throw refuse(socket, "this is attempt " + membership.attempt());
        }
        if (world != membership.world() || rank < 0 || rank >= world) {
            throw refuse(socket, "this world has " + membership.world() + " ranks");
        }
        byte[] others = in.readNBytes(PeerSecret.BYTES);
        byte[] own = PeerSecret.nonce();
        byte[] greeting = greeting(rank);
        send(socket, new byte[] {ACCEPTED}, own, membership.secret().code("accepting", greeting, others, own));
        byte[] code = in.readNBytes(PeerSecret.BYTES);
        if (!MessageDigest.isEqual(code, membership.secret().code("connecting", greeting, others, own))) {
            throw refuse(socket, "you do not know the secret of this attempt");
        }
        return rank;
    }

    /** The last word to a peer whose rank is the right one. */
    static void letIn(Socket socket) throws IOException {
        send(socket, new byte[] {ACCEPTED});
    }

    /** The last word to any other; to be thrown. */
    static RefusedException refuse(Socket socket, String reason) throws IOException {
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeByte(REFUSED);
        out.writeUTF(reason);
        out.flush();
        socket.close();
        return new RefusedException();
    }

    private byte[] greeting(int rank) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(MAGIC);
        out.writeUTF(membership.job());
        out.writeInt(membership.attempt());
        out.writeInt(membership.world());
        out.writeInt(rank);
        return bytes.toByteArray();
    }

    private static void send(Socket socket, byte[]... pieces) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] piece : pieces) {
            all.write(piece);
        }
        socket.getOutputStream().write(all.toByteArray());
        socket.getOutputStream().flush();
    }
}
