"""A small random model goes in as Hugging Face folders and comes out as a stock LLaVA folder: transformers must load it unchanged, without a
word about weights, and give the same logits and the same greedy text. Every tensor must come out with the bytes it went in with.

usage: verify_transformers.py WORK TRAINER TOKENIZER TARGET [SEED]
"""
import json
import logging
import os
import subprocess
import sys

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (AutoProcessor, AutoTokenizer, LlavaForConditionalGeneration, Qwen2Config, Qwen2ForCausalLM,
                          SiglipVisionConfig, SiglipVisionModel)

QUESTION = "What is shown here?"
NEW_TOKENS = 24
IMAGE = -200


class Heard(logging.Handler):
    """Everything that transformers says at the level of a warning or above."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def scramble(model, gen):
    with torch.no_grad():
        for name, param in sorted(model.named_parameters()):
            noise = torch.randn(param.shape, generator=gen)
            if param.ndim == 1:
                param.copy_((1.0 if name.endswith("weight") else 0.0) + 0.2 * noise)
            elif "embed" in name:
                param.copy_(noise * 2.0 / param.shape[-1] ** 0.5)
            else:
                param.copy_(noise * 1.2 / param[0].numel() ** 0.5)
    return model.eval()


def tensors(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(folder, name), "pt") as file:
                for key in file.keys():
                    found[key] = file.get_tensor(key)
    return found


def differing(ours, theirs, rename):
    """Tensors of theirs that are missing in ours or have other bytes."""
    bad = []
    for name, value in theirs.items():
        other = ours.get(rename(name))
        if other is None or other.dtype != value.dtype or not torch.equal(
                other.contiguous().view(torch.uint8), value.contiguous().view(torch.uint8)):
            bad.append(name)
    return bad


def main():
    work, trainer, tokenizer, target = sys.argv[1:5]
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    rows = []

    def row(figure, value, unit, goal, met):
        rows.append({"figure": figure, "value": value, "unit": unit, "goal": goal, "met": bool(met),
                     "peer": "transformers " + transformers.__version__})

    def run(*arguments):
        return subprocess.run([trainer, *arguments], check=True, capture_output=True, text=True).stdout

    heard = Heard()
    gen = torch.Generator().manual_seed(seed)
    entries = json.load(open(os.path.join(tokenizer, "tokenizer.json")))
    size = 1 + max([t["id"] for t in entries["added_tokens"]] + list(entries["model"]["vocab"].values()))
    vocabulary = (size + 8 + 63) // 64 * 64
    for dtype, name in ((torch.float32, "Float32"), (torch.bfloat16, "BFloat16")):
        base = os.path.join(work, name)
        text = scramble(Qwen2ForCausalLM(Qwen2Config(
            hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=160,
            vocab_size=vocabulary, rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True,
            max_position_embeddings=4096, use_sliding_window=False)), gen)
        text.tie_weights()
        vision = scramble(SiglipVisionModel(SiglipVisionConfig(
            hidden_size=48, num_hidden_layers=4, num_attention_heads=4, intermediate_size=96, patch_size=14,
            image_size=60, hidden_act="gelu")), gen)
        parts = {kind: os.path.join(base, kind) for kind in ("language", "vision")}
        text.to(dtype).save_pretrained(parts["language"])
        vision.to(dtype).save_pretrained(parts["vision"])
        projector = os.path.join(base, "projector.safetensors")
        save_file({"linear_1.weight": (torch.randn(64, 48, generator=gen) / 7).to(dtype),
                   "linear_1.bias": (torch.randn(64, generator=gen) / 5).to(dtype),
                   "linear_2.weight": (torch.randn(64, 64, generator=gen) / 8).to(dtype),
                   "linear_2.bias": (torch.randn(64, generator=gen) / 5).to(dtype)}, projector)
        ours, llava, alone = (os.path.join(base, kind) for kind in ("checkpoint", "llava", "text"))
        run("import", "--language", parts["language"], "--vision", parts["vision"], "--projector", projector,
            "--tokenizer", tokenizer, "--to", ours)
        run("export", "--checkpoint", ours, "--to", llava)
        run("export", "--checkpoint", ours, "--to", alone, "--text-only")

        # Byte for byte, the unused block and norm of the encoder included; its pooling head is no part of LLaVA.
        whole = tensors(llava)
        bad = differing(whole, tensors(parts["language"]), lambda n: "language_model." + n)
        bad += [n for n in differing(whole, tensors(parts["vision"]), lambda n: "vision_tower." + n) if ".head." not in n]
        bad += differing(tensors(alone), tensors(parts["language"]), lambda n: n)
        row(f"{name}: tensors that came out with other bytes", len(bad), "tensors", 0, not bad)
        row(f"{name}: tied head written", sum("lm_head" in n for n in whole), "tensors", 0,
            not any("lm_head" in n for n in whole))
        if dtype != torch.float32:
            continue  # logits in BF16 say nothing about a difference of 1e-5

        logging.getLogger("transformers").addHandler(heard)
        model, info = LlavaForConditionalGeneration.from_pretrained(
            llava, torch_dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        row("weights missing, unexpected or misshapen for LlavaForConditionalGeneration",
            sum(len(info[k]) for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")), "tensors", 0,
            not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")))
        qwen, info = Qwen2ForCausalLM.from_pretrained(
            alone, torch_dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        row("weights missing, unexpected or misshapen for Qwen2ForCausalLM",
            sum(len(info[k]) for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")), "tensors", 0,
            not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")))
        processor = AutoProcessor.from_pretrained(llava)
        spoken = [line for line in heard.lines if "weight" in line.lower() or "initialized" in line.lower()]
        row("warnings about weights", len(spoken), "lines", 0, not spoken)
        token = model.config.image_token_index
        row("id of <image>: the next free one", token, "id", size + sum(t not in [e["content"] for e in entries["added_tokens"]]
            and t not in entries["model"]["vocab"] for t in ("<|endofchunk|>", "<s>")), processor.tokenizer.convert_tokens_to_ids("<image>") == token)

        picture = os.path.join(base, "picture.png")
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (41, 73, 3)).astype(np.uint8)).save(picture)
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
        prompt = processor.apply_chat_template(chat, add_generation_prompt=True)
        inputs = processor(images=Image.open(picture), text=prompt, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0]
            said = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1]:]
            other = qwen(torch.arange(5)[None]).logits
            first = text.float().eval()(torch.arange(5)[None]).logits
        row("text model alone: max logit difference to the original", float((other - first).abs().max()), "logits", 1e-5,
            float((other - first).abs().max()) <= 1e-5)
        theirs = processor.tokenizer.decode(said, skip_special_tokens=True).strip()
        mine = run("generate", "--checkpoint", ours, "--image", picture, "--prompt", QUESTION,
                   "--max-new-tokens", str(NEW_TOKENS)).strip()
        again = run("generate", "--checkpoint", llava, "--image", picture, "--prompt", QUESTION,
                    "--max-new-tokens", str(NEW_TOKENS)).strip()
        row("greedy text equal", int(mine == theirs and again == theirs), "1 = yes", 1, mine == theirs and again == theirs)

        # The trainer's logits, compared by itself: a case of the whole model whose results are those of the exported folder.
        case = os.path.join(base, "reference", "vlm")
        os.makedirs(os.path.join(case, "model"))
        for kind, folder in (("decoder", parts["language"]), ("vision", parts["vision"])):
            os.symlink(folder, os.path.join(case, "model", kind))
        os.symlink(projector, os.path.join(case, "model", "projector.safetensors"))
        ids = inputs["input_ids"][0]
        short, seen = [], False
        for i in ids.tolist():
            if i != token:
                short.append(i)
            elif not seen:
                short.append(IMAGE)
                seen = True
        where = torch.nonzero(ids != token).flatten()
        labels = ids.masked_fill(ids == token, -100)
        loss = torch.nn.functional.cross_entropy(logits[:-1][labels[1:] != -100], labels[1:][labels[1:] != -100])
        save_file({"input_ids": torch.tensor(short), "pixels": inputs["pixel_values"].contiguous(), "labels": labels,
                   "text_positions": where, "logits_at_text": logits[where].contiguous()},
                  os.path.join(case, "exported.safetensors"))
        json.dump({"loss": loss.item(), "vision": "frozen"}, open(os.path.join(case, "exported.json"), "w"))
        json.dump({"config": {"pool_target": 4, "vision_act": "gelu"}}, open(os.path.join(case, "report.json"), "w"))
        subprocess.run([trainer, "verify", os.path.join(base, "reference"), "--dump", os.path.join(base, "dump")],
                       capture_output=True, text=True, check=False)
        report = json.load(open(os.path.join(base, "dump", "report.json")))
        by_name = {c["what"]: c for c in report["comparisons"]}
        found = by_name["vlm/exported/logits_at_text"]
        row("max logit difference, trainer against the exported folder", found["absolute"], "logits", None,
            found["verdict"] == "ok")
        row("the same, relative to the largest logit", found["relative"], "ratio", 1e-5, found["relative"] <= 1e-5)
        row("quantities out of tolerance", len(report["failed"]), "quantities", 0, not report["failed"])

    os.makedirs(os.path.dirname(target), exist_ok=True)
    json.dump(rows, open(target, "w"), indent=1)
    for each in rows:
        print(f'{each["figure"]:<75} {each["value"]:>12.6g} {each["unit"]:<10} {"ok" if each["met"] else "FAILED"}')
    print("written:", target)
    sys.exit(0 if all(each["met"] for each in rows) else 1)



main()
