package ai.djl.pytorch.jni;

import ai.djl.pytorch.engine.PtSymbolBlock;

/**
 * Calls a TorchScript method with the calling thread's own gradient mode. DJL's public way always switches gradients off; the native
 * method behind it is package-private, hence this class in DJL's package (DJL's version is pinned in the root pom).
 */
public final class ScriptMethod {
    private ScriptMethod() {}

    /** Runs {@code method} of {@code block}; the caller closes arguments and result. */
    public static IValue run(PtSymbolBlock block, String method, long[] arguments) {
        return new IValue(PyTorchLibrary.LIB.moduleRunMethod(block.getHandle(), method, arguments, true, false));
    }
}
