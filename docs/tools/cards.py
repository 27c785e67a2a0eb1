"""The generated parts of the cards in docs/tricks: formulas, figures, and the table of all tricks.

    python docs/tools/cards.py              write them
    python docs/tools/cards.py --pictures   and draw the pictures again (half a minute)

The sentences of a card are written by hand. Between `<!-- formula: FILE -->` and `<!-- end -->` stands the
docstring of FILE. Between `<!-- worth -->` and `<!-- end -->` stand accuracies: of the tables in
gluon_tricks/recipes, of the published logs, and of this kit's runs in logs/ours. `tests/docs/test_cards.py`
compares the pages with what is generated.
"""

import argparse
import ast
import csv
import math
import re
import statistics
import sys
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.published.catalogue import published_run
from gluon_tricks.recipes import STUDIES, TABLES
from gluon_tricks.studies.text import markdown_table

CARDS = ROOT / "docs" / "tricks"
OURS = ROOT / "logs" / "ours"
BLOCK = re.compile(r"(<!-- (formula: (?P<file>\S+)|worth|tricks) -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = ("source", "without, %", "with, %", "change, points", "")
# Student's t of a two-sided interval of 95 %, by degrees of freedom
T_95 = {1: 12.706, 2: 4.303}


class Pair(NamedTuple):
    """Two rows of a table, without and with a trick.

    Attributes
    ----------
    table : int or str
        Its key in `TABLES` or `STUDIES`.
    without, with_it : str
        Names of the rows; after " | " the name of a column. Without it, all columns are compared.
    note : str
        What else differs between the rows.
    """

    table: object
    without: str
    with_it: str
    note: str = ""


class Worth(NamedTuple):
    """What shows the worth of a trick.

    Attributes
    ----------
    pairs : tuple of Pair
    published, ours : tuple of (str, str)
        Names of published logs, and cases of logs/ours/direction, without and with the trick.
    runs : tuple of (str, str)
        Folders of logs/ours, a pair for each seed.
    """

    pairs: tuple = ()
    published: tuple = ()
    ours: tuple = ()
    runs: tuple = ()


LONGER = "also 200 epochs instead of 120"
STITCHED = "stitching instead of mixup"
SMALL, WIDE, PREACT_56 = ("ResNet-preact-20", "ResNet-preact-20, widening factor 4",
                          "w/o 1st ReLU, w/ last BN")
MIXING, LARGE = "smoothing-mixup-ricap", "cifar10-mixing"


def in_long_runs(study, net, trick, epochs):
    """Pairs of the collection whose rows end with their number of epochs."""
    return tuple(Pair(study, f"{net}, {each} epochs", f"{net}, {trick}, {each} epochs") for each in epochs)


# In the order of the paper, then of the follow-ups; docs/tricks has a page of each name
TRICKS = {
    "linear_scaling": Worth(pairs=(
        Pair(4, "Linear scaling | BS=256", "Linear scaling | BS=1024",
             "batch 1024 at rate 0.4 instead of 256 at 0.1"),
        *(Pair("linear-scaling", "batch 128, lr 0.1, cosine, 200 epochs", f"batch {one}, cosine, 200 epochs")
          for one in ("1024, lr 0.8", "4096, lr 3.2")))),
    "lr_warmup": Worth(pairs=(
        Pair(4, "Linear scaling", "+ LR warmup"),
        Pair("follow-up-IV", "cosine decay | [30, 60, 90], 5-epoch warm-up",
             "cosine decay | [30, 60, 90], 20-epoch warm-up", "20 epochs of warm-up instead of 5"))),
    "zero_gamma": Worth(pairs=(Pair(4, "+ LR warmup", "+ Zero gamma"),)),
    "no_bias_decay": Worth(pairs=(Pair(4, "+ Zero gamma", "+ No bias decay"),)),
    "low_precision": Worth(
        pairs=(Pair(4, "+ No bias decay", "+ FP16"),),
        runs=(("cifar_resnet20_v1_float32", "cifar_resnet20_v1_bfloat16"),
              ("cifar_resnet20_v1_float32_seed1", "cifar_resnet20_v1_bfloat16_seed1"))),
    "resnet_d": Worth(
        pairs=(Pair(5, "ResNet-50", "ResNet-50-D", "all three"), Pair(5, "ResNet-50", "ResNet-50-B", "B"),
               Pair(5, "ResNet-50-B", "ResNet-50-C", "C"), Pair(5, "ResNet-50-C", "ResNet-50-D", "D")),
        published=(("resnet50_v1", "resnet50_v1b"), ("resnet50_v1b", "resnet50_v1c"),
                   ("resnet50_v1c", "resnet50_v1d"), ("resnet101_v1", "resnet101_v1d"))),
    "cosine_decay": Worth(
        pairs=(Pair(6, "Efficient", "+ cosine decay"),
               Pair("follow-up-III", "Baseline", "+ cosine decay", "also five epochs of warm-up"),
               Pair("residual-units", PREACT_56, f"{PREACT_56}, Cosine annealing")),
        ours=(("baseline", "+cosine"),)),
    "label_smoothing": Worth(
        pairs=(Pair(6, "+ cosine decay", "+ label smoothing"),
               Pair("follow-up-III", "+ cosine decay", "+ label smoothing"),
               *in_long_runs(MIXING, SMALL, "label smoothing (epsilon=0.1)", (200, 400))),
        ours=(("+cosine", "+smoothing"),)),
    "distillation": Worth(
        pairs=(Pair(6, "+ label smoothing", "+ distill w/o mixup"),
               Pair(6, "+ mixup w/o distill", "+ distill w/ mixup"),
               Pair("follow-up-III", "+ mixup", "+ distillation"))),
    "mixup": Worth(
        pairs=(Pair(6, "+ label smoothing", "+ mixup w/o distill", LONGER),
               Pair("follow-up-III", "+ label smoothing", "+ mixup", LONGER),
               *in_long_runs(MIXING, SMALL, "mixup (alpha=1)", (200, 400))),
        published=tuple((name, name + end) for end, names in (
            ("-mixup", ("resnet50_v1d", "resnet101_v1d", "darknet53")),
            ("_mixup", ("cifar_resnet20_v1", "cifar_resnet56_v1", "cifar_resnet110_v1",
                        "cifar_wideresnet28_10"))) for name in names),
        ours=(("+smoothing", "+mixup"),)),
    "spatial_mixup": Worth(
        pairs=(Pair("follow-up-V", "Interp. Mixup", "Horiz. Spatial Mixup", STITCHED),
               Pair("follow-up-V", "Interp. Mixup", "Vert. Spatial Mixup", STITCHED),
               Pair("follow-up-V", "Interp. Mixup w/ Distill.", "Vert. Spatial Mixup w/ Distill.", STITCHED)),
        ours=(("+smoothing", "+vertical"),)),
    "cutmix": Worth(),
    "ricap": Worth(
        pairs=(*in_long_runs(MIXING, SMALL, "RICAP (beta=0.3)", (200, 400)),
               *in_long_runs(LARGE, WIDE, "RICAP (beta=0.3)", (200,))),
        ours=(("preact", "preact-ricap"),)),
    "cutout": Worth(
        pairs=(*in_long_runs(LARGE, WIDE, "Cutout 16", (200,)),
               Pair("residual-units", PREACT_56, f"{PREACT_56}, Cutout"),
               *in_long_runs(MIXING, SMALL, "Dual-Cutout 16 (alpha=0.1)", (200,))),
        ours=(("preact", "preact-cutout"),)),
    "random_erasing": Worth(pairs=(Pair("residual-units", PREACT_56, f"{PREACT_56}, RandomErasing"),)),
    "drop_block": Worth(),
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", action="store_true", help="draw the pictures as well")
    if parser.parse_args(argv).pictures:
        from card_pictures import draw_all

        draw_all(CARDS)
    for page in pages():
        atomic_write(page, filled(page))
    return 0


def pages():
    """The cards and the table of all tricks."""
    return [CARDS / "index.md", *(CARDS / f"{name}.md" for name in TRICKS)]


def filled(page):
    """The text of a page with its generated parts made again."""
    def block(match):
        if match["file"]:
            lines = formula(match["file"])
        elif match[2] == "tricks":
            lines = table_of_tricks()
        else:
            lines = worth(TRICKS[page.stem])
        return "\n".join([match[1].rstrip(), "", *lines, match[4]])

    return BLOCK.sub(block, page.read_text(encoding="utf-8"))


# --- Formula ------------------------------------------------------------------------------------------------

def formula(file):
    """The docstring of a file without its first line; formulas, which it indents, as blocks of code."""
    text = ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8")), clean=False)
    paragraphs = text.rstrip().split("\n\n", 1)[1].split("\n\n")
    for paragraph in paragraphs:
        lines = paragraph.split("\n")
        if lines[0].startswith("    "):
            lines = ["```text", *(line[4:] for line in lines), "```"]
        yield from [*lines, ""]


# --- Figures ------------------------------------------------------------------------------------------------

def worth(evidence):
    """The lines of a table of figures, and of sentences on what was not run."""
    rows = [row for pair in evidence.pairs for row in rows_of_tables(pair)]
    rows += [published_row(*pair) for pair in evidence.published]
    measured = measured_rows(evidence)
    if rows or measured:
        yield "Top-1 accuracy on validation images."
        yield ""
        yield from markdown_table(COLUMNS, rows + measured)
        yield ""
    else:
        yield "No table and no pair of published logs shows it alone."
    yield ("Measured here: the last row. The interval is Student's t over the differences of runs of equal "
           "seed." if measured else "Measured here: not run.")
    yield ""


def rows_of_tables(pair):
    """`COLUMNS` for each column of a table that has both rows."""
    table = {**TABLES, **STUDIES}[pair.table]
    source = f"Table {pair.table}" if isinstance(pair.table, int) else f"`{pair.table}`"
    columns = dict.fromkeys(row.column for row in table.rows) if " | " not in pair.without else [None]
    for column in columns:
        before, after = (row_named(table, name, column) for name in (pair.without, pair.with_it))
        net = f", {column}" if column else ""
        yield (f"paper, {source}{net}" if isinstance(pair.table, int) else f"{source}{net}",
               *change(accuracy(before), accuracy(after)), remark(pair, after))


def remark(pair, row):
    """What else differs, or the words of the row in a study."""
    return pair.note or ("" if isinstance(pair.table, int) else row.title)


def row_named(table, name, column):
    """The row of a name, and of a column if it has one."""
    name, _, own = name.partition(" | ")
    return next(row for row in table.rows if row.name == name and row.column == (own or column))


def accuracy(row):
    """A row's printed top-1 accuracy in percent; from its error where that is printed."""
    if row.paper.top1:
        return Decimal(row.paper.top1)
    return 100 - Decimal(re.match(r"error ([\d.]+) %", row.extra)[1])


def change(before, after):
    """Three cells: before, after, and their difference with its sign."""
    return f"{before:.2f}", f"{after:.2f}", signed(after - before)


def signed(number):
    return f"{number:+.2f}".replace("-", "−")


def published_row(without, with_it):
    """The last epochs of two published logs."""
    before, after = (published_run(name) for name in (without, with_it))
    assert before.val_is_usable and after.val_is_usable, (without, with_it)
    note = "" if before.epochs == after.epochs else f"{before.epochs} and {after.epochs} epochs"
    return (f"GluonCV's logs `{without}`, `{with_it}`",
            *change(*(100 * (1 - run.final["val_err_top1"]) for run in (before, after))), note)


def measured_rows(evidence):
    """`COLUMNS` of what was measured here."""
    return [*(measured_row(*pair) for pair in evidence.ours),
            *([row_of_runs(evidence.runs)] if evidence.runs else [])]


def measured_row(without, with_it):
    """Two cases of logs/ours/direction: means, and the difference with its interval over the seeds."""
    errors = {}
    with open(OURS / "direction" / "runs.csv", encoding="utf-8", newline="") as stream:
        for run in csv.DictReader(stream):
            errors.setdefault(run["case"], {})[run["seed"]] = float(run["last_error_pct"])
    seeds = sorted(errors[without])
    before, after = ([100 - errors[case][seed] for seed in seeds] for case in (without, with_it))
    link = f"[here](../../logs/ours/direction/report.md), `{without}` and `{with_it}`"
    return link, *compared(before, after), f"CIFAR-10, 6 epochs, {len(seeds)} seeds"


def row_of_runs(pairs):
    """Runs of logs/ours at the last epoch that all of them have."""
    logs = [[next((OURS / name).glob("*.log")) for name in pair] for pair in pairs]
    runs = [[{e.epoch: 100 * (1 - e.val_err_top1) for e in read_log(log).epochs} for log in pair]
            for pair in logs]
    last = min(max(run) for pair in runs for run in pair)
    before, after = ([pair[side][last] for pair in runs] for side in (0, 1))
    link = f"[here](../../logs/ours/README.md), `{pairs[0][0]}` and `{pairs[0][1]}`"
    return link, *compared(before, after), f"CIFAR-10, {last + 1} epochs, {len(pairs)} seeds"


def compared(before, after):
    """Three cells: both means, and the mean difference with its interval of 95 %."""
    differences = [b - a for a, b in zip(before, after)]
    mean, count = statistics.mean(differences), len(differences)
    half = T_95[count - 1] * statistics.stdev(differences) / math.sqrt(count)
    interval = f"{signed(mean)} (95 %: {signed(mean - half)} to {signed(mean + half)})"
    return f"{statistics.mean(before):.2f}", f"{statistics.mean(after):.2f}", interval


# --- The table of all tricks --------------------------------------------------------------------------------

def table_of_tricks():
    """The lines of a table: each trick, its flag, the change in the first row and in this kit's runs."""
    rows = []
    for name, evidence in TRICKS.items():
        page = (CARDS / f"{name}.md").read_text(encoding="utf-8")
        title, section = re.match(r"# (.*) \((.*)\)\n", page).groups()
        flag = re.search(r"^- \*\*Flag:\*\* (none|`[^`]*`)", page, re.MULTILINE)[1]
        first = next((row for pair in evidence.pairs for row in rows_of_tables(pair)), None)
        measured = measured_rows(evidence)
        rows.append((f"[{title}]({name}.md)", section, flag,
                     f"{first[3]} ({first[0]})" if first else "not known",
                     measured[0][3] if measured else "not run"))
    yield from markdown_table(("trick", "from", "flag", "published change, points", "here, points"), rows)
    yield ""


if __name__ == "__main__":
    sys.exit(main())
