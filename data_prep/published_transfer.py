"""GluonCV's two Faster R-CNN logs on VOC to logs/published/transfer.json.

    python data_prep/published_transfer.py logs/detection/faster_rcnn_resnet50_v1b_voc_train.log \\
        logs/detection/faster_rcnn_resnet50_v2a_voc_train.log

The .sh files are expected next to the logs. An entry's `flags` name the differences between command and log.
"""

import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_prep.common import parser_of
from data_prep.published_commands import command_text, header_flags
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.transfer import LOSSES, read_transfer_log
from gluon_tricks.models.names import RESNETS
from gluon_tricks.published.catalogue import FOLDER


def main(argv=None):
    parser = parser_of(__doc__)
    parser.add_argument("logs", nargs="+", type=Path, help="the original files")
    parser.add_argument("--out", type=Path, default=FOLDER / "transfer.json", help="default %(default)s")
    args = parser.parse_args(argv)
    runs = [describe(path) for path in args.logs]
    atomic_write(args.out, json.dumps(runs, indent=1) + "\n")
    for run in runs:
        print(f"{run['name']}: {len(run['epochs'])} epochs, last mAP {run['epochs'][-1]['mAP']:.4f}")
    return 0


def describe(path):
    """The entry of one log."""
    log = read_transfer_log(path)
    if log is None or log.task != "detection" or not log.epochs:
        raise UserError(f"{path}: is no log of a detector with validated epochs")
    name = path.stem.removesuffix("_train")
    return {"name": name, "log": path.name, "sha1": hashlib.sha1(path.read_bytes()).hexdigest(),
            "args": log.args, "flags": quality_flags(log, path.with_name(name + ".sh")),
            "last_batch": max(epoch.last_batch for epoch in log.epochs),
            "epochs": [epoch_row(epoch) for epoch in log.epochs],
            "classes": {name: round(value, 6) for name,
                        value in log.epochs[-1].scores.items() if name != "mAP"}}


def epoch_row(epoch):
    """The figures of one epoch."""
    losses = {name: epoch.figures[name] for name in LOSSES if name in epoch.figures}
    rates = {"set_lr": epoch.set_lr} if epoch.set_lr else {}
    return {"epoch": epoch.epoch, "mAP": round(epoch.scores["mAP"], 6), **losses, "cost_s": epoch.cost_s,
            **rates}


def quality_flags(log, sh):
    """flag -> sentence for each limitation of a log."""
    stated = header_flags(command_text(sh))
    differing = sorted(name for name, value in stated.items() if str(log.args[name]) != value)
    found = {}
    if differing:
        found["sh-differs"] = f"Command and log differ: {', '.join(differing)}."
    if len(log.epochs) < log.args["epochs"]:
        found["unfinished"] = f"The log ends after {len(log.epochs)} of {log.args['epochs']} epochs."
    if log.args["network"] not in RESNETS:
        found["net-gone"] = (f"{log.args['network']} is neither in this kit nor in today's GluonCV: the run "
                             f"can be planned, not started.")
    return found


if __name__ == "__main__":
    run_main(main)
