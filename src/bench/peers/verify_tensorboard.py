"""Reads an event file, or the files of a folder, with TensorBoard's own reader.

Beside an event file of the tests lies `expected.json`: [[tag, step, value], ...]. Without it the scalars are printed and nothing is compared.

usage: verify_tensorboard.py FILE_OR_FOLDER TARGET
"""
import json
import os
import sys

import numpy as np
import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

place, target = sys.argv[1:3]
events = EventAccumulator(place, size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
found = [[tag, e.step, e.value] for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
known = os.path.join(place, "expected.json")
if not os.path.exists(known):
    for tag, step, value in found:
        print(f"{tag:<40} {step:>10} {value:.6g}")
    print(len(found), "scalars read")
    sys.exit(0 if found else 1)
expected = [[tag, step, float(np.float32(value))] for tag, step, value in json.load(open(known))]
wrong = [e for e in expected if e not in found] + [f for f in found if f not in expected]
rows = [{"figure": "scalars of the trainer's event file that TensorBoard reads otherwise", "value": len(wrong), "unit": "scalars",
         "goal": 0, "met": not wrong, "peer": "tensorboard " + tensorboard.__version__},
        {"figure": "scalars read", "value": len(found), "unit": "scalars", "goal": len(expected),
         "met": len(found) == len(expected) > 0, "peer": "tensorboard " + tensorboard.__version__}]
os.makedirs(os.path.dirname(target), exist_ok=True)
json.dump(rows, open(target, "w"), indent=1)
for row in rows:
    print(f'{row["figure"]:<75} {row["value"]:>6} {"ok" if row["met"] else "FAILED: " + str(wrong[:3])}')
print("written:", target)
sys.exit(0 if all(row["met"] for row in rows) else 1)
