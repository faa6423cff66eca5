"""Speed of the image path: tar of JPEGs -> decode -> bicubic 384 x 384 -> normalised float tensor.

    bench_images.py make --tar FILE [--count 600]     writes a webdataset tar of photo-like JPEGs
    bench_images.py run  --tar FILE [--workers 1]     prints images per second and per worker
    bench_images.py digest --tar FILE                 prints the SHA-256 of all resized pictures' bytes
"""
import argparse
import hashlib
import io
import json
import multiprocessing
import os
import statistics
import tarfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
import PIL  # noqa: E402

SIDE = 384
HALF = np.float32(0.5)


def photo(gen):
    """Noise at several scales, which compresses much like a photograph; shorter side 512."""
    ratio = gen.choice([1.0, 4 / 3, 3 / 2, 16 / 9])
    width, height = (512, round(512 * ratio)) if gen.random() < 0.3 else (round(512 * ratio), 512)
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 60), (9, 30), (27, 16), (81, 9), (200, 6)):
        coarse = gen.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        planes = [np.asarray(Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC))
                  for c in range(3)]
        total += weight * (0.7 * planes[0][..., None] + 0.3 * np.stack(planes, -1))
    total += gen.normal(0, 2.5, (height, width, 1))
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


def make(path, count, seed):
    gen, sizes = np.random.default_rng(seed), []
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            buffer = io.BytesIO()
            photo(gen).save(buffer, "JPEG", quality=85)
            sizes.append(buffer.tell())
            for suffix, data in (("jpg", buffer.getvalue()), ("txt", b"a made-up picture number %d" % number)):
                info = tarfile.TarInfo(f"{number:08d}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    print(json.dumps({"images": count, "mean_kb": round(statistics.mean(sizes) / 1000, 1),
                      "tar_mb": round(os.path.getsize(path) / 1e6, 1)}))


def prepare(data, clock):
    t0 = time.perf_counter()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    t1 = time.perf_counter()
    image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    t2 = time.perf_counter()
    array = np.asarray(image, dtype=np.float32) / np.float32(255)
    array = np.ascontiguousarray(((array - HALF) / HALF).transpose(2, 0, 1))
    t3 = time.perf_counter()
    for name, a, b in (("decode", t0, t1), ("resize", t1, t2), ("normalise", t2, t3)):
        clock[name] = clock.get(name, 0.0) + b - a
    return array


def work(job):
    """One worker reads every n-th sample of the tar with webdataset."""
    import webdataset as wds
    path, part, parts = job
    clock, count, check = {}, 0, 0.0
    start = time.process_time()
    for number, (data,) in enumerate(wds.WebDataset(path, shardshuffle=False).to_tuple("jpg")):
        if number % parts == part:
            check += float(prepare(data, clock)[0, 0, 0])
            count += 1
    return count, time.process_time() - start, clock, check


def run(path, workers, repeats):
    import webdataset
    rates, per_cpu, stages = [], [], []
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(work, [(path, k, workers) for k in range(workers)])
        for _ in range(repeats):
            start = time.perf_counter()
            results = pool.map(work, [(path, k, workers) for k in range(workers)])
            wall = time.perf_counter() - start
            total = sum(r[0] for r in results)
            rates.append(total / wall)
            per_cpu.append(total / sum(r[1] for r in results))
            stages.append({name: 1000 * sum(r[2][name] for r in results) / total for name in results[0][2]})
    median = statistics.median(rates)
    print(json.dumps({
        "images_per_s_median": round(median, 1), "images_per_s_best": round(max(rates), 1),
        "images_per_cpu_s_median": round(statistics.median(per_cpu), 1),
        "images_per_s_per_worker": round(median / workers, 1), "workers": workers, "repeats": repeats,
        "ms_per_image": {k: round(statistics.median(s[k] for s in stages), 2) for k in stages[0]},
        "versions": {"pillow": PIL.__version__, "webdataset": webdataset.__version__, "numpy": np.__version__}}))


def digest(path):
    total = hashlib.sha256()
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".jpg"):
                image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
                total.update(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).tobytes())
    print(json.dumps({"digest": total.hexdigest()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "run", "digest"])
    parser.add_argument("--tar", required=True)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.what == "make":
        make(args.tar, args.count, args.seed)
    elif args.what == "digest":
        digest(args.tar)
    else:
        run(args.tar, args.workers, args.repeats)


if __name__ == "__main__":
    main()
