"""Saved parameters as a model to deploy, written only if it computes what MXNet computes.

    python -m gluon_tricks export --params-file demo/params/cifar10-cifar_resnet20_v1-11.params \\
        --out cifar.onnx --check-images gluon_tricks/data/cifar10_excerpt/test.rec
    python -m gluon_tricks export --params-file params/imagenet-resnet50_v1d-119.params \\
        --model resnet50_v1d --out resnet50_v1d.onnx --check-images ~/.mxnet/datasets/imagenet/val --softmax
    python -m gluon_tricks export --params-file params/imagenet-resnet50_v1d-119.params \\
        --model resnet50_v1d --format symbol --out resnet50_v1d

The first exports what `make demo` trained, with packages that `make onnx` installs; the record of the run,
next to the parameters, names the net and the normalisation of its images. The metadata of an ONNX model
describe how to prepare images. --format symbol writes OUT-symbol.json and OUT-0000.params, which MXNet's
SymbolBlock.imports and `evaluate --deploy --model-prefix OUT` read.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import nn

from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.imagenet_augment import RGB_MEAN, RGB_STD, ImagenetTestTransform
from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, sha256_of
from gluon_tricks.models.cpu_graph import leave_as_traced
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.saved.agreement import agreement, read_images
from gluon_tricks.saved.net import import_symbol, open_net
from gluon_tricks.saved.onnx import OPSET, REMEDY, import_onnx, to_onnx
from gluon_tricks.script.flags import check_numbers, completed
from gluon_tricks.script.saved_flags import (
    add_model_flags,
    add_normalisation_flags,
    channels_of,
    complete_by_run,
    complete_model_flags,
    complete_normalisation,
    parse_normalisation,
    saved_net_of,
)

COLOURS = {3: "RGB", 1: "grey"}


def main(argv=None):
    args = parse_args(argv)
    if args.format == "onnx":              # before the work, if they are missing
        import_onnx()
        import_runtime()
    images, source = check_images(args)
    net, classes = open_net(saved_net_of(args), create_engine(0))
    net = with_softmax(net) if args.softmax else net
    files, run, reader = (onnx_files if args.format == "onnx" else symbol_files)(args, net, classes)
    check = agreement(net, run, images)
    print(f"{reader} on {source}: outputs differ by at most {check.difference:.1e} of the largest, "
          f"{check.largest:.4g} (limit {args.tolerance:g}); top-1 equal on {check.same_top1} of "
          f"{len(images)}")
    if not check.difference <= args.tolerance:             # nan does not pass either
        print("export: error: the exported model does not compute what MXNet computes; nothing was written",
              file=sys.stderr)
        return 1
    for path, content in files.items():
        atomic_write(path, content)
        print(f"{path}: {len(content) / 1e6:.1f} MB")
    channels, size = channels_of(args.dataset), args.input_size
    print(f"input data (batch, {channels}, {size}, {size}), {COLOURS[channels]}, mean {args.rgb_mean} and "
          f"deviation {args.rgb_std} of 0..255 taken out; output {output_name(args)} (batch, {classes})")
    return 0


def with_softmax(net):
    """The net followed by a softmax."""
    whole = nn.HybridSequential(prefix="")
    whole.add(net, nn.HybridLambda("softmax"))
    whole.hybridize(static_alloc=True, static_shape=True)
    return whole


# --- Formats ------------------------------------------------------------------------------------------------
# Each returns {path: bytes} to write, a function from images to outputs that uses these bytes, and the
# reader's name.

def onnx_files(args, net, classes):
    """One ONNX file, read by ONNX Runtime."""
    runtime = import_runtime()
    model = to_onnx(net, args.input_size, output_name(args), metadata(args, classes),
                    channels_of(args.dataset))
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


def metadata(args, classes):
    """How to prepare images, and the hash of the parameters."""
    return {"model": args.model, "classes": str(classes), "input_size": str(args.input_size),
            "layout": f"NCHW, {COLOURS[channels_of(args.dataset)]}",
            "mean": ",".join(map(str, args.rgb_mean)), "std": ",".join(map(str, args.rgb_std)),
            "mean_std_scale": "0..255", "crop_ratio": str(args.crop_ratio), "output": output_name(args),
            "params_sha256": sha256_of(args.params_file) if args.params_file else ""}


def output_name(args):
    return "probabilities" if args.softmax else "logits"


def symbol_files(args, net, classes):
    """MXNet's own pair of files, read by SymbolBlock."""
    with tempfile.TemporaryDirectory() as folder:
        leave_as_traced(net)
        # MXNet exports the graph that ran
        net(nd.zeros((1, channels_of(args.dataset), args.input_size, args.input_size)))
        net.export(f"{folder}/net")
        block = import_symbol(f"{folder}/net")
        files = {Path(f"{args.out}{end}"): Path(f"{folder}/net{end}").read_bytes()
                 for end in ("-0000.params", "-symbol.json")}
    return files, lambda images: block(nd.array(images)).asnumpy(), f"MXNet {mx.__version__} (SymbolBlock)"


# --- The check ----------------------------------------------------------------------------------------------

def check_images(args):
    """Prepared images, float32, shape (N, C, H, W), and their description."""
    size, count, channels = args.input_size, args.num_check_images, channels_of(args.dataset)
    if not args.check_images:
        random = np.random.default_rng(0).normal(size=(count, channels, size, size)).astype(np.float32)
        return random, f"{count} images of random numbers (seed 0; --check-images takes photographs)"
    path = Path(args.check_images).expanduser()
    photographs = read_images(path, count)
    if channels == 1:                      # as three equal channels, which the transform takes
        photographs = [cv2.cvtColor(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
                       for one in photographs]
    mean, std = (3 // channels * values for values in (args.rgb_mean, args.rgb_std))
    transform = ImagenetTestTransform(size, args.crop_ratio, mean, std)
    return transform(photographs, None, 0)[:, :channels], f"{len(photographs)} images of {path}"


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_flags(parser)
    output = parser.add_argument_group("Output")
    output.add_argument("--format", choices=("onnx", "symbol"), default="onnx", help="(default onnx)")
    output.add_argument("--out", required=True, metavar="FILE",
                        help="FILE.onnx, or the prefix of MXNet's two files")
    output.add_argument("--softmax", action="store_true", help="put out probabilities instead of logits")
    images = parser.add_argument_group("Images: how they are prepared, and which ones the check uses")
    images.add_argument("--dataset", choices=tuple(DATASETS),
                        help="its channels, size and normalisation (default: the run's; else CIFAR-10's for "
                             "cifar_*, ImageNet's for others)")
    add_normalisation_flags(images)
    images.add_argument("--crop-ratio", type=float,
                        help="images are resized to size / ratio (default 0.875; for --dataset and cifar_*: "
                             "1)")
    images.add_argument("--check-images", metavar="PATH",
                        help="folder of images, or record file (default: random numbers)")
    images.add_argument("--num-check-images", type=int, default=8, help="how many of them (default 8)")
    images.add_argument("--tolerance", type=float, default=1e-4,
                        help="largest difference allowed, as a share of the largest output (default 1e-4)")
    return settled(parser.parse_args(argv))


def settled(args):
    """The arguments, checked, and completed from the run's record and the model."""
    check_numbers(args, COMMAND_FLAGS)
    args, run = complete_by_run(args)
    if args.dataset is None and (args.model or "").lower().startswith("cifar_"):
        args = completed(args, dataset="cifar10")
    args = complete_model_flags(args)
    if args.dataset:
        args = complete_normalisation(args, run)
    elif args.augment:
        raise UserError(f"--augment {args.augment}: is for nets of train_cifar.py; use --rgb-mean and "
                        "--rgb-std")
    else:
        args = parse_normalisation(args, RGB_MEAN, RGB_STD)
    crop_ratio = args.crop_ratio or (1.0 if args.dataset else 0.875)
    out = Path(args.out).expanduser()
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file in it")
    return completed(args, crop_ratio=crop_ratio, out=make_folder("--out", out.parent) / out.name,
                   params_file=Path(args.params_file).expanduser() if args.params_file else None)


if __name__ == "__main__":
    run_main(main, prog="export")
