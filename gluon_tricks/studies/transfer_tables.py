"""Tables 7 to 9 of the paper: transfer of the classifiers. Figures in percent, exactly as printed."""

from dataclasses import dataclass
from functools import cache

from gluon_tricks.errors import UserError
from gluon_tricks.judging.runs import OURS, find_log
from gluon_tricks.log_lines.facts import read_facts
from gluon_tricks.log_lines.transfer import read_transfer_log
from gluon_tricks.published.transfer import published_transfer
from gluon_tricks.recipes.paper import EFFICIENT, RESNET_50_D, TABLE_6
from gluon_tricks.recipes.rows import words

NOT_RUN = "not run"


@dataclass(frozen=True)
class TransferTable:
    """A table of §5.5 or §6; rows are (name, figures as printed, words of the command)."""

    number: int
    title: str
    section: str
    columns: str
    rows: tuple
    notes: tuple


def _words(flags):
    return " ".join(words(flags))


def _bases():
    """`(row, flags of the classifier)` of Tables 8 and 9: the rows of Table 6 after their common baseline."""
    refined = {row.name: row.flags for row in TABLE_6.rows if row.column == "ResNet-50-D"}
    return [("B-standard", dict(EFFICIENT, model="resnet50_v1b", last_gamma=True)),
            ("D-efficient", refined["Efficient"]), ("+ cosine", refined["+ cosine decay"]),
            ("+ smooth", refined["+ label smoothing"]),
            ("+ distill w/o mixup", refined["+ distill w/o mixup"]),
            ("+ mixup w/o distill", refined["+ mixup w/o distill"]),
            ("+ distill w/ mixup", refined["+ distill w/ mixup"])]


def _on_base(flags, script, more):
    params = f"params/imagenet-{flags['model']}-{flags['num_epochs'] - 1}.params"
    return (f"python train_imagenet.py {_words(flags)} && python {script} --backbone {flags['model']} "
            f"--backbone-params {params} {more}")


DETECTION = ("--gpus 0,1,2,3,4,5,6,7 --batch-size 8 --lr 0.002 --lr-warmup 1000 --epochs 30 "
             "--lr-decay-epoch 20,26")
SEGMENTATION = "--dataset ade20k --aux --lr 0.01 --epochs 120 --ngpus 8"


@cache
def transfer_tables():
    """number -> TransferTable."""
    best = next(row.flags for row in TABLE_6.rows
                if (row.name, row.column) == ("+ distill w/ mixup", "ResNet-50-D"))
    places = "--dataset places365"
    table_7 = TransferTable(7, "Places365, ResNet-50-D", "§5.5", "val top-1 / top-5, test top-1 / top-5", (
        ("Efficient", "56.34 / 86.87, 57.18 / 87.28",
         f"python train_imagenet.py {places} {_words(dict(EFFICIENT, **RESNET_50_D))}"),
        ("Best", "56.70 / 87.33, 57.63 / 87.82",
         f"python train_imagenet.py {places} {_words(dict(best, teacher=None))} "
         "--teacher resnet152_v1d:FILE"),
    ), ("Test figures come from the publisher's server; its images have no published labels.",
        "The teacher of the second row has to be trained on Places365 first: --teacher resnet152_v1d:FILE.",
        "The paper does not state the epochs here; these are those of its ImageNet rows."))
    detection = ("77.54", "78.30", "79.23", "80.71", "80.96", "81.10", "81.33")
    table_8 = TransferTable(8, "Faster R-CNN on Pascal VOC with these bases", "§6.1", "mAP", tuple(
        (name, figure, _on_base(flags, "train_faster_rcnn.py", DETECTION))
        for (name, flags), figure in zip(_bases(), detection)),
        ("log is the last epoch of GluonCV's log with the base ResNet-50-B; that base is the zoo's, trained "
         "with cosine decay and label smoothing, so it is close to the first row but not the same.",
         "The paper names a linear warm-up and a long schedule without figures; 1000 updates and 30 epochs "
         "are this kit's choice."))
    scenes = ("78.08, 37.05", "78.88, 38.88", "79.25, 39.33", "78.64, 38.75", "78.97, 38.90", "78.47, 37.99",
              "78.72, 38.40")
    table_9 = TransferTable(9, "FCN on ADE20K with these bases", "§6.2", "pixel accuracy, mean IoU", tuple(
        (name, figure,
         _on_base(flags, "train_fcn.py", SEGMENTATION)) for (name, flags), figure in zip(_bases(), scenes)),
        ("The flags are GluonCV's recipe for ADE20K; the paper gives none. GluonCV's log of it is not "
         "available.",
         "The paper calls the last row + mixup w/ distill here and + distill w/ mixup in Table 8."))
    return {table.number: table for table in (table_7, table_8, table_9)}


def transfer_rows(number):
    """The rows of a table as dicts of `table_rows.COLUMNS` and `command`."""
    table = transfer_tables()[number]
    rows = []
    for i, (name, paper, command) in enumerate(table.rows, start=1):
        log = "none"
        if number == 8 and i == 1:
            run = published_transfer()["faster_rcnn_resnet50_v1b_voc"]
            log = f"{100 * run['epochs'][-1]['mAP']:.2f} ({run['name']})"
        rows.append({"number": i, "row": name, "paper": paper, "log": log, "zoo": "none",
                     "here": our_figure(number, i) or NOT_RUN, "command": command, "names": (name,)})
    return rows


def our_figure(number, row, folder=OURS):
    """The last figure of a run under logs/ours that is of this row, or None.

    Its run.json has the row's name, as `"row": "table8-2"`, added by hand; a run on other data than the
    paper's has none.
    """
    for path in sorted(folder.glob("*/run.json")):
        facts = read_facts(path)
        if facts.get("row") != f"table{number}-{row}":
            continue
        log = find_log(path.parent)
        scores = log and read_transfer_log(log).epochs[-1].scores
        if scores:
            return ", ".join(f"{100 * scores[name]:.2f}" for name in (("mAP",) if number == 8
                                                                      else ("pixAcc", "mIoU")))
    return None


def refuse_run(number):
    """Tables 7 to 9 are trained one command at a time."""
    raise UserError(f"--run: is for tables 1 to 6; the rows of table {number} are commands to give one by "
                    "one")
