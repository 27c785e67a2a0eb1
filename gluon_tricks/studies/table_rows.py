"""The rows of every table: printed figures, published figures, and what was measured here."""

from gluon_tricks.errors import UserError
from gluon_tricks.judging import numbers
from gluon_tricks.program import matching
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.zoo import zoo_of_log, zoo_of_row
from gluon_tricks.recipes import STUDIES
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.rows import shown
from gluon_tricks.studies.transfer_tables import NOT_RUN, transfer_rows, transfer_tables

COLUMNS = ("number", "row", "paper", "log", "zoo", "here")


def heading(name):
    """`(title, notes)` of a table."""
    if name == "published":
        return "GluonCV's published runs", (
            "GluonCV's documentation gives the best epoch for CIFAR-10 and an evaluation of the saved "
            "weights for ImageNet; log is the last epoch.",
            "A log that is no measurement of its row has the flag that says why: see "
            "logs/published/README.md.")
    if name in map(str, transfer_tables()):
        table = transfer_tables()[int(name)]
        return f"Table {table.number}: {table.title} ({table.section}); {table.columns}", table.notes
    table = STUDIES.get(name) or TABLES[int(name)]
    return table.heading, table.notes


def rows_of(name, preset=None):
    """The rows of any table, as dicts of `COLUMNS`, `command`, and `names` to find them by."""
    if name == "published":
        return published_rows()
    if name in map(str, transfer_tables()):
        return transfer_rows(int(name))
    return study_rows(STUDIES[name]) if name in STUDIES else paper_rows(TABLES[int(name)], preset)


def study_rows(table):
    """A dict of `COLUMNS` and `command` for each row of a study; GluonCV has neither logs nor weights of
    them."""
    runs = numbers.our_runs()
    return [{"number": row.number, "row": row.title, "paper": shown(row), "log": "none", "zoo": "none",
             "here": here(numbers.our_run(row.flags, row.flags["dataset"], runs)) if row.flags else "none",
             "command": row.command, "names": row.names} for row in table.rows]


def paper_rows(table, preset=None):
    """A dict of `COLUMNS` and `command` for each row of a table of the paper."""
    runs = numbers.our_runs()
    found = []
    for row in table.rows:
        cells = {"number": row.number, "row": row.title, "paper": shown(row),
                 **dict.fromkeys(COLUMNS[3:], "none"), "command": row.command, "names": row.names}
        if row.flags:
            cells["here"] = here(numbers.our_run(row.flags, "imagenet", runs))
            cells["command"] += f" --as {preset}" if preset else ""
            if log := numbers.published_log(row.flags):
                cells["log"] = f"{numbers.log_figures(log.final)} ({log.name})"
        if zoo := zoo_of_row(table, row):
            cells["zoo"] = f"{zoo.figures} ({zoo.hashtag})"
        found.append(cells)
    return found


def published_rows():
    """The same for GluonCV's published runs."""
    runs = numbers.our_runs()
    found = []
    for i, run in enumerate(catalogue().values(), start=1):
        cells = {"number": i, "row": run.name, "paper": "none", "log": str(numbers.log_figures(run.final)),
                 "zoo": "none", "here": here(numbers.our_run(run.args, run.dataset, runs)),
                 "command": run.command, "names": (run.name, run.model)}
        papers = numbers.paper_rows(run.args, run.dataset) if run.val_is_usable else []
        for table, row in papers[:1]:
            cells["paper"] = f"{row.paper} (Table {table.number}, {row.title})"
        if zoo := zoo_of_log(run.name):
            cells["zoo"] = str(zoo.figures)
        if bad := [flag for flag in ("copy", "synthetic-validation", "other-model") if flag in run.flags]:
            cells.update(log=f"none ({bad[0]})", here=NOT_RUN)
        found.append(cells)
    return found


def here(ours):
    """A run of this kit in a cell: figures, epochs, verdict."""
    if ours is None:
        return NOT_RUN
    which = "" if ours.is_finished else f", epochs {ours.epochs}"
    outcome = "no verdict" if ours.verdict.outcome == "none" else f"{ours.verdict.outcome} the band"
    return f"{ours.figures}{which}, {outcome} ({ours.folder.name})"


def fitting(patterns, rows, names=lambda row: row["names"]):
    """The rows that a pattern fits, by their titles and nets; all without patterns.

    Raises
    ------
    UserError
        If a pattern fits none.
    """
    found = set(matching(patterns, [name for row in rows for name in names(row)], "row of the table",
                         "without a pattern, all rows are there"))
    return [row for row in rows if not patterns or found.intersection(names(row))]


def chosen(numbers_given, rows, number=lambda row: row["number"]):
    """The rows of --rows, all without it."""
    if not numbers_given:
        return rows
    try:
        wanted = [int(word) for word in numbers_given.split(",")]
    except ValueError:
        raise UserError(f"--rows {numbers_given}: give numbers with commas, as 1,3") from None
    known = {number(row): row for row in rows}
    for each in wanted:
        if each not in known:
            raise UserError(f"--rows {each}: the table has rows {min(known)} to {max(known)}")
    return [known[each] for each in wanted]
