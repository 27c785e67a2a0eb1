"""Run the rows of a table one after another, each in its own process of the training script.

Every row has a folder with its log, metrics.jsonl, run.json and params. A finished row is not run again; an
unfinished one continues (`--resume auto`), so the same command can be given until all are done.
"""

import json
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from tqdm import tqdm

from gluon_tricks.engines.signals import handled_by, not_ignored
from gluon_tricks.errors import UserError
from gluon_tricks.files import Claim, atomic_write
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.log_lines.run_files import metrics_lines
from gluon_tricks.machine import command
from gluon_tricks.training.status import Cases


def run_rows(runs, out, more=()):
    """Run what is not finished yet.

    Parameters
    ----------
    runs : list of TableRun or CifarRun
        Those with the same `slug` are one training.
    out : Path
    more : sequence of str
        Further words of every command.

    Returns
    -------
    dict
        slug of each failed row -> the last line of its output.

    Raises
    ------
    UserError
        If `more` has a flag that the row decides, a teacher's parameters are missing, `out` has a row that
        was run with other flags, another process trains a row, or the user stopped the runs; a stopped row
        has saved its state.
    """
    check_words(more)
    check_teachers(runs, out)
    agree(runs, out, more)
    failed = {}
    with Cases([run.updates for run in runs], "run") as cases, signals_as_interrupts():
        for i, run in enumerate(runs, start=1):
            try:
                to_train = run.slug not in failed and not run.is_finished(out)
                metrics = out / run.slug / "metrics.jsonl"
                cases.begin(run.title, min(run.updates, updates_done(metrics)) if to_train else run.updates)
                if to_train:
                    code = train(run, out, more, cases.advance)
                    if not run.is_finished(out):
                        failed[run.slug] = last_words(out / run.slug / "console.txt", code)
                cases.end()
                tqdm.write(summary(run, out, failed.get(run.slug), f"{i} of {len(runs)}"), file=sys.stdout)
            except KeyboardInterrupt:
                raise UserError(f"stopped in {run.title}; the same command goes on from there") from None
    return failed


def summary(run, out, failure, place):
    """The line to print on a row that has ended."""
    if failure:
        return f"{place}: {run.title}: failed: {failure}"
    log = read_log(run.log(out))
    return f"{place}: {run.title}: validation top-1 {100 * (1 - log.epochs[-1].val_err_top1):.2f} %"


def train(run, out, more, report):
    """Run a row's process to its end; `report` is called with the number of updates done. Returns the exit
    code.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C or a signal that is handled like it; the process has then saved its state and ended.
    """
    folder = out / run.slug
    folder.mkdir(parents=True, exist_ok=True)
    words = folder / "console.txt"
    with closing(Claim("--out", folder / "row", command())), open(words, "a", encoding="utf-8") as console:
        process = None
        try:
            with interrupts_held_back():
                # its own session: Ctrl-C then reaches only this process, which ends the row by SIGTERM
                process = subprocess.Popen([sys.executable, *run.command(out, more)], stdout=console,
                                           stderr=console, stdin=subprocess.DEVNULL, start_new_session=True)
            while True:
                try:
                    return process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    report(updates_done(folder / "metrics.jsonl"))
        except KeyboardInterrupt:
            if process:
                process.terminate()
                process.wait()
            raise


@contextmanager
def signals_as_interrupts():
    """SIGTERM and a lost terminal stop the table as Ctrl-C does; signals that nohup ignores stay ignored."""
    def interrupt(number, frame):
        raise KeyboardInterrupt

    with handled_by(interrupt, *not_ignored(signal.SIGTERM, signal.SIGHUP)):
        yield


@contextmanager
def interrupts_held_back():
    """Delay Ctrl-C and stop signals to the end of the block, so that a process that is being started is not
    lost."""
    came, numbers = [], not_ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with handled_by(lambda number, frame: came.append(number), *numbers):
        yield
    if came:
        raise KeyboardInterrupt


# --- Earlier runs ------------------------------------------------------------------------------------------

DECIDED = ("--model", "--dataset", "--num-epochs", "--teacher", "--save-dir", "--save-plot-dir",
           "--logging-dir", "--logging-file", "--json-log", "--resume", "--overwrite", "--dry-run")


def check_words(more):
    """Refuse further words with which a row would not be found, or would never count as finished."""
    for word in more:
        if word.partition("=")[0] in DECIDED:
            raise UserError(f"{word}: is decided by row, profile and --out; leave it out after --")


def check_teachers(runs, out):
    """Refuse rows whose teacher's file does not exist and is not written by an earlier run; a name alone is
    downloaded."""
    made = set()
    for run in runs:
        words = list(run.words)
        teacher = words[words.index("--teacher") + 1] if "--teacher" in words else ""
        path = teacher.partition(":")[2]
        there = not path or Path(path).expanduser().is_file() or Path(path).parent.parent in made
        if not there and not run.is_finished(out):
            raise UserError(f"{run.title}: the teacher's parameters {path} do not exist; train or fetch them "
                            f"(the table's notes say which), or leave the row out with --rows")
        made.add(out / run.slug)


def agree(runs, out, more):
    """Write the flags of each row to `rows.json`; refuse a folder whose rows were run with others."""
    path = out / "rows.json"
    noted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for run in runs:
        flags = " ".join([*run.words, *more])
        if noted.setdefault(run.slug, flags) != flags:
            raise UserError(f"--out {out}: row {run.slug} was run there as {noted[run.slug]!r}, and is "
                            f"{flags!r} now; give another --out, or remove {out / run.slug} and its line in "
                            f"{path}")
    atomic_write(path, json.dumps(noted, indent=1) + "\n")


def updates_done(metrics):
    """The newest `num_update` of a metrics file; 0 if there is none yet."""
    try:
        return max((record.get("num_update", 0) for _, _, record, _ in metrics_lines(metrics) if record),
                   default=0)
    except UserError:
        return 0


def last_words(console, code):
    """The last line of a row's output that is not empty, else its exit code."""
    lines = [line for line in console.read_text(encoding="utf-8", errors="replace").splitlines()
             if line.strip()]
    return lines[-1] if lines else f"exit code {code}"
