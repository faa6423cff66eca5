package io.vlmoperator.trainer.op;

/**
 * Where tensors lie and operators run. A process computes on one device ({@link Torch#device()}): on machines with several GPUs there is one
 * process for each, which sees no other. The device of a {@link Scope} is that of everything made in it.
 *
 * @param kind what it is
 * @param index number among the devices that the process sees; 0 for the host
 */
public record Device(Kind kind, int index) {
    /** Memory of the machine, which Java can read. */
    public static final Device HOST = new Device(Kind.CPU, 0);

    /** The GPU that this process sees first. */
    public static final Device CUDA = new Device(Kind.CUDA, 0);

    /** Kinds of devices, with libtorch's codes and names. */
    public enum Kind {
        CPU(0, "cpu"),
        CUDA(1, "cuda"),
        /** Shapes and types without elements: nothing is computed, but what would meet on two devices is found out. */
        META(14, "meta");

        private final int code;
        private final String torchName;

        Kind(int code, String torchName) {
            this.code = code;
            this.torchName = torchName;
        }

        static Kind ofCode(int code) {
            for (Kind kind : values()) {
                if (kind.code == code) {
                    return kind;
                }
            }
            throw new TorchException("libtorch returned a tensor on a device of type " + code);
        }
    }

    int code() {
        return kind.code;
    }

    /** Whether Java can read the elements in place. */
    public boolean isHost() {
        return kind == Kind.CPU;
    }

    /** As libtorch writes it: {@code cpu}, {@code cuda:0}. */
    @Override
    public String toString() {
        return kind == Kind.CUDA ? kind.torchName + ":" + index : kind.torchName;
    }
}
