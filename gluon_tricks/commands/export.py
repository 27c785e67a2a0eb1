"""Saved parameters as a model to deploy, written only if it computes what MXNet computes.

    python -m gluon_tricks export --params-file demo/params/cifar10-cifar_resnet20_v1-11.params \\
        --out cifar.onnx --check-images gluon_tricks/data/cifar10_excerpt/test.rec
    python -m gluon_tricks export --params-file params/imagenet-resnet50_v1d-119.params \\
        --out resnet50_v1d.onnx --check-images ~/.mxnet/datasets/imagenet/val --softmax
    python -m gluon_tricks export --params-file params/imagenet-resnet50_v1d-119.params \\
        --format symbol --out resnet50_v1d
    python -m gluon_tricks export --params-file params/imagenet-resnet50_v1d-119.params \\
        --format torch --out resnet50d

The first exports what `make demo` trained, with packages that `make onnx` installs; the record of the
training, next to the parameters, names the net, its classes, and the size and normalisation of its images.
All of it goes into the metadata of an ONNX model. --format symbol writes OUT-symbol.json and
OUT-0000.params, which MXNet's SymbolBlock.imports and `evaluate --deploy --model-prefix OUT` read, and the
record OUT-0000.json. --format torch writes a folder: weights and config.json for
`timm.create_model("local-dir:OUT", pretrained=True)`, or, for a net that timm lacks, weights and net.py, its
modules in plain PyTorch. PyTorch checks the folder if `make torch` has installed it.
"""

import argparse
import contextlib
import hashlib
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import nn

from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, sha256_of
from gluon_tricks.launching.torch_python import add_torch_python, can_import, torch_python
from gluon_tricks.models.cpu_graph import leave_as_traced
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.saved.agreement import agreement, read_images
from gluon_tricks.saved.described import rounded, transform_of
from gluon_tricks.saved.net import import_symbol, open_net
from gluon_tricks.saved.onnx import OPSET, REMEDY, import_onnx, to_onnx
from gluon_tricks.saved.torch_folder import WEIGHTS, as_json, destination_of, torch_files
from gluon_tricks.saved.torch_process import NEEDED, TorchProcess
from gluon_tricks.script.flags import check_numbers, completed
from gluon_tricks.script.saved_flags import add_model_flags, add_pixel_flags, saved_net_of
from gluon_tricks.training.record import run_record

COLOURS = {3: "RGB", 1: "grey"}


def main(argv=None):
    args = parse_args(argv)
    if args.format == "onnx":              # before the work, if they are missing
        import_onnx()
        import_runtime()
    if args.format == "torch":
        destination_of(args.saved.facts)
    images, source = check_images(args)
    net, classes = open_net(args.saved, create_engine(0))
    net, facts = with_softmax(net) if args.softmax else net, facts_of(args.saved, classes)
    with contextlib.ExitStack() as stack:
        files, run, reader = FORMATS[args.format](args, net, facts, stack)
        check = agreement(net, run, images)
    print(f"{reader} on {source}: outputs differ by at most {check.difference:.1e} of the largest, "
          f"{check.largest:.4g} (limit {args.tolerance:g}); top-1 equal on {check.same_top1} of "
          f"{len(images)}")
    if not check.difference <= args.tolerance:             # nan does not pass either
        print("export: error: the exported model does not compute what MXNet computes; nothing was written",
              file=sys.stderr)
        return 1
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, content)
        print(f"{path}: {len(content) / 1e6:.1f} MB")
    size, channels = facts.input_size, facts.channels
    print(f"input data (batch, {channels}, {size}, {size}), {COLOURS[channels]}, mean "
          f"{rounded(facts.rgb_mean)} and deviation {rounded(facts.rgb_std)} of 0..255 taken out; output "
          f"{output_name(args)} (batch, {classes})")
    return 0


def facts_of(saved, classes):
    """`NetFacts` of the opened net: with its number of classes, and their names if they are certain."""
    return saved.facts._replace(classes=classes, class_names=saved.certain_names(classes))


def with_softmax(net):
    """The net followed by a softmax."""
    whole = nn.HybridSequential(prefix="")
    whole.add(net, nn.HybridLambda("softmax"))
    whole.hybridize(static_alloc=True, static_shape=True)
    return whole


# --- Formats ------------------------------------------------------------------------------------------------
# Each returns {path: bytes} to write, a function from images to outputs that uses these bytes, and the
# reader's name. What the function needs is open as long as the stack.

def onnx_files(args, net, facts, stack):
    """One ONNX file, read by ONNX Runtime."""
    runtime = import_runtime()
    model = to_onnx(net, facts.input_size, output_name(args), metadata(args, facts), facts.channels)
    content = model.SerializeToString()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(images):
        return session.run([output_name(args)], {"data": images})[0]

    return {args.out: content}, run, f"ONNX Runtime {runtime.__version__} (opset {OPSET})"


def import_runtime():
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"--format onnx: ONNX Runtime, which checks the model, cannot be imported ({error}); "
                        f"{REMEDY}") from error
    return onnxruntime


def metadata(args, facts):
    """The record of the net, with the hash of the parameters: dict of str."""
    params = args.saved.params_file
    return {"model": facts.model, "switches": json.dumps(facts.switches), "classes": str(facts.classes),
            "class_names": json.dumps(facts.class_names), "input_size": str(facts.input_size),
            "layout": f"NCHW, {COLOURS[facts.channels]}", "mean": rounded(facts.rgb_mean),
            "std": rounded(facts.rgb_std), "mean_std_scale": "0..255", "crop": facts.crop,
            "crop_ratio": str(facts.crop_ratio), "output": output_name(args), "dataset": facts.dataset,
            "data_root_hash": facts.data_root_hash, "params_sha256": sha256_of(params) if params else "",
            "interpolation": "bilinear", "provenance": json.dumps(provenance_of(args))}


def provenance_of(args):
    """The command and flags of the training, the kit that exports, and its commit."""
    record = record_of(args, {})
    return {"trained": args.saved.run.name if args.saved.run else "", "training_flags": record["args"],
            "exported_by": record["command"], "versions": record["versions"], "commit": record["commit"]}


def output_name(args):
    return "probabilities" if args.softmax else "logits"


def symbol_files(args, net, facts, stack):
    """MXNet's own pair of files, read by SymbolBlock, and the record of the parameters."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    leave_as_traced(net)
    # MXNet exports the graph that ran
    net(nd.zeros((1, facts.channels, facts.input_size, facts.input_size)))
    net.export(f"{folder}/net")
    block = import_symbol(f"{folder}/net")
    files = {Path(f"{args.out}{end}"): Path(f"{folder}/net{end}").read_bytes()
             for end in ("-0000.params", "-symbol.json")}
    digest = hashlib.sha256(files[Path(f"{args.out}-0000.params")]).hexdigest()
    record = record_of(args, {"net": facts._asdict(), "params_sha256": digest})
    files[Path(f"{args.out}-0000.json")] = as_json(record)
    return files, partial(outputs_here, block), f"MXNet {mx.__version__} (SymbolBlock)"


def record_of(args, facts):
    """A record of exported parameters, with the flags of their training."""
    return run_record({**facts, "args": args.saved.run.flags if args.saved.run else {}})


def torch_folder(args, net, facts, stack):
    """A folder for PyTorch, read by PyTorch in its own environment, or else by this kit."""
    files, python = torch_files(net, facts, partial(record_of, args)), torch_python(args.torch_python)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if can_import(python, NEEDED):
        process = stack.enter_context(TorchProcess(python))
        reader = f"PyTorch {process.facts['torch']}, timm {process.facts['timm']}"
        run = partial(outputs_of, process, folder)
    else:
        saved = args.saved._replace(params_file=folder / WEIGHTS, facts=facts, run=None)
        again, _ = open_net(saved, create_engine(0))
        reader = f"This kit (not run with PyTorch: {python} cannot import {NEEDED}; make torch installs them)"
        run = partial(outputs_here, again)
    return {args.out / name: content for name, content in files.items()}, run, reader


def outputs_of(process, folder, images):
    return process.compute(folder, images=images)["logits"]


def outputs_here(net, images):
    return net(nd.array(images)).asnumpy()


FORMATS = {"onnx": onnx_files, "symbol": symbol_files, "torch": torch_folder}


# --- The check ----------------------------------------------------------------------------------------------

def check_images(args):
    """Prepared images, float32, shape (N, C, H, W), and their description."""
    facts, count = args.saved.facts, args.num_check_images
    size, channels = facts.input_size, facts.channels
    if not args.check_images:
        random = np.random.default_rng(0).normal(size=(count, channels, size, size)).astype(np.float32)
        return random, f"{count} images of random numbers (seed 0; --check-images takes photographs)"
    path = Path(args.check_images).expanduser()
    photographs = read_images(path, count)
    if channels == 1:                      # as three equal channels, which the transform takes
        photographs = [cv2.cvtColor(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
                       for one in photographs]
    return transform_of(facts)(photographs, None, 0)[:, :channels], f"{len(photographs)} images of {path}"


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_flags(parser)
    output = parser.add_argument_group("Output")
    output.add_argument("--format", choices=tuple(FORMATS), default="onnx", help="(default onnx)")
    output.add_argument("--out", required=True, metavar="FILE",
                        help="FILE.onnx, the prefix of MXNet's two files, or PyTorch's folder")
    output.add_argument("--softmax", action="store_true", help="put out probabilities instead of logits")
    images = parser.add_argument_group("Images: how they are prepared, and which ones the check uses")
    add_pixel_flags(images)
    images.add_argument("--check-images", metavar="PATH",
                        help="folder of images, or record file (default: random numbers)")
    images.add_argument("--num-check-images", type=int, default=8, help="how many of them (default 8)")
    images.add_argument("--tolerance", type=float, default=1e-4,
                        help="largest difference allowed, as a share of the largest output (default 1e-4)")
    add_torch_python(images)
    return settled(parser.parse_args(argv))


def settled(args):
    """The arguments, checked, with `saved`, the net as record or flags describe it."""
    check_numbers(args, COMMAND_FLAGS)
    args = completed(args, saved=saved_net_of(args))
    out = Path(args.out).expanduser()
    if args.format == "torch" and args.softmax:
        raise UserError("--softmax: --format torch exports logits, as timm's nets put out; leave it out")
    if args.format == "torch" and out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder for PyTorch's files")
    if args.format == "torch" and out.is_dir() and any(out.iterdir()):     # an old net.py would stay there
        raise UserError(f"--out {out}: the folder is not empty; name a new one")
    if args.format != "torch" and out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file in it")
    return completed(args, out=make_folder("--out", out.parent) / out.name)


if __name__ == "__main__":
    run_main(main, prog="export")
