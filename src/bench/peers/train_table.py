"""Table and JSON of bench-train from the lines that the runs printed: train_table.py FOLDER TARGET THREADS."""
import json
import pathlib
import statistics
import sys

GOAL_SPEED, GOAL_MEMORY = 1.15, 1.0


def peer_line(run):
    """The two peers name their figures differently."""
    if "tokensPerSecond" in run:
        return run["tokensPerSecond"], run["tokensPerCpuSecond"], run["peakRssMib"]
    return run["tokens_per_s_median"], run["tokens_per_cpu_s_median"], run["peak_rss_mib"]


def main(work, target, threads):
    rows = []
    for folder in sorted(pathlib.Path(work).iterdir(), key=lambda p: int(p.name)):
        shape = (folder / "shape").read_text()
        read = lambda name: [json.loads(line) for line in (folder / name).read_text().splitlines()]  # noqa: E731
        ours = [(r["tokensPerSecond"], r["tokensPerCpuSecond"], r["peakRssMib"]) for r in read("ours")]
        peers = read("peer")
        versions = "transformers {transformers}, torch {torch}".format(**peers[0]["versions"])
        peer = [peer_line(r) for r in peers]
        median = lambda runs, k: statistics.median(r[k] for r in runs)  # noqa: E731
        for k, unit in ((0, "tokens/s"), (1, "tokens/processor second"), (2, "MiB peak resident")):
            ratios = [a[k] / b[k] for a, b in zip(ours, peer)]
            ratio = statistics.median(ratios)
            goal = GOAL_MEMORY if k == 2 else GOAL_SPEED
            # Wall time decides; processor time stands beside it for machines that are busy.
            met = None if k == 1 else ratio <= goal if k == 2 else ratio >= goal
            rows.append({"figure": f"training step {shape}, {threads} threads", "value": round(median(ours, k), 1), "unit": unit,
                         "goal": None, "met": None, "peer": round(median(peer, k), 1)})
            rows.append({"figure": f"training step {shape}, {threads} threads: {unit}, ours / peer, median of {len(ratios)} pairs",
                         "value": round(ratio, 3), "unit": "ratio", "goal": None if k == 1 else goal, "met": met,
                         "peer": versions, "pairs": [round(r, 3) for r in ratios]})
    pathlib.Path(target).write_text(json.dumps(rows, indent=1))
    for row in rows:
        pairs = " pairs " + " ".join(map(str, row["pairs"])) if "pairs" in row else ""
        goal = "" if row["goal"] is None else f' goal {row["goal"]} {"met" if row["met"] else "MISSED"}'
        print(f'{row["figure"]:<100} {row["value"]:>10} {row["unit"]:<24} peer {row["peer"]}{goal}{pairs}')
    print("written:", target)


main(*sys.argv[1:])
