"""What runs in a process of its own, so that a package that crashes does not end the report.

This module itself needs the standard library only.
"""

import builtins
import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module

from gluon_tricks.files import ROOT
from gluon_tricks.health.dependencies import version_of

CHILD_TIMEOUT_S = 180                 # an import that takes longer hangs


def run_child(function, *args):
    """Call one of the functions below in a fresh interpreter that `gluon_tricks.compat` has prepared.

    Returns
    -------
    dict
        What the function returned, or {"errors": [...]}, root cause first.
    """
    code = (f"import sys; sys.path.append({str(ROOT)!r}); from gluon_tricks.health import children; "
            f"children.answer(children.{function.__name__}, *{args!r})")
    try:
        child = run_python(code)
    except subprocess.TimeoutExpired:
        return {"errors": [f"no answer within {CHILD_TIMEOUT_S} s"]}
    if child.returncode < 0:
        last_words = (child.stderr.strip().splitlines() or [""])[-1]
        return {"errors": [f"killed by {signal.Signals(-child.returncode).name} {last_words}".strip()]}
    answers = [line for line in child.stdout.splitlines() if line.startswith('{"')]
    if not answers:
        unexplained = f"ended without an answer, exit code {child.returncode}"
        return {"errors": [first_error(child.stderr) or unexplained]}
    return json.loads(answers[-1])


def run_python(code):
    """Run code in a fresh interpreter, without DMLC_ROLE: as a server `import mxnet` never returns."""
    environment = {key: value for key, value in os.environ.items() if key != "DMLC_ROLE"}
    return subprocess.run([sys.executable, "-c", code], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=CHILD_TIMEOUT_S)


def answer(function, *args):
    """In the child: print as JSON what `function` returns or the errors it raised."""
    try:
        result = function(*args)
    except Exception as error:
        result = {"errors": error_chain(error)}
    print("\n" + json.dumps(result))       # on a line of its own, even after what a library printed


def error_chain(error):
    """The texts of an exception and of those it arose from, root cause first."""
    texts = []
    while error is not None:
        texts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return texts[::-1]


def first_error(traceback_text):
    """The first exception line of what Python printed: the root cause, where it printed a chain."""
    found = re.search(r"^[\w.]*(?:Error|Exception)\b.*", traceback_text, re.MULTILINE)
    return found.group(0) if found else None


def import_alone(module, distribution):
    """Import one module; returns its version, or {"errors": ...}."""
    with swallowed_by_gluoncv() as swallowed:
        try:
            imported = import_module(module)
        except Exception as error:
            return {"errors": swallowed + error_chain(error)}
    return {"version": version_of(distribution) or getattr(imported, "__version__", "of unknown version")}


@contextlib.contextmanager
def swallowed_by_gluoncv():
    """Collect the errors that `import gluoncv` replaces by "missing `mxnet` & `torch`".

    GluonCV wraps all its imports in `try: ... except ImportError: pass`, which hides the first error. So the
    import statements of gluoncv/__init__.py and check.py are watched.
    """
    errors, real_import = [], builtins.__import__

    def listening_import(name, globals=None, *args, **kwargs):
        try:
            return real_import(name, globals, *args, **kwargs)
        except ImportError as error:
            if (globals or {}).get("__name__") in ("gluoncv", "gluoncv.check") and name != "torch":
                errors.extend(error_chain(error))
            raise

    builtins.__import__ = listening_import
    try:
        yield errors
    finally:
        builtins.__import__ = real_import


def training_step():
    """One step of a tiny network on the CPU and on each GPU; returns seconds, threads and features."""
    import mxnet as mx

    features = {feature.name: feature.enabled for feature in mx.runtime.feature_list()}
    seconds = {}
    for ctx in [mx.cpu()] + [mx.gpu(index) for index in range(mx.context.num_gpus())]:
        start = time.time()
        net = mx.gluon.nn.HybridSequential()
        net.add(mx.gluon.nn.Conv2D(8, 3, in_channels=3), mx.gluon.nn.BatchNorm(in_channels=8),
                mx.gluon.nn.GlobalAvgPool2D(), mx.gluon.nn.Dense(2, in_units=8))
        net.initialize(mx.init.Xavier(), ctx=ctx)
        net.hybridize()
        trainer = mx.gluon.Trainer(net.collect_params(), "nag", {"learning_rate": 0.1, "momentum": 0.9})
        before = net[3].weight.data(ctx).copy()
        with mx.autograd.record():
            outputs = net(mx.nd.random.uniform(shape=(4, 3, 16, 16), ctx=ctx))
            loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()(outputs, mx.nd.array([0, 1, 0, 1], ctx=ctx))
        loss.backward()
        trainer.step(4)
        moved = float((net[3].weight.data(ctx) - before).abs().sum().asscalar())
        if not 0 < moved < float("inf"):
            raise ArithmeticError(f"a training step on {ctx} moved the weights by {moved}")
        seconds[str(ctx)] = round(time.time() - start, 3)
    try:
        threads = ctypes.CDLL("libgomp.so.1").omp_get_max_threads()     # the OpenMP runtime MXNet has loaded
    except (OSError, AttributeError):
        threads = None
    return {"seconds": seconds, "threads": threads,
            "features": sorted(name for name, enabled in features.items() if enabled)}
