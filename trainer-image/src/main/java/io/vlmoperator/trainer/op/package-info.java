/**
 * Thin typed wrappers over libtorch 2.7.1: tensors, their scopes, operators, the tape and the optimizer's kernel. The only package (with
 * {@code text}) that may import {@code ai.djl}; everything above it sees {@link io.vlmoperator.trainer.op.Tensor} and
 * {@link io.vlmoperator.trainer.op.Ops} only.
 *
 * <p>Three ways into the library, all on the same native handle: DJL (lifetime), a TorchScript archive written by
 * {@link io.vlmoperator.trainer.op.Script} from {@code operators.torchscript} (every operator), and the C interface through
 * {@link io.vlmoperator.trainer.op.Native} (memory, element types). No element type ever passes through DJL's own
 * conversion, which aborts the process on bf16.
 */
package io.vlmoperator.trainer.op;
