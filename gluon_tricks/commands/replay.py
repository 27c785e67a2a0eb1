"""GluonCV's published commands, and the same runs with this kit.

    python -m gluon_tricks replay --list                        all 80, with the script of this kit for each
    python -m gluon_tricks replay resnet50_v1d                  the published command and today's
    python -m gluon_tricks replay resnet50_v1d --dry-run        ... and its plan: batch, rates, decay, targets
    python -m gluon_tricks replay 'resnet50*' --dry-run         ... of some, by a pattern in quotes
    python -m gluon_tricks replay --all --dry-run               ... of all of them
    python -m gluon_tricks replay cifar_resnet20_v1 --run -- \\
        --num-gpus 0 --dataset cifar10-excerpt --num-epochs 1

Names are those of the published .sh files. Words after -- are added to today's command; if a flag is given
twice, the last one counts. --run starts that command and returns its exit code. `compare` then judges the
log.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter

from gluon_tricks.engines.signals import handled_by
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import ROOT
from gluon_tricks.program import matching
from gluon_tricks.published.commands import SCRIPTS, published_command, published_commands, wrapped
from gluon_tricks.script.flags import split_at_dashes
from gluon_tricks.script.load import load_script
from gluon_tricks.training.status import Cases, on_terminal

TICK_S = 0.1


def main(argv=None):
    args, added = parse_args(sys.argv[1:] if argv is None else argv)
    if args.list:
        return list_commands()
    if args.run:
        return run(published_command(args.name), added)
    names = matching([args.name] if args.name else [], published_commands(), "published command",
                     "replay --list shows all of them")
    commands = [published_command(name) for name in names]
    with Cases([1] * len(commands), "plan") as cases:
        for place, command in enumerate(commands):
            if place:
                print()
            if args.dry_run and not on_terminal(sys.stdout):     # where the plans themselves are not seen
                cases.begin(command.name)
            describe(command, added, args.dry_run)
            cases.end()
    if len(commands) > 1:
        print()
        print(total(commands))
    return 0


def list_commands():
    """A line per command."""
    commands = published_commands().values()
    for command in commands:
        ours, log = SCRIPTS[command.script][0], "log" if command.log else "no log"
        print(f"{command.name:<30} {command.script:<23} {ours:<21} {log}")
    print(total(commands))
    return 0


def total(commands):
    """How many commands each of this kit's scripts takes."""
    counts = Counter(SCRIPTS[command.script][0] for command in commands)
    return (f"{len(commands)} published commands: "
            + ", ".join(f"{count} for {script}" for script, count in sorted(counts.items())))


def describe(command, added, with_plan):
    """Print a command as published and as of today, notes on its log, and its plan if wanted."""
    print(f"# {command.name}: {command.file}")
    print(wrapped(command.words))
    for note in command.notes:
        print(f"# note: {note}")
    words = [*command.today, *added]
    print(f"# today:\n{wrapped([*command.typed_today, *added])}")
    if "--use-rec" in words:
        print("# this kit's loader reads the images; MXNet's iterator, which made the published logs: add "
              "--data-backend mxnet")
    if "--hostfile" in command.before:
        print("# over several machines: add -H HOST:SLOTS,... after -n")
    if with_plan:
        script = load_script(words[0])
        with as_one_of(command.workers):
            script.main([*words[1:], "--dry-run"])


@contextlib.contextmanager
def as_one_of(workers):
    """Set the environment of one process out of `workers`, as Horovod's launcher does, within the block."""
    before = dict(os.environ)
    if workers > 1:
        os.environ.update(HOROVOD_RANK="0", HOROVOD_SIZE=str(workers))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(command, added):
    """Print today's command and start it; its exit code."""
    script, *flags = command.today
    words = [sys.executable, *command.launcher, str(ROOT / script), *flags, *added]
    print(shlex.join(words), flush=True)
    # for the launcher
    package = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    stops = []
    # The terminal sends Ctrl-C to both processes, so only the script handles it. SIGTERM is passed on to the
    # script, which saves and ends.
    with handled_by(lambda number, frame: stops.append(number), signal.SIGTERM), \
            handled_by(lambda number, frame: None, signal.SIGINT), \
            subprocess.Popen(words, env={**os.environ, "PYTHONPATH": package}) as process:
        code = code_of(process, stops)
    return code if code >= 0 else 128 - code               # as a shell reports the end by a signal


def code_of(process, signals):
    """Wait for the process and pass on the signals that are added to the list; returns its exit code."""
    while True:
        try:
            return process.wait(timeout=TICK_S)
        except subprocess.TimeoutExpired:
            while signals:
                process.send_signal(signals.pop())


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    """The arguments, and the words after `--`."""
    own, added = split_at_dashes(argv)
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", metavar="NAME",
                        help="a published command, as resnet50_v1d-mixup, or a pattern in quotes")
    parser.add_argument("--list", action="store_true", help="the names, a line each")
    parser.add_argument("--all", action="store_true", help="every command")
    parser.add_argument("--dry-run", action="store_true",
                        help="also print the plan of the run; needs no data and no GPU")
    parser.add_argument("--run", action="store_true", help="run today's command")
    args = parser.parse_args(own)
    if bool(args.name) + args.list + args.all != 1:
        raise UserError("give one of NAME, --list and --all (--help has examples)")
    if args.run and not args.name:
        raise UserError("--run: goes with a NAME only")
    if args.run and args.dry_run:
        raise UserError("--run and --dry-run: give one")
    return args, added


if __name__ == "__main__":
    run_main(main, prog="replay")
