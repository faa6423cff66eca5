"""One training step of the emoji demo's model in transformers + torch, on the CPU in float32.

The same sizes and the same batch shape as io.vlmoperator.trainer.launch.StepBench: samples of one image and a short
text, each a segment of its own. Samples are padded to one length, which is what transformers does without a packing kernel;
only real tokens count. Prints one JSON line: tokens per second of wall time and of processor time, from the median step.
"""
import argparse
import json
import os
import resource
import statistics
import time

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--threads", type=int, default=1)
p.add_argument("--steps", type=int, default=20)
p.add_argument("--warmup", type=int, default=4)
p.add_argument("--lengths", required=True, help="text tokens of each sample of a micro-batch, by comma")
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ["MKL_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402  (the thread count has to be set before)
import transformers  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

torch.set_num_threads(args.threads)
torch.manual_seed(0)
HIDDEN, VISUAL, SIDE, GRID, POOL, VOCAB = 128, 4, 64, 4, 2, 2000
MICRO_BATCHES = 2


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        text = transformers.Qwen2Config(
            hidden_size=HIDDEN, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=VOCAB, rope_theta=1e4, tie_word_embeddings=True, use_cache=False)
        text._attn_implementation = "sdpa"
        vision = transformers.SiglipVisionConfig(
            hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
            image_size=SIDE, patch_size=16, vision_use_head=False)
        vision._attn_implementation = "sdpa"
        self.language = transformers.Qwen2ForCausalLM(text)
        self.vision = transformers.SiglipVisionModel(vision)
        self.fc1, self.fc2 = nn.Linear(128, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, ids, labels, mask, pixels):
        patches = self.vision(pixel_values=pixels, output_hidden_states=True).hidden_states[-1]
        grid = patches.transpose(1, 2).unflatten(2, (GRID, GRID))
        pooled = F.adaptive_avg_pool2d(grid, POOL).flatten(2).transpose(1, 2)
        visual = self.fc2(F.gelu(self.fc1(pooled)))
        embeds = self.language.get_input_embeddings()(ids)
        embeds = torch.cat([embeds[:, :1], visual, embeds[:, 1 + VISUAL:]], 1)
        logits = self.language(inputs_embeds=embeds, attention_mask=mask).logits
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")


def batch(lengths, generator):
    longest = max(lengths)
    ids = torch.randint(0, VOCAB, (len(lengths), 1 + VISUAL + longest), generator=generator)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        mask[row, :1 + VISUAL + length] = 1
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :1 + VISUAL] = -100
    return ids, labels, mask, torch.randn(len(lengths), 3, SIDE, SIDE, generator=generator)


lengths = [int(n) for n in args.lengths.split(",")]
model = Model().train()
decay = [q for q in model.parameters() if q.ndim >= 2]
rest = [q for q in model.parameters() if q.ndim < 2]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1e-4, fused=True)
generator = torch.Generator().manual_seed(0)
wall, cpu = [], []
for step in range(args.warmup + args.steps):
    data = [batch(lengths, generator) for _ in range(MICRO_BATCHES)]
    targets = sum(int((labels[:, 1:] != -100).sum()) for _, labels, _, _ in data)
    start, start_cpu = time.perf_counter(), time.process_time()
    optimizer.zero_grad(set_to_none=True)
    for micro in data:
        (model(*micro) / targets).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step >= args.warmup:
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
tokens = MICRO_BATCHES * sum(1 + VISUAL + n for n in lengths)
print(json.dumps({
    "tokensPerSecond": tokens / statistics.median(wall), "tokensPerCpuSecond": tokens / statistics.median(cpu),
    "peakRssMib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1), "tokens": tokens, "parameters": sum(q.numel() for q in model.parameters()),
    "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}))
