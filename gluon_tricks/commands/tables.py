"""The paper's tables as commands: each row with the paper's figures, GluonCV's, and ours.

    python -m gluon_tricks tables                              a list of the tables
    python -m gluon_tricks tables 4                            its rows: figures and commands
    python -m gluon_tricks tables 6 '*mobilenet*'              rows by title or net; also with --run
    python -m gluon_tricks tables 6 --as paper --csv           commands with the paper's settings, as CSV
    python -m gluon_tricks tables 8                            the same for a table of transfer: 7, 8 or 9
    python -m gluon_tricks tables published 'resnet50*'        GluonCV's published runs, compared
    python -m gluon_tricks tables 4 --run --profile smoke      run them all, minutes, on the embedded images
    python -m gluon_tricks tables 6 --run --profile full --rows 7,13 --rec-train train.rec --rec-val val.rec
    python -m gluon_tricks tables 4 --run --rows 1,2 -- --seed 1 --num-epochs 2
    python -m gluon_tricks tables 'follow-up-*'                the tables of the CIFAR-100 follow-up
    python -m gluon_tricks tables residual-units --run         a study of the CIFAR-10 collection, 2 epochs

`paper` is the figure in the paper, `log` the last epoch of the published log of exactly that recipe, `zoo`
the figure in GluonCV's documentation for weights trained by it, `here` a run of this kit under logs/ours.
Accuracies are top-1 / top-5 in percent; the collection prints errors. With --run, the same command given
again goes on with what is unfinished; words after -- go to every training script. Smaller profiles: smoke is
6 epochs of 2,000 images at 32 px with small nets, small is 30 epochs of CIFAR-10 or of the records given. For
studies, smoke is 2 epochs of the embedded images, small 15 epochs for 200.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.program import matching
from gluon_tricks.recipes import STUDIES
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.presets import PRESETS
from gluon_tricks.script.flags import check_numbers, split_at_dashes
from gluon_tricks.studies.profiles import PROFILES, find_records, table_runs
from gluon_tricks.studies.readme import readme_block
from gluon_tricks.studies.table_rows import chosen, fitting, heading, rows_of
from gluon_tricks.studies.table_text import as_csv, contents, markdown, text
from gluon_tricks.studies.transfer_tables import refuse_run, transfer_tables


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "-m", "gluon_tricks", "tables", *argv])
    argv, more = split_at_dashes(argv)
    args = parse_args(argv)
    if args.readme:
        print(readme_block(), end="")
        return 0
    if args.table is None:
        print("\n".join(contents()))
        return 0
    if args.run:
        return (run_study if args.table in STUDIES else run_table)(args, more, command)
    if more:
        raise UserError(f"-- {' '.join(more)}: goes to the rows of --run; give --run, or leave it out")
    show = text
    if args.csv or args.markdown:
        show = as_csv if args.csv else markdown
    print("\n".join(show(heading(name), rows) for name, rows in rows_to_show(args)), end="")
    return 0


def rows_to_show(args):
    """Yield the name of each table that is to be printed, with the rows that were chosen."""
    pairs = [(name, row) for name in args.tables for row in rows_of(name, args.preset)]
    pairs = fitting(args.patterns, pairs, lambda pair: pair[1]["names"])
    for name in args.tables:
        rows = [row for table, row in pairs if table == name]
        if rows:
            yield name, chosen(args.rows, rows)


# --- Running ------------------------------------------------------------------------------------------------

def run_table(args, more, command):
    """--run: train what is unfinished, then write the report; returns the exit code."""
    from gluon_tricks.studies.report import left_out_words, write_report
    from gluon_tricks.studies.runner import run_rows

    if args.table == "published":
        raise UserError("--run: is for the paper's tables 1 to 6; a published run is one command, printed "
                        "without --run")
    if int(args.table) in transfer_tables():
        refuse_run(args.table)
    table, profile = TABLES[int(args.table)], PROFILES[args.profile]
    rows = rows_to_run(table, args, "quoted by the paper from elsewhere, no command is known")
    records = find_records(profile, args.rec_train, args.rec_val, args.classes)
    out = make_folder("--out", args.out or Path("tables") / f"table{table.number}-{profile.name}").resolve()
    runs, left_out = table_runs(table, profile, rows, records, args.num_gpus, args.num_workers, out)
    preset = ["--as", args.preset] if args.preset else []
    if left_out:
        print(f"left out: {left_out_words(left_out)}")
    if not runs:
        raise UserError(f"--rows {args.rows}: none of these can be run with --profile {profile.name}")
    print(f"{len(runs)} runs; results go to {out}", flush=True)
    start = time.time()
    failed = run_rows(runs, out, [*preset, "--log-interval", str(profile.log_interval), *more])
    report = write_report(table, profile, runs, left_out, failed, out, command, time.time() - start)
    print(f"report: {report}")
    return 1 if failed else 0


def run_study(args, more, command):
    """The same for a study of train_cifar.py."""
    from gluon_tricks.studies.cifar_runs import study_runs
    from gluon_tricks.studies.runner import run_rows
    from gluon_tricks.studies.study_report import write_study_report

    for name in ("rec_train", "rec_val", "classes"):
        if getattr(args, name):
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: is for the paper's tables")
    table = STUDIES[args.table]
    rows = rows_to_run(table, args, "no command is known")
    out = make_folder("--out", args.out or Path("tables") / f"{table.number}-{args.profile}").resolve()
    runs = study_runs(table, args.profile, rows, args.num_gpus, args.num_workers, out)
    print(f"{len(runs)} runs; results go to {out}", flush=True)
    start = time.time()
    failed = run_rows(runs, out, more)
    report = write_study_report(table, args.profile, runs, failed, out, command, time.time() - start)
    print(f"report: {report}")
    return 1 if failed else 0


def rows_to_run(table, args, why_not):
    """The chosen rows, or all that have a command; `why_not` explains rows without one."""
    rows = [row for row in table.rows if args.rows or row.flags]
    rows = chosen(args.rows, fitting(args.patterns, rows, lambda row: row.names), lambda row: row.number)
    without = [str(row.number) for row in rows if row.flags is None]
    if without:
        raise UserError(f"--rows {','.join(without)}: {why_not}")
    return rows


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", metavar="TABLE",
                        help="1 to 9, published, or a study's name, also as a pattern; without it, a list")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN",
                        help="only rows whose title or net it fits, in quotes: 'resnet*d'")
    parser.add_argument("--rows", metavar="N,M", help="only these rows, by their number in the list")
    parser.add_argument("--as", dest="preset", choices=tuple(PRESETS),
                        help="add this preset to every command")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument("--readme", action="store_true", help="print the README's table of results")
    run = parser.add_argument_group("Running")
    run.add_argument("--run", action="store_true", help="train the rows one after another")
    run.add_argument("--profile", choices=tuple(PROFILES), default="smoke",
                     help="how much of it (default smoke)")
    run.add_argument("--out", metavar="DIR", type=Path, help="folder for logs, parameters and report "
                     "(default tables/tableN-PROFILE)")
    run.add_argument("--rec-train", metavar="FILE",
                     help="training records, .idx next to it (default: smoke the embedded "
                     "ones, small prepared CIFAR-10, full where GluonCV looks)")
    run.add_argument("--rec-val", metavar="FILE", help="validation records")
    run.add_argument("--classes", type=int, help="number of classes in records without a manifest")
    run.add_argument("--num-gpus", type=int, default=0,
                     help="GPUs; 0 is the CPU, with --profile full the eight of the "
                     "paper (default 0)")
    run.add_argument("-j", "--num-data-workers", dest="num_workers", type=int,
                     help="decoding threads (default 2, with --profile full the 60 of GluonCV's commands)")
    args = parser.parse_intermixed_args(argv)
    if args.markdown and args.csv:
        raise UserError("--markdown and --csv: give one")
    if args.rows and args.patterns:
        raise UserError(f"--rows {args.rows} and {args.patterns[0]}: give one")
    set_tables(args)
    check_numbers(args)
    if args.preset:
        for table in args.tables:
            check_preset(args.preset, table)
    return args


def set_tables(args):
    """Set `tables` to the names that TABLE stands for, and `table` to the first of them."""
    names = [*map(str, [*TABLES, *transfer_tables()]), "published", *STUDIES]
    args.tables = []
    if args.table is None:
        return
    args.tables = matching([args.table], names, "table", "python -m gluon_tricks tables lists them")
    given = (("--run", args.run), ("--csv", args.csv), ("--rows", args.rows))
    one_only = [flag for flag, value in given if value]
    if len(args.tables) > 1 and one_only:
        raise UserError(f"{one_only[0]}: is for one table; {args.table} stands for {', '.join(args.tables)}")
    args.table = args.tables[0]


def check_preset(preset, table):
    """Refuse --as for a table whose commands do not have it."""
    if table in map(str, transfer_tables()):
        raise UserError(f"--as {preset}: is for tables 1 to 6")
    if table in STUDIES:
        raise UserError(f"--as {preset}: is for the paper's tables; {table} is for train_cifar.py")
    if table == "published":
        raise UserError(f"--as {preset}: is for the paper's tables; the published commands are GluonCV's")


if __name__ == "__main__":
    run_main(main, prog="tables")
