"""--dtype auto: measure whether float32, bfloat16 or bfloat16 with AMX trains a model fastest on this CPU.

The result depends on the shapes: AMX multiplies tiles of 16 rows and 64 bytes, which nets with few channels
cannot fill. Without AVX512_BF16, bfloat16 is emulated. Each candidate trains for some seconds on random
images. It does so in its own process, because AMP and oneDNN's instruction set cannot be changed after their
first use.
"""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.compat import AMX_ISA, permit_amx
from gluon_tricks.errors import UserError
from gluon_tricks.launching.worker import Worker
from gluon_tricks.training import checkpoint
from gluon_tricks.training.status import Cases

DTYPES = ("float32", "float16", "bfloat16")
CANDIDATES = {  # name -> value of --dtype, whether AMX is permitted
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
    "bfloat16 with AMX": ("bfloat16", True),
}
EMULATION = ("note: --dtype float16 is an emulation on CPUs: values and gradients are rounded to float16 "
             "behind each operator, and sums inside an operator are float32")
TRIAL_S = 2.0
MOST_PIXELS = 400_000      # in a trial's batch: 8 images of 224 x 224
WORTH = 1.05               # least speed-up for which bfloat16 is chosen


class Precision(NamedTuple):
    """The numeric type of a run.

    Attributes
    ----------
    dtype : "float32", "float16" or "bfloat16"
    use_amx : bool
        Whether bfloat16 may use AMX, if the processor has it.
    rates : dict
        Images per second of each candidate that --dtype auto measured; else empty.
    is_emulated : bool
        Whether float16 is emulated on a CPU.
    """
    dtype: str
    use_amx: bool
    rates: dict
    is_emulated: bool = False

    @property
    def flags(self):
        """The chosen values, for the log's header and run.json."""
        emulated = {"emulated_float16": True} if self.is_emulated else {}
        return {"dtype": self.dtype, "use_amx": self.use_amx, **emulated}

    @property
    def lines(self):
        """The log line about an emulation, or about the choice of --dtype auto, in a list; or an empty list.
        """
        if self.is_emulated:
            return [EMULATION]
        if not self.rates:
            return []
        chosen = next(name for name, choice in CANDIDATES.items() if choice == (self.dtype, self.use_amx))
        tried = ", ".join(f"{name} {rate:.1f}" for name, rate in self.rates.items())
        return [f"--dtype auto: {chosen}; images/s of the trials: {tried}"]


def as_asked(args):
    """The precision of a --dtype other than auto."""
    return Precision(args.dtype, args.use_amx, {}, args.dtype == "float16" and not args.num_gpus)


def choose_precision(args, classes, size, resume_path, keywords):
    """The precision of --dtype; for auto that of the resumed run, or the fastest in a new run.

    Parameters
    ----------
    classes, size : int
        Number of classes; side of an image in pixels.
    resume_path : Path
        The file that `--resume auto` reads.
    keywords : dict
        Further arguments of the net.
    """
    if args.dtype != "auto":
        return as_asked(args)
    path = checkpoint.newest(resume_path) if args.resume in ("", "auto") else Path(args.resume).expanduser()
    if args.resume and path:
        saved, _ = checkpoint.read_meta(path)
        dtype, use_amx = saved.get("dtype"), saved["args"].get("use_amx", True)
        rates = saved.get("dtype_trial") or {}
        known = CANDIDATES.values() if rates else [(name, amx) for name in DTYPES for amx in (False, True)]
        if (dtype, use_amx) not in known:
            raise UserError(f"--resume {path}: was made with dtype {dtype!r} and use_amx {use_amx!r}, which "
                            f"is no choice of --dtype auto; give that run's --dtype")
        return Precision(dtype, use_amx, rates)
    rates = try_all(args.model, classes, args.batch_size, size, keywords)
    return Precision(*CANDIDATES[fastest(rates)], rates)


def fastest(rates):
    """The name of the best candidate: float32, unless another one is faster by `WORTH`."""
    best = max(rates, key=rates.get)
    return best if rates[best] >= WORTH * rates["float32"] else "float32"


def try_all(model, classes, batch_size, size, keywords=None):
    """{name: images per second} of the candidates that this machine supports."""
    keywords = dict(keywords or {})
    keywords.pop("pretrained", None)       # weights do not change the speed, and may not be downloaded yet
    group_norm = keywords.pop("norm_layer", None) is not None
    batch = max(1, min(batch_size, MOST_PIXELS // size**2))
    names = [name for name, (_, amx) in CANDIDATES.items() if not amx or permit_amx()]
    rates = {}
    with Cases([1] * len(names), "--dtype auto, trial") as cases:
        for name in names:
            cases.begin(name)
            dtype, amx = CANDIDATES[name]
            switches = [word for word, is_on in (("--use-gn", group_norm), ("--amx", amx)) if is_on]
            words = ["-m", "gluon_tricks.benching.net_side", "--side", "ours", "--dtype", dtype, "--model",
                     model, "--classes", classes, "--batch-size", batch, "--input-size", size, "--updates", 1,
                     "--keywords", json.dumps(keywords), *switches]
            with Worker(f"--dtype auto, trial of {name}", words, env=without_amx()) as worker:
                rates[name] = best_rate(worker)
            cases.end()
    return rates


def best_rate(worker):
    """The highest rate within `TRIAL_S` seconds; other load on the machine can only lower a rate."""
    worker()                               # compiles
    end, rates = time.monotonic() + TRIAL_S, []
    while not rates or time.monotonic() < end:
        rates.append(worker())
    return max(rates)


def without_amx(environ=os.environ):
    """Changes of environment variables that stop a new process from inheriting AMX."""
    return {"DNNL_MAX_CPU_ISA": None} if environ.get("DNNL_MAX_CPU_ISA") == AMX_ISA else {}
