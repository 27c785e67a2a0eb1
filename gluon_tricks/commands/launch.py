"""Start a training in several processes, supervise them, and end all of them.

    python -m gluon_tricks launch -n 2 -- train_cifar.py --dataset cifar10-excerpt \\
        --model cifar_resnet20_v1 --batch-size 32 --mode hybrid --num-epochs 3
    python -m gluon_tricks launch -n 8 --engine horovod -- train_imagenet.py --num-gpus 1 --batch-size 128 ...
    python -m gluon_tricks launch -n 16 --engine dist_sync --servers 2 -H node1:8,node2:8 \\
        -- train_imagenet.py ...

`--batch-size` is per device: the first command trains with a global batch of 64. SIGTERM and Ctrl-C are
passed on: the training saves its state and ends with 0. When a process dies, hangs or freezes, the others are
ended, the guilty one is named, and the exit code is not 0; with --restarts the training goes on from its last
resume file. Over several machines (-H) processes are started by ssh, which must log in without a question.
Rank 0 runs on the first machine and writes the files. A resume file must be where every machine sees it.
With --min-processes a restart leaves out machines that do not answer: --accumulate keeps the global batch,
and the next restart asks them again.
"""

import argparse
import importlib.util
import os
import shlex
import sys
import tempfile

from gluon_tricks.errors import UserError
from gluon_tricks.launching.job import Job, passed_on_signals, say
from gluon_tricks.launching.machines import Reach, find_machines, parse_hosts
from gluon_tricks.launching.roles import roles
from gluon_tricks.machine import resuming
from gluon_tricks.recipes.flags import COMMAND_FLAGS, PROCESSES
from gluon_tricks.script.flags import check_numbers


def main(argv):
    args = parse_args(argv)
    hosts = parse_hosts(args.hosts, args.num_workers)
    reach = Reach(tuple(shlex.split(args.ssh)), args.workdir or os.getcwd(), args.python or sys.executable)
    command = worker_command(args.command)
    with passed_on_signals() as signals:
        for attempt in range(args.restarts + 1):
            machines, workers = taking_part(args, hosts, reach, attempt)
            with tempfile.TemporaryDirectory(prefix="gluon_tricks-") as heartbeats, \
                    roles(args.engine, with_same_batch(command, args.num_workers, workers), workers,
                          args.servers or len(machines), machines, args.timeout) as made:
                job = Job(made, args.timeout, heartbeats, signals)
                code = job.run()
            if code in (0, 2) or signals or attempt == args.restarts:     # 2: a flag or the data are wrong
                return code
            if job.has_trained:        # else only an older run may be saved, which must not be continued
                command = resuming(command)
            say(f"restart {attempt + 1} of {args.restarts}"
                + (", with --resume auto" if job.has_trained else ""))
    return code


def taking_part(args, hosts, reach, attempt):
    """The machines of an attempt and its number of processes; all of them, or a restart with enough.

    Raises
    ------
    UserError
        If too few machines answer.
    """
    machines, problems = find_machines(hosts, reach, args.interface)
    if not problems:
        return machines, args.num_workers
    slots = min(args.num_workers, sum(machine.slots for machine in machines))
    # the global batch is kept by whole numbers of parts
    left = next((n for n in range(slots, 0, -1) if args.num_workers % n == 0), 0)
    if attempt == 0 or not args.min_processes or left < args.min_processes:
        raise UserError("; ".join(problems))
    say(f"{'; '.join(problems)}; goes on with {left} of {args.num_workers} processes, "
        f"--accumulate {args.num_workers // left} times as large")
    return machines, left


def with_same_batch(command, planned, workers):
    """The command for fewer processes than planned, with the same global batch through --accumulate."""
    if workers == planned:
        return command
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--accumulate", type=int, default=1)
    known, others = parser.parse_known_args(command)
    return [*others, "--accumulate", str(known.accumulate * planned // workers)]


def worker_command(words):
    """The command of each worker; a script runs with this Python."""
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise UserError("no script: python -m gluon_tricks launch -n 2 -- train_cifar.py ...")
    if words[0].endswith(".py"):
        if not os.path.isfile(words[0]):
            raise UserError(f"{words[0]}: does not exist")
        return [sys.executable, *words]
    return words


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    has_horovod = importlib.util.find_spec("horovod") is not None
    parser.add_argument("-n", "--num-workers", type=int, required=True, help="processes that train")
    parser.add_argument("--engine", choices=("horovod", "dist_sync"),
                        default="horovod" if has_horovod else "dist_sync",
                        help="who adds up gradients: Horovod, or MXNet's parameter server (default: horovod "
                             "if installed)")
    parser.add_argument("--servers", type=int, default=0,
                        help="of the parameter server (default: one per machine)")
    parser.add_argument("-H", "--hosts", metavar="HOST:SLOTS,...", help="machines (default: this one)")
    parser.add_argument("--interface",
                        help="network interface of each machine, as eth0 (default: the one that ssh reaches)")
    parser.add_argument("--ssh", default="ssh", metavar="COMMAND",
                        help="ssh with its flags, as 'ssh -p 2222 -l me' (with -H)")
    parser.add_argument("--workdir", metavar="DIR",
                        help="working folder on other machines (default: this one)")
    parser.add_argument("--python", metavar="PATH",
                        help="interpreter on other machines (default: this one)")
    parser.add_argument("--timeout", type=float, default=120, metavar="S",
                        help="without progress for so many seconds a process counts as hung (default 120)")
    parser.add_argument("--restarts", type=int, default=0, metavar="R",
                        help="after a failure go on with --resume auto, so many times (default 0)")
    parser.add_argument("--min-processes", type=int, default=0, metavar="N",
                        help="restart with fewer processes, at least N, if machines do not answer (default: "
                             "end)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- SCRIPT and its flags")
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS, spelling={}, num_workers=PROCESSES)
    return args
