"""Start a training in several processes, supervise them, and end all of them.

    python -m gluon_tricks launch -n 2 -- train_cifar.py --dataset cifar10-excerpt \\
        --model cifar_resnet20_v1 --batch-size 32 --mode hybrid --num-epochs 3
    python -m gluon_tricks launch -n 8 --engine horovod -- train_imagenet.py --num-gpus 1 --batch-size 128 ...
    python -m gluon_tricks launch -n 16 --engine dist_sync --servers 2 -H node1:8,node2:8 \\
        -- train_imagenet.py ...

`--batch-size` is per device: the first command trains with a global batch of 64. SIGTERM and Ctrl-C are
passed on: the training saves its state and ends with 0. When a process dies, hangs or freezes, the others are
ended, the guilty one is named, and the exit code is not 0; with --restarts the training goes on from its last
resume file. Over several machines (-H) processes are started by ssh, in the same folder, which all must see;
that has not been tried.
"""

import argparse
import importlib.util
import os
import sys
import tempfile

from gluon_tricks.errors import UserError
from gluon_tricks.launching.job import Job, passed_on_signals, say
from gluon_tricks.launching.roles import parse_hosts, roles
from gluon_tricks.machine import resuming
from gluon_tricks.recipes.flags import COMMAND_FLAGS, PROCESSES
from gluon_tricks.script.flags import check_numbers


def main(argv):
    args = parse_args(argv)
    hosts = parse_hosts(args.hosts, args.num_workers)
    servers = args.servers or len(hosts)
    command = worker_command(args.command)
    with passed_on_signals() as signals:
        for attempt in range(args.restarts + 1):
            with tempfile.TemporaryDirectory(prefix="gluon_tricks-") as heartbeats, \
                    roles(args.engine, command, args.num_workers, servers, hosts, args.timeout, heartbeats,
                          args.interface) as made:
                job = Job(made, args.timeout, heartbeats, signals)
                code = job.run()
            if code in (0, 2) or signals or attempt == args.restarts:     # 2: a flag or the data are wrong
                return code
            if job.has_trained:        # else only an older run may be saved, which must not be continued
                command = resuming(command)
            say(f"restart {attempt + 1} of {args.restarts}"
                + (", with --resume auto" if job.has_trained else ""))
    return code


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
    parser.add_argument("--interface", help="network interface between machines, as eth0 (with -H)")
    parser.add_argument("--timeout", type=float, default=120, metavar="S",
                        help="without progress for so many seconds a process counts as hung (default 120)")
    parser.add_argument("--restarts", type=int, default=0, metavar="R",
                        help="after a failure go on with --resume auto, so many times (default 0)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- SCRIPT and its flags")
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS, spelling={}, num_workers=PROCESSES)
    return args
