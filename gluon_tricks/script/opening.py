"""Start and end of a run, shared by the training scripts: engine, facts, settings, first and last lines."""

import importlib.util
import math
from pathlib import Path

from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError
from gluon_tricks.files import make_folder
from gluon_tricks.judging.verdict import judge
from gluon_tricks.log_lines.lines import namespace_line
from gluon_tricks.machine import operator_threads
from gluon_tricks.program import pip_command
from gluon_tricks.script.flags import global_batch_size
from gluon_tricks.training.settings import RunSettings


def engine_of(args, parts_per_device=1):
    """The engine that the flags ask for."""
    return create_engine(args.num_gpus, parts_per_device, args.num_cpus, args.kvstore, args.timeout,
                         args.deterministic)


def settings_of(args, num_epochs, save_period):
    """`RunSettings` from the flags. The flags of the last two parameters differ between the scripts."""
    return RunSettings(num_epochs, args.checkpoint_period, save_period, args.log_interval, args.max_updates,
                       args.check_sync)


def facts_of(args, engine, net, flags=None, **more):
    """The facts for run.json and the resume file.

    Parameters
    ----------
    args : Namespace
    engine : SingleProcess or another engine
    net : NetFacts
        For the reader of the parameters.
    flags : dict, optional
        Values that replace parsed ones, such as the type chosen by --dtype auto.
    more
        Further facts from the script.

    Returns
    -------
    dict
    """
    return {"seed": args.seed, "devices": len(engine.ctx), "world_size": engine.world_size,
            "threads": operator_threads(), "args": {**vars(args), **(flags or {})}, "net": net._asdict(),
            **more}


def metrics_path(args, default):
    """The path of metrics.jsonl, from --json-log or the default. Makes its folder."""
    path = Path(args.json_log).expanduser() if args.json_log else default
    make_folder("--json-log", path.parent)
    return path


def tensorboard_dir(args):
    """The folder of --tensorboard, or None. Raises UserError without the package that writes its files."""
    if args.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise UserError(f"--tensorboard {args.tensorboard}: needs tensorboardX; install it with "
                        f"{pip_command('tensorboard')}")
    return Path(args.tensorboard).expanduser() if args.tensorboard else None


def batch_line(args, engine, emulated=0):
    """The arithmetic of the batch: `global batch 1024 = 128 per device x 8 devices x 1 process`."""
    devices, accumulated = max(len(engine.ctx), emulated), getattr(args, "accumulate", 1)
    words = [f"global batch {global_batch_size(args)} = {args.batch_size} per device x "
             f"{counted(devices, 'device')}"]
    if emulated:
        words.append(f", as {emulated} devices would compute them,")
    if accumulated > 1:
        words.append(f" x {accumulated} accumulated")
    words.append(f" x {counted(engine.world_size, 'process')}")
    if engine.world_size > 1:
        words.append(f" ({args.kvstore})")
    return "".join(words)


def counted(number, noun):
    """`1 process`, `2 processes`, `8 devices`."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending if number > 1 else ''}"


def threads_line(args, loaders="threads"):
    return f"seed {args.seed}; {operator_threads()} operator threads, {args.num_workers} loader {loaders}"


def header(args, engine, **more):
    """GluonCV's first log line, the namespace. With several processes it has their number, for `compare`."""
    processes = {"world_size": engine.world_size} if engine.world_size > 1 else {}
    return namespace_line({**vars(args), **more, **processes})


def table_of(run, net, schedule, images, batches_in, more=()):
    """The opening of a run on a terminal, where GluonCV's namespace is a long line: rows of (word, sentence).

    Parameters
    ----------
    schedule : callable, num_update -> learning rate
    images : (int, int)
        For training and for validation.
    batches_in : callable, epoch -> number of updates
    more : iterable of str
        Lines of the log on the choice of type and weights.
    """
    facts, epochs = run.facts, run.settings.num_epochs
    trained = [param for param in net.collect_params().values() if param.grad_req != "null"]
    yield "model", (f"{facts['title']}: {counted(facts['classes'], 'class')}, "
                    f"{sum(math.prod(param.shape) for param in trained):,} parameters to train")
    yield "data", f"{facts['dataset']}: {images[0]:,} training and {images[1]:,} validation images"
    ctx = run.engine.ctx
    devices = f"{ctx[0].device_type} {', '.join(str(one.device_id) for one in ctx)}"
    yield "batch", (f"{facts['global_batch_size']} images per update over {devices} x "
                    f"{counted(run.engine.world_size, 'process')}; {facts['dtype']}, seed {facts['seed']}, "
                    f"{facts['threads']} operator threads")
    starts = [0]
    for epoch in range(epochs):
        starts.append(starts[-1] + batches_in(epoch))
    yield "updates", f"{starts[1]:,} in the first epoch, {starts[-1]:,} in {counted(epochs, 'epoch')}"
    yield "rate", rate_words(schedule, starts)
    for line in more:
        yield "", line
    yield "log", str(run.paths.log)
    yield "parameters", f"{run.paths.save_dir}/"


def rate_words(schedule, starts):
    """A schedule in words: `0.1; 0.01 from epoch 8`, or for one that changes at each epoch its course.

    Parameters
    ----------
    starts : list of int
        The first update of each epoch, and the number of updates.
    """
    rates = [schedule(start) for start in starts[:-1]]
    last = schedule(max(0, starts[-1] - 1))
    steps = [(epoch, rate) for epoch, rate in enumerate(rates) if not epoch or rate != rates[epoch - 1]]
    if last == rates[-1] and len(steps) <= 4:
        return "; ".join(f"{rate:g}" + (f" from epoch {epoch + 1}" if epoch else "") for epoch, rate in steps)
    peak = max(rates)
    return f"{rates[0]:g} at first, {peak:g} in epoch {rates.index(peak) + 1}, {last:g} at last"


def finish(run):
    """Print where the results are, the figures and the verdict, if one is possible; returns the exit code."""
    if not run.engine.is_writer:
        return run.exit_code
    print(f"log: {run.paths.log}")
    if run.progress.history:
        print("\n".join(run.result_lines()))
    if run.progress.history and run.has_verdict:
        try:
            print(judge(run.paths.log).line)
        except UserError as error:         # e.g. no finished epoch in a new log of a resumed run
            print(f"verdict: none: {error}")
    return run.exit_code
