"""The first and last lines of a run, the same for every training script."""

from gluon_tricks.errors import UserError
from gluon_tricks.judging.verdict import judge
from gluon_tricks.log_lines.lines import namespace_line
from gluon_tricks.script.flags import global_batch_size


def batch_line(args, engine, emulated=0):
    """The sum done: `global batch 1024 = 128 per device x 8 devices x 1 process`."""
    n = max(len(engine.ctx), emulated)
    return (f"global batch {global_batch_size(args)} = {args.batch_size} per device x {n} device{'s' * (n > 1)}"
            + (f", as {emulated} devices would compute them," if emulated else "")
            + (f" x {args.accumulate} accumulated" if getattr(args, "accumulate", 1) > 1 else "")
            + f" x {engine.world_size} process{'es' * (engine.world_size > 1)}"
            + (f" ({args.kvstore})" if engine.world_size > 1 else ""))


def header(args, engine, **more):
    """GluonCV's first line, the namespace; with several processes it says how many, for `compare` to know the batch."""
    processes = {"world_size": engine.world_size} if engine.world_size > 1 else {}
    return namespace_line({**vars(args), **more, **processes})


def finish(run):
    """Say where the results are and how they compare; the exit code."""
    if not run.engine.is_writer:
        return run.exit_code
    print(f"log: {run.paths.log}")
    if run.progress.history:
        print(f"plot: {run.paths.plot}\n"
              f"validation accuracy: last {run.progress.history[-1]['val']:.4f}, best {run.progress.best_val:.4f}")
        try:
            print(judge(run.paths.log).line)
        except UserError as error:         # such as a run resumed into a new log that has no finished epoch yet
            print(f"verdict: none: {error}")
    return run.exit_code
