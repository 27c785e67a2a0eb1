"""--dtype auto: the fastest of float32, bfloat16 and bfloat16 with AMX for a model on this processor, found by a trial.

The answer depends on the shapes. AMX multiplies tiles of 16 rows and 64 bytes, which nets with few channels cannot fill.
Without AVX512_BF16, bfloat16 is emulated. Each candidate trains for some seconds on random images, in a process of its
own, because neither AMP nor oneDNN's instruction set can be changed after its first use.
"""

import json
import os
import time
from typing import NamedTuple

from tqdm import tqdm

from gluon_tricks.compat import AMX_ISA, permit_amx
from gluon_tricks.launching.worker import Worker
from gluon_tricks.training import checkpoint

CANDIDATES = {  # name -> --dtype of the training, whether it may use AMX
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
    "bfloat16 with AMX": ("bfloat16", True),
}
TRIAL_S = 2.0
MOST_PIXELS = 400_000      # of a trial's batch: 8 images of 224 x 224
WORTH = 1.05               # by how much bfloat16 must be faster to be chosen


class Precision(NamedTuple):
    """What a run computes in.

    Attributes
    ----------
    dtype : "float32", "float16" or "bfloat16"
    use_amx : bool
        Whether bfloat16 may use AMX where the processor has it.
    rates : dict
        Images per second of each candidate that --dtype auto tried; empty if none was.
    """
    dtype: str
    use_amx: bool
    rates: dict

    @property
    def flags(self):
        """The flags as the log's header and run.json have them."""
        return {"dtype": self.dtype, "use_amx": self.use_amx}

    @property
    def lines(self):
        """What the log says about the choice; empty if there was none."""
        if not self.rates:
            return []
        chosen = next(name for name, choice in CANDIDATES.items() if choice == (self.dtype, self.use_amx))
        tried = ", ".join(f"{name} {rate:.1f}" for name, rate in self.rates.items())
        return [f"--dtype auto: {chosen}; images/s of the trials: {tried}"]


def as_asked(args):
    """The precision that --dtype names, which is not auto."""
    return Precision(args.dtype, args.use_amx, {})


def choose_precision(args, classes, size, resume_path, keywords):
    """The precision that --dtype names; for auto that of the run that is resumed, else the fastest.

    Parameters
    ----------
    classes, size : int
        Of the data: number of classes, side of an image in pixels.
    resume_path : Path
        The file from which `--resume auto` would go on.
    keywords : dict
        The net's other arguments.
    """
    if args.dtype != "auto":
        return as_asked(args)
    path = resume_path if args.resume in ("", "auto") else args.resume
    if args.resume and os.path.exists(path):
        saved, _ = checkpoint.read_meta(path)
        return Precision(saved["dtype"], saved.get("args", {}).get("use_amx", True), saved.get("dtype_trial", {}))
    rates = try_all(args.model, classes, args.batch_size, size, keywords)
    return Precision(*CANDIDATES[fastest(rates)], rates)


def fastest(rates):
    """The candidate to take: float32 unless another is clearly faster."""
    best = max(rates, key=rates.get)
    return best if rates[best] >= WORTH * rates["float32"] else "float32"


def try_all(model, classes, batch_size, size, keywords=None):
    """Images per second of each candidate that this machine has: dict by name."""
    keywords = dict(keywords or {})
    keywords.pop("pretrained", None)       # weights do not change the speed, and need not be there yet
    group_norm = keywords.pop("norm_layer", None) is not None
    batch = max(1, min(batch_size, MOST_PIXELS // size**2))
    names = [name for name, (_, amx) in CANDIDATES.items() if not amx or permit_amx()]
    rates = {}
    with tqdm(names, unit="trial", desc="--dtype auto", disable=None, leave=False) as bar:
        for name in bar:
            bar.set_postfix_str(name)
            dtype, amx = CANDIDATES[name]
            words = ["-m", "gluon_tricks.benching.net_side", "--side", "ours", "--dtype", dtype, "--model", model,
                     "--classes", classes, "--batch-size", batch, "--input-size", size, "--updates", 1,
                     "--keywords", json.dumps(keywords), *(["--use-gn"] if group_norm else []), *(["--amx"] if amx else [])]
            with Worker(f"--dtype auto, trial of {name}", words, env=without_amx()) as worker:
                rates[name] = best_rate(worker)
    return rates


def best_rate(worker):
    """The highest of the rates within `TRIAL_S` seconds; others' work on the machine only lowers it."""
    worker()                               # compiles
    end, rates = time.monotonic() + TRIAL_S, []
    while not rates or time.monotonic() < end:
        rates.append(worker())
    return max(rates)


def without_amx(environ=os.environ):
    """What keeps a new process from AMX unless it asks for it: change of environment variables."""
    return {"DNNL_MAX_CPU_ISA": None} if environ.get("DNNL_MAX_CPU_ISA") == AMX_ISA else {}
