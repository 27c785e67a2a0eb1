"""Kill random processes of distributed trainings at random moments, and see whether each job ends and its
restart agrees.

    python benchmarks/kill_distributed.py                       # 20 kills, both engines, 2 and 4 workers
    python benchmarks/kill_distributed.py --kills 4 --engines dist_sync --workers 2
    python benchmarks/kill_distributed.py --machines            # over two machines of namespaces; needs root

Each trial starts a job on the embedded excerpt through `python -m gluon_tricks launch --restarts 1`, kills
one of its processes (a worker, with dist_sync a server or the scheduler, over machines also an agent) with
SIGKILL at a random moment of its training, and must end with 0, leave no process, and with the parameters,
bit for bit, of the job that nobody disturbed. Prints a line per trial and `N of N`; the exit code is 0 only
then. A job that does not end within --limit seconds counts as hung.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
UPDATES = 60
GLOBAL_BATCH = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="over all engines and sizes (default 20)")
    parser.add_argument("--engines", nargs="+", default=["dist_sync", "horovod"],
                        choices=("dist_sync", "horovod"))
    parser.add_argument("--workers", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--timeout", type=float, default=30, help="the jobs' own (default 30 s)")
    parser.add_argument("--limit", type=float, default=300, help="seconds for a trial, restart included "
                                                                 "(default 300)")
    parser.add_argument("--seed", type=int, default=None, help="of the kills; default: new ones each time")
    parser.add_argument("--machines", action="store_true",
                        help="half of the workers on each of two machines (tests/machines/network.py)")
    args = parser.parse_args()
    rng, good, lines = random.Random(args.seed), 0, []
    jobs = [(engine, workers) for engine in args.engines for workers in args.workers]
    with tempfile.TemporaryDirectory() as scratch, network_of(args, scratch) as args.network, \
            tqdm(total=args.kills + len(jobs), unit="job", disable=None) as bar:
        expected = {}
        for engine, workers in jobs:
            folder = Path(scratch) / f"{engine}-{workers}"
            start = time.time()
            assert launch(args, engine, workers,
                          folder).wait() == 0, f"{engine} x {workers} does not even train undisturbed"
            expected[engine, workers] = parameters(folder)
            bar.update()
            bar.write(f"undisturbed: {engine} x {workers} workers in {time.time() - start:.1f} s")
        for trial in range(args.kills):
            engine, workers = jobs[trial % len(jobs)]
            verdict, line = kill_one(args, rng, engine, workers, Path(scratch) / f"trial{trial}",
                                     expected[engine, workers])
            good += verdict
            lines.append(line)
            bar.update()
            bar.write(f"kill {trial + 1}: {line}")
    print(f"{good} of {args.kills}")
    return good != args.kills


def kill_one(args, rng, engine, workers, folder, expected):
    """One trial: `(whether all was well, a line about it)`."""
    job = launch(args, engine, workers, folder, "--restarts", "1")
    wanted = rng.randint(1, UPDATES - 1)
    while updates_done(folder) < wanted and job.poll() is None:
        time.sleep(0.02)
    members = {name_of(process): process for process in members_of(args, job)}
    name = rng.choice(sorted(members))
    start = time.time()
    members[name].kill()
    try:
        code = job.wait(timeout=args.limit)
    except subprocess.TimeoutExpired:
        left = members_of(args, job)
        job.kill()
        killed = f"{engine} x {workers}, {name} killed after update {wanted}"
        return False, f"{killed}: HUNG, {len(left)} processes left"
    seconds = time.time() - start
    orphans = members_of(args, job) + [process for process in psutil.process_iter(["cmdline"])
                                       if str(folder) in " ".join(process.info["cmdline"] or [])]
    got = parameters(folder) if code == 0 else {}
    equal = set(got) == set(expected) and all((got[name] == expected[name]).all() for name in expected)
    what = "equal parameters" if equal else f"exit code {code}" if code else "DIFFERENT PARAMETERS"
    return (code == 0 and equal and not orphans,
            f"{engine} x {workers}, {name} killed after update {wanted}: ended {seconds:.1f} s later, "
            f"{what}, {len(orphans)} processes left")


def launch(args, engine, workers, folder, *flags):
    """A job that makes a resume file every third update."""
    folder.mkdir(parents=True)
    where = ["-H", f"node1:{workers // 2},node2:{workers // 2}"] if args.network else []
    command = [sys.executable, "-m", "gluon_tricks", "launch", "-n", workers, "--engine", engine,
               "--timeout", args.timeout, *where, *flags, "--", "train_cifar.py",
               "--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode", "hybrid",
               "--batch-size", GLOBAL_BATCH // workers, "-j", "1", "--num-epochs", "2", "--lr-decay-epoch",
               "1", "--max-updates", UPDATES, "--deterministic", "--checkpoint-period", "3",
               "--log-interval", "1", "--save-dir", folder, "--logging-dir", folder, "--save-plot-dir",
               folder]
    if args.network:
        command = args.network.command("node1", *command)
    with open(folder / "said.txt", "w") as said:
        return subprocess.Popen([str(word) for word in command], cwd=ROOT, stdout=said, stderr=said)


def network_of(args, scratch):
    """Two machines, or nothing."""
    from tests.machines.network import Network

    return Network(Path(scratch) / "network") if args.machines else contextlib.nullcontext()


def members_of(args, job):
    """The job's processes, as far as they have come to be themselves."""
    try:
        if args.network:
            found = [process for name in args.network.names for process in args.network.processes(name)]
        else:
            found = psutil.Process(job.pid).children()
        return [process for process in found if name_of(process)]
    except psutil.NoSuchProcess:
        return []


def name_of(process):
    """`rank 1`, `server` or `scheduler`."""
    try:
        rank, words = process.environ().get("GLUON_TRICKS_RANK"), process.cmdline()
    except psutil.Error:
        return ""
    if rank is not None:
        return f"rank {rank}"
    if "gluon_tricks.launching.agent" in words:
        return "agent"
    return words[-1] if "gluon_tricks.launching.server" in words else ""


def updates_done(folder):
    """Records of log intervals, one an update."""
    metrics = folder / "train_cifar10_cifar_resnet20_v1" / "metrics.jsonl"
    return metrics.read_text().count('"interval"') if metrics.exists() else 0


def parameters(folder):
    """All arrays of the resume file: parameters, statistics and momentum."""
    with np.load(folder / "cifar10-cifar_resnet20_v1.resume.npz") as archive:
        return {name: archive[name] for name in archive.files if name != "meta"}


if __name__ == "__main__":
    sys.exit(main())
