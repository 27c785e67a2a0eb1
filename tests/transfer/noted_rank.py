"""train_faster_rcnn.py that also writes down what only one rank knows. Run by test_processes.py; NOTES names
the folder.

    rankR.npz    SMALL trained arrays: `before/`, `grad/`, `after/` the first update; `found/` of each image
    rankR.json   images validated, in order; SHA-256 of every parameter at the end
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

import train_faster_rcnn
from gluon_tricks.errors import run_main
from gluon_tricks.script import faster_rcnn, opening
from gluon_tricks.transfer import loop

FOLDER, RANK, SMALL = Path(os.environ["NOTES"]), os.environ["GLUON_TRICKS_RANK"], 50_000
HOMES = {"build_net": faster_rcnn, "detections": faster_rcnn, "shared": faster_rcnn, "train_epoch": loop,
         "finish": opening}
arrays, validated, script = {}, [], {name: getattr(home, name) for name, home in HOMES.items()}
net = None


def build_net(*given):
    global net
    net, said = script["build_net"](*given)
    return net, said


def note(kind, value_of):
    for name, param in net._collect_params_with_prefix().items():
        if param.grad_req != "null" and np.prod(param.shape) <= SMALL:
            arrays[f"{kind}/{name}"] = value_of(param).asnumpy()


def train_epoch(losses, data, trainer, *others):
    step = trainer.step

    def noted(batch_size):
        trainer.step = step
        note("before", lambda param: param.list_data()[0])
        note("grad", lambda param: param.list_grad()[0])
        step(batch_size)
        note("after", lambda param: param.list_data()[0])
    trainer.step = noted
    return script["train_epoch"](losses, data, trainer, *others)


def detections(*given):
    for position, found in script["detections"](*given):
        validated.append(position)
        yield position, found


def shared(*given):
    found = script["shared"](*given)
    arrays.update({f"found/{i}": rows for i, rows in enumerate(found)})
    return found


def finish(run):
    digests = {name: hashlib.sha256(param.list_data()[0].asnumpy().tobytes()).hexdigest()
               for name, param in net._collect_params_with_prefix().items()}
    np.savez(FOLDER / f"rank{RANK}.npz", **arrays)
    (FOLDER / f"rank{RANK}.json").write_text(json.dumps({"validated": validated, "parameters": digests}))
    return script["finish"](run)


if __name__ == "__main__":
    for name, home in HOMES.items():
        setattr(home, name, globals()[name])
    run_main(train_faster_rcnn.main)
