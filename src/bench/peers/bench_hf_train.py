"""Speed of one training step of a small vision-language model in plain transformers + torch.

Frozen vision encoder (no gradient) -> average pool -> two-layer MLP -> Qwen2 decoder over packed
rows, causal, cross-entropy on text positions, clip 1.0, AdamW. Eager, SDPA, on the CPU in float32.
Prints one JSON line: tokens per second from the median step, and where the time goes. Tokens per
CPU second is there for machines that are busy with other things.
"""
import argparse
import json
import math
import os
import resource
import statistics
import time


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    for name, value in (("hidden", 256), ("layers", 6), ("heads", 4), ("kv-heads", 2), ("mlp", 1024),
                        ("vocab", 8192), ("seq", 1024), ("images", 6), ("batch", 1), ("vision-width", 192),
                        ("vision-layers", 6), ("vision-heads", 4), ("vision-mlp", 512), ("image-size", 112),
                        ("patch", 14), ("pool", 4), ("steps", 10), ("warmup", 2), ("threads", 1), ("seed", 0)):
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--optimizer", choices=["fused", "foreach", "loop"], default="fused")
    p.add_argument("--checkpoint", action="store_true", help="recompute each decoder layer in backward")
    return p.parse_args()


args = arguments()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ["MKL_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402  (the thread count has to be set before)
import transformers  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

torch.set_num_threads(args.threads)
torch.manual_seed(args.seed)


def decoder():
    config = transformers.Qwen2Config(
        hidden_size=args.hidden, num_hidden_layers=args.layers, num_attention_heads=args.heads,
        num_key_value_heads=args.kv_heads, intermediate_size=args.mlp, vocab_size=args.vocab,
        rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True, use_cache=False)
    config._attn_implementation = "sdpa"
    model = transformers.Qwen2ForCausalLM(config).train()
    if args.checkpoint:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def encoder():
    # The feature is the output of the second-to-last block, so the last block is simply not built.
    config = transformers.SiglipVisionConfig(
        hidden_size=args.vision_width, num_hidden_layers=args.vision_layers - 1, vision_use_head=False,
        num_attention_heads=args.vision_heads, intermediate_size=args.vision_mlp,
        image_size=args.image_size, patch_size=args.patch)
    config._attn_implementation = "sdpa"
    return transformers.SiglipVisionModel(config).eval().requires_grad_(False)


class Projector(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(args.vision_width, args.hidden)
        self.fc2 = nn.Linear(args.hidden, args.hidden)

    def forward(self, patches):
        side = math.isqrt(patches.shape[1])
        grid = patches.transpose(1, 2).unflatten(2, (side, side))
        pooled = F.adaptive_avg_pool2d(grid, args.pool).flatten(2).transpose(1, 2)
        return self.fc2(F.gelu(self.fc1(pooled)))


def batch_of(generator):
    """Rows with the images spread evenly; every other position is text and a target."""
    per_image = args.pool ** 2
    ids = torch.randint(0, args.vocab, (args.batch, args.seq), generator=generator)
    is_image = torch.zeros(args.batch, args.seq, dtype=torch.bool)
    if args.images:
        stride = args.seq // args.images
        assert stride > per_image, "the images do not fit the row"
        for k in range(args.images):
            is_image[:, k * stride + 1:k * stride + 1 + per_image] = True
    pixels = torch.randn(args.batch * args.images, 3, args.image_size, args.image_size, generator=generator)
    return ids, is_image, pixels


def main():
    vision, projector, language = encoder(), Projector(), decoder()
    params = list(projector.parameters()) + list(language.parameters())
    choice = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}[args.optimizer]
    optimizer = torch.optim.AdamW(params, lr=5e-5, weight_decay=0.01, **choice)
    generator = torch.Generator().manual_seed(args.seed)
    parts = {"vision": [], "forward": [], "backward": [], "optimizer": [], "step": []}
    cpu = []
    loss = None
    for step in range(args.warmup + args.steps):
        ids, is_image, pixels = batch_of(generator)
        marks, cpu_start = [time.perf_counter()], time.process_time()
        with torch.no_grad():
            patches = vision(pixel_values=pixels, output_hidden_states=True).hidden_states[-1] \
                if args.images else None
        marks.append(time.perf_counter())
        embeds = language.get_input_embeddings()(ids)
        if args.images:
            embeds = embeds.masked_scatter(is_image[..., None], projector(patches))
        labels = ids.masked_fill(is_image, -100)
        loss = language(inputs_embeds=embeds, labels=labels).loss
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        marks.append(time.perf_counter())
        if step >= args.warmup:
            for name, a, b in zip(parts, marks, marks[1:]):
                parts[name].append(b - a)
            parts["step"].append(marks[-1] - marks[0])
            cpu.append(time.process_time() - cpu_start)
    median = {name: statistics.median(times) for name, times in parts.items()}
    tokens = args.batch * args.seq
    print(json.dumps({
        "tokens_per_s_median": round(tokens / median["step"], 1),
        "tokens_per_cpu_s_median": round(tokens / statistics.median(cpu), 1),
        "tokens_per_s_best": round(tokens / min(parts["step"]), 1),
        "median_ms": {name: round(1000 * t, 1) for name, t in median.items()},
        "trained_parameters_m": round(sum(p.numel() for p in params) / 1e6, 2),
        "vision_parameters_m": round(sum(p.numel() for p in vision.parameters()) / 1e6, 2),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "loss": round(loss.item(), 4), "steps": args.steps, "threads": args.threads,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "config": {k: v for k, v in vars(args).items() if k not in ("steps", "threads")}}))


main()
