"""GluonCV's two Faster R-CNN logs on VOC to logs/published/transfer.json.

    python data_prep/published_transfer.py logs/detection/faster_rcnn_resnet50_v1b_voc_train.log \\
        logs/detection/faster_rcnn_resnet50_v2a_voc_train.log

The .sh files lie beside the logs; where they say otherwise than a log's header, its entry's `flags` say so.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_prep.published_commands import command_text, split_command
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.transfer import LOSSES, read_transfer_log
from gluon_tricks.models.names import RESNETS
from gluon_tricks.published.catalogue import FOLDER


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path, help="the original files")
    parser.add_argument("--out", type=Path, default=FOLDER / "transfer.json", help="default %(default)s")
    args = parser.parse_args(argv)
    runs = [describe(path) for path in args.logs]
    atomic_write(args.out, json.dumps(runs, indent=1) + "\n")
    for run in runs:
        print(f"{run['name']}: {len(run['epochs'])} epochs, last mAP {run['epochs'][-1]['mAP']:.4f}")


def describe(path):
    """A log as one entry."""
    log = read_transfer_log(path)
    if log is None or log.task != "detection" or not log.epochs:
        raise UserError(f"{path}: is no log of a detector with validated epochs")
    return {"name": path.stem.removesuffix("_train"), "log": path.name, "sha1": hashlib.sha1(path.read_bytes()).hexdigest(),
            "args": log.args, "flags": oddities(log, path.with_name(path.stem.removesuffix("_train") + ".sh")),
            "last_batch": max(epoch.last_batch for epoch in log.epochs),
            "epochs": [{"epoch": epoch.epoch, "mAP": round(epoch.scores["mAP"], 6),
                        **{name: epoch.figures[name] for name in LOSSES if name in epoch.figures}, "cost_s": epoch.cost_s,
                        **({"set_lr": epoch.set_lr} if epoch.set_lr else {})}
                       for epoch in log.epochs],
            "classes": {name: round(value, 6) for name, value in log.epochs[-1].scores.items() if name != "mAP"}}


def oddities(log, sh):
    """What a reader of the log should know, as sentences by name."""
    _, flags = split_command(command_text(sh))
    said = {{"-j": "num_workers"}.get(flag, flag.strip("-").replace("-", "_")): value for flag, value in flags.items()}
    differing = sorted(name for name, value in said.items() if str(log.args[name]) != value)
    found = {}
    if differing:
        found["sh-differs"] = f"Command and log differ: {', '.join(differing)}."
    if len(log.epochs) < log.args["epochs"]:
        found["unfinished"] = f"The log ends after {len(log.epochs)} of {log.args['epochs']} epochs."
    if log.args["network"] not in RESNETS:
        found["net-gone"] = (f"{log.args['network']} is neither in this kit nor in today's GluonCV: the run can be planned, "
                             "not started.")
    return found


if __name__ == "__main__":
    run_main(main)
