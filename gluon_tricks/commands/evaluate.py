"""The accuracy of saved parameters on a validation set: every image counted once.

    python -m gluon_tricks evaluate --params-file demo/params/cifar10-cifar_resnet20_v1-11.params
    python -m gluon_tricks evaluate --model resnet50_v1d --rec-dir ~/.mxnet/datasets/imagenet/rec \\
        --params-file params/imagenet-resnet50_v1d-119.params --json result.json
    python -m gluon_tricks evaluate --model resnet50_v1d --data-dir ~/.mxnet/datasets/imagenet --batch-size 64 -j 8
    python -m gluon_tricks evaluate --model resnet50_v1d --rec-val ~/.mxnet/datasets/places365/rec/test.rec \\
        --params-file params/places365-resnet50_v1d-119.params --predictions submission.txt

The first is on what `make demo` trained: beside parameters that train_cifar.py left lies a record of the run, which says
of what net they are and how it is to be shown which images; --model, --dataset and the like say so where there is none.
The third takes GluonCV's published weights, as its verify_pretrained.py does without --params-file. The fourth has no
labels to count by: it writes the five best classes of each image.

An answer counts as top-k if fewer than k classes come before the label's: those with a higher output, and those with an
equal one and a lower index. MXNet adds in another order for another batch size, and the last bits of outputs differ; how
many answers lie so near a tie that this could decide them is printed beside the count.
"""

import argparse
import json
import math
import shlex
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from gluon_tricks.data.cifar import find_cifar, open_cifar_test
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.classes import imagenet_synsets
from gluon_tricks.data.imagenet import FOLDER_MEAN, FOLDER_STD
from gluon_tricks.data.imagenet_augment import RGB_MEAN, RGB_STD, ImagenetTestTransform
from gluon_tricks.data.images import FolderImages, PhotographLoader, RecordImages
from gluon_tricks.data.manifest import classes_sha256, open_split, read_manifest
from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.names import names_of_records
from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, sha256_of
from gluon_tricks.machine import environment, operator_threads
from gluon_tricks.models.ready import start_precision
from gluon_tricks.saved.flags import (
    add_model_flags,
    add_normalisation_flags,
    check_model_flags,
    settle_by_run,
    settle_normalisation,
)
from gluon_tricks.saved.net import import_symbol, open_net, run_once
from gluon_tricks.saved.predictions import best_classes, lines_of
from gluon_tricks.saved.tally import ROUNDING, TOP, Tally
from gluon_tricks.script.flags import at_least, per_channel
from gluon_tricks.script.prepare import prepare
from gluon_tricks.training.evaluation import answers


class Validation(NamedTuple):
    """What the net is shown."""
    loader: object
    path: Path
    protocol: str            # "exact": each image once; "gluoncv": MXNet's window, some images twice
    classes: list = None     # names in label order, where they are known
    root_hash: str = ""      # of the manifest; "" where nothing vouches for the data
    bad: dict = {}           # position -> what is wrong with that image; fills up as they are read
    names: list = None       # of the images, in the loader's order; where --predictions asks for them
    labelled: bool = True


def main(argv=None):
    args = parse_args(argv)
    engine = create_engine(args.num_gpus)
    data = open_data(args)
    start_precision(args.dtype, args.use_amx)
    net, classes = saved_net(args, engine, data)
    tally, speed, best = evaluate(net, data, engine, args.dtype, classes)
    if args.predictions:
        atomic_write(args.predictions, "\n".join(lines_of(data.names, best)) + "\n")
    for line in report(args, net, data, tally, speed):
        print(line)
    if args.json:
        atomic_write(args.json, json.dumps(result(args, argv, net, data, tally, speed), indent=1) + "\n")
    return 0


# --- Data -----------------------------------------------------------------------------------------------------------

def open_data(args):
    """The validation images of --dataset, of record files or of class folders."""
    batch = args.batch_size * max(1, args.num_gpus)
    if args.dataset != "imagenet":
        data = open_cifar_test(find_cifar(args.dataset, args.data_dir, prepare), batch, args.num_workers,
                               args.normalisation)
        return Validation(data.val, data.path, "exact", data.classes, data.root_hash)
    bad = "leave out" if args.on_bad_record == "skip" else "fail"
    if args.rec_val:
        return open_records(args, batch, bad)
    folder = Path(args.data_dir or "~/.mxnet/datasets/imagenet").expanduser()
    images = FolderImages(folder / "val" if (folder / "val").is_dir() else folder, on_bad_record=bad)
    transform = ImagenetTestTransform(args.input_size, args.crop_ratio, args.rgb_mean or FOLDER_MEAN,
                                      args.rgb_std or FOLDER_STD)
    names = [f"{path.parent.name}/{path.name}" for path, _ in images.files] if args.predictions else None
    return Validation(PhotographLoader(images, transform, batch, None, "keep", args.num_workers), folder, "exact",
                      images.classes, "", images.bad, names)


def open_records(args, batch, bad):
    """A record file, checked against the manifest if one lies beside it."""
    rec, idx = args.rec_val, args.rec_val.with_suffix(".idx")
    if not rec.is_file():
        raise UserError(f"--rec-val {rec}: does not exist; make it with data_prep/imagenet.py")
    classes, labels, root_hash, labelled, manifest = None, None, "", True, None
    if (rec.parent / "manifest.json").is_file():
        manifest = read_manifest(rec.parent)
        _, labels = open_split(rec.parent, rec.stem, manifest)
        classes, root_hash = manifest.classes, manifest.root_hash
        labelled = manifest.splits[rec.stem].labelled
    if not labelled and not args.predictions:
        raise UserError(f"--rec-val {rec}: its images have no labels, so there is no accuracy; give --predictions FILE")
    mean, std = args.rgb_mean or RGB_MEAN, args.rgb_std or RGB_STD
    if args.data_backend == "mxnet":
        loader = ImageNetRecordIter(rec, idx, batch, False, args.input_size, args.crop_ratio, mean, std,
                                    args.num_workers, args.val_protocol)
        return Validation(loader, rec, args.val_protocol, classes, root_hash)
    images = RecordImages(rec, bad, labels)
    names = names_of_records(rec, images.reader.keys.tolist(), manifest) if args.predictions else None
    transform = ImagenetTestTransform(args.input_size, args.crop_ratio, mean, std)
    return Validation(PhotographLoader(images, transform, batch, None, "keep", args.num_workers), rec, "exact", classes,
                      root_hash, images.bad, names, labelled)


# --- Net ------------------------------------------------------------------------------------------------------------

def saved_net(args, engine, data):
    """`(net, classes)`: the net that the flags name, or the exported symbol of --deploy."""
    known = None if data.classes is None else len(data.classes)
    if not args.deploy:
        net, classes = open_net(args, engine, args.dtype, known)
        if not args.params_file and classes == 1000:
            check_synsets(data)
        return net, classes
    net = import_symbol(args.model_prefix, engine.ctx)
    classes = run_once(net, args, args.dtype, engine)
    if known not in (None, classes) or args.classes not in (None, classes):
        raise UserError(f"--model-prefix {args.model_prefix}: has {classes} outputs, "
                        + (f"--classes says {args.classes}" if known in (None, classes) else f"the data have {known}"))
    return net, classes


def check_synsets(data):
    """Refuse data whose labels are not those of GluonCV's weights, which number ILSVRC2012's classes by their wnids."""
    wnids = [wnid for wnid, _ in imagenet_synsets()]
    for label, (name, wnid) in enumerate(zip(data.classes or (), wnids)):
        if name.split()[0] != wnid:
            raise UserError(f"{data.path}: label {label} is {name!r} here but {wnid} to the published weights; give the "
                            f"folders the names of the wnids")


def params_path(args):
    """The parameter file that the user named, or None."""
    path = f"{args.model_prefix}-0000.params" if args.deploy else args.params_file
    return Path(path).expanduser() if path else None


# --- Counting -------------------------------------------------------------------------------------------------------

class Speed(NamedTuple):
    """Images per second from the end of the first batch to the end of the last; nan if there was but one."""
    images_per_s: float
    images: int
    seconds: float


def evaluate(net, data, engine, dtype, classes):
    """Show the net every image of `data`; `(Tally, Speed, best)`.

    `best` are the five best classes of each image where `data.names` wants them, an int array of shape (5,) for each.
    """
    tally, pending, best, start, first, seen = Tally(ROUNDING[dtype]), [], [], None, 0, 0

    def read():
        nonlocal start, first, seen
        for output, label in pending.pop(0):
            output, label = output.astype("float32").asnumpy(), label.asnumpy().astype(np.int64)
            tally.add(output, label)
            if data.names is not None:
                best.extend(best_classes(output))
            images = int((label >= 0).sum()) if data.labelled else len(label)
            seen += images
            bar.update(images)
        if start is None:                  # what the first batch brings about once, memory and kernels, is not timed
            start, first = time.perf_counter(), seen

    with tqdm(total=data.loader.records, unit="image", disable=None, dynamic_ncols=True) as bar:
        for batch in data.loader.epoch(0):
            pending.append(answers(net, batch, engine, dtype))
            if len(pending) > 1:           # one batch behind, so that the next one is computed meanwhile
                read()
        while pending:
            read()
        seconds = time.perf_counter() - start
    missing = data.loader.records - seen - len(data.bad)
    if data.protocol == "exact" and missing:
        raise UserError(f"{data.path}: {missing} of {data.loader.records} records have a label below 0")
    if not seen:
        raise UserError(f"{data.path}: no image decodes")
    timed = seen - first
    return tally, Speed(timed / seconds if timed else math.nan, timed, seconds), best


# --- What is said ---------------------------------------------------------------------------------------------------

def report(args, net, data, tally, speed):
    """The lines to print; the errors in GluonCV's words."""
    name, params = args.model or args.model_prefix, params_path(args)
    source = f"{params} (SHA-256 {sha256_of(params)[:16]}...)" if params else "GluonCV's published weights"
    parameters = sum(parameter.list_data()[0].size for parameter in net.collect_params().values())
    made = f", made and shown its images as {args.run_json} says" if args.run_json else ""
    yield f"{name}: {parameters:,} parameters with statistics, from {source}{made}"
    vouched = f"root hash {data.root_hash[:16]}..." if data.root_hash else "without a manifest, so nothing vouches for them"
    times = "each counted once" if data.protocol == "exact" else "MXNet's window over them, some counted twice"
    yield f"{data.loader.records} images of {data.path}, {vouched}; {times}"
    if args.run_root_hash not in (None, data.root_hash):
        yield f"note: the run had other data, root hash {args.run_root_hash[:16]}..."
    if data.bad:
        yield f"{len(data.bad)} images do not decode and are left out"
    if data.labelled:
        for k, correct, close in zip(TOP, tally.correct, tally.close):
            yield (f"top-{k}: correct {correct} of {tally.images}, {100 * correct / tally.images:.2f} %"
                   f" ({close} within rounding of a tie)")
        yield "validation: " + " ".join(f"err-top{k}={error:f}" for k, error in zip(TOP, tally.errors()))
    if args.predictions:
        yield f"predictions: the best classes of {len(data.names)} images, in {args.predictions}"
    if speed.images:
        yield (f"speed: {speed.images_per_s:.1f} images/s over {speed.images} images, decoding included, without the first "
               f"batch; {operator_threads()} operator threads, {args.num_workers} loader threads")
    else:
        yield "speed: not measured, for there was but one batch"


def result(args, argv, net, data, tally, speed):
    """The same as a dict, enough to repeat it."""
    params, words = params_path(args), ["python", "-m", "gluon_tricks", "evaluate", *(argv or [])]
    return {"command": shlex.join(words), "model": args.model, "params_file": str(params) if params else None,
            "params_sha256": sha256_of(params) if params else None,
            "data": {"path": str(data.path), "records": data.loader.records, "root_hash": data.root_hash,
                     "classes_sha256": classes_sha256(data.classes) if data.classes else "", "protocol": data.protocol,
                     "left_out": [data.bad[position] for position in sorted(data.bad)]},
            "images": tally.images,
            **{f"top{k}": {"correct": int(correct), "within_rounding": int(close), "err": error}
               for k, correct, close, error in zip(TOP, tally.correct, tally.close,
                                                   tally.errors() if data.labelled else ())},
            "predictions": {"path": str(args.predictions), "images": len(data.names),
                            "sha256": sha256_of(args.predictions)} if args.predictions else None,
            "speed": {"images_per_s": speed.images_per_s if speed.images else None, "images": speed.images,
                      "time_s": speed.seconds, "warmup_batches": 1},
            "args": {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()},
            **environment()}


# --- Flags ----------------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m gluon_tricks evaluate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    model = add_model_flags(parser)
    model.add_argument("--dtype", choices=tuple(ROUNDING),
                       help="float16 needs a GPU, bfloat16 a CPU (default: the run's if it can be, else float32)")
    model.add_argument("--deploy", action="store_true", help="evaluate what `export --format symbol` wrote")
    model.add_argument("--model-prefix", metavar="PREFIX", help="of the exported PREFIX-symbol.json, with --deploy")
    data = parser.add_argument_group("Data")
    data.add_argument("--dataset", choices=("imagenet", *DATASETS),
                      help="cifar10-excerpt is embedded: 500 test images (default: the run's, else imagenet)")
    data.add_argument("--data-dir", metavar="DIR",
                      help="class folders, or a folder with val/ and these in it (default ~/.mxnet/datasets/imagenet); with "
                           "another --dataset what data_prep/cifar.py or mnist.py wrote (default: the run's)")
    data.add_argument("--rec-dir", metavar="DIR", help="folder with val.rec and val.idx")
    data.add_argument("--use-rec", action="store_true", help="read --rec-val, as train_imagenet.py does")
    data.add_argument("--rec-val", metavar="FILE", help="record file, the index beside it (default "
                                                        "~/.mxnet/datasets/imagenet/rec/val.rec)")
    data.add_argument("--crop-ratio", type=float, default=0.875, help="images are resized to size / ratio (default 0.875)")
    add_normalisation_flags(data)
    data.add_argument("--val-protocol", choices=("exact", "gluoncv"), default="exact",
                      help="every image once, or MXNet's window over a record file, as in GluonCV's logs (default exact)")
    data.add_argument("--data-backend", choices=("ours", "mxnet"), default=None,
                      help="reader of record files (default ours; mxnet with --val-protocol gluoncv)")
    data.add_argument("--on-bad-record", choices=("fail", "skip"), default="fail",
                      help="skip: images that do not decode are named and left out of the count (default fail)")
    machine = parser.add_argument_group("Machine and output")
    machine.add_argument("--batch-size", type=int, help="images per device (default: the run's, else 32)")
    machine.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    machine.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                         help="threads that decode (default 4)")
    machine.add_argument("--predictions", metavar="FILE", help="also write a line for each image there: its name (or, if "
                         "records have none, its key) and the five best classes, best first")
    machine.add_argument("--json", metavar="FILE", help="also write counts, hashes, versions and the command there")
    args = parser.parse_args(argv)
    check_args(args)
    return args


def check_args(args):
    """Everything that can be wrong with a value by itself; completes what other flags decide."""
    if args.deploy != bool(args.model_prefix):
        raise UserError("--deploy and --model-prefix: give both or neither")
    if args.deploy:
        if args.params_file or args.pretrained or args.use_gn or args.model_kwargs:
            raise UserError("--deploy: the exported net has its parameters; leave --params-file, --pretrained, --use-gn, "
                            "--model-kwargs out")
        if args.dtype == "float16":
            raise UserError("--deploy --dtype float16: exported nets compute in float32 here; leave one out")
    settle_defaults(args)
    if args.deploy:
        args.model = args.model or Path(args.model_prefix).name
    at_least(args, {"batch_size": 1, "num_gpus": 0, "num_workers": 0})
    check_model_flags(args)
    if args.dtype == "float16" and not args.num_gpus:
        raise UserError("--dtype float16: MXNet 1.9.1 has no float16 convolution on CPUs; use --num-gpus, or bfloat16")
    if args.dtype == "bfloat16" and args.num_gpus:
        raise UserError("--dtype bfloat16: MXNet 1.9.1 computes it on CPUs only; use float16 on GPUs")
    if args.crop_ratio <= 0:               # as GluonCV's script falls back
        args.crop_ratio = 0.875
    check_data_flags(args)
    for flag in ("json", "predictions"):
        if getattr(args, flag):
            setattr(args, flag, Path(getattr(args, flag)).expanduser())
            make_folder(f"--{flag}", getattr(args, flag).parent)


def settle_defaults(args):
    """What the record of a run decides where the flags do not, and what nothing decides."""
    if args.rec_dir or args.rec_val or args.use_rec:
        if args.dataset not in (None, "imagenet"):
            raise UserError(f"--rec-val {args.rec_val or args.rec_dir}: leave --data-dir and --dataset out")
        args.dataset = "imagenet"
    run = settle_by_run(args, others=("imagenet",))
    args.dataset = args.dataset or "imagenet"
    is_runs = run is not None and args.dataset == run.dataset
    args.run_root_hash = run.root_hash if is_runs else None
    if is_runs and args.data_dir is None and run.data_dir and Path(run.data_dir).expanduser().is_dir():
        args.data_dir = run.data_dir
    args.batch_size = (run.batch_size if run else 32) if args.batch_size is None else args.batch_size
    args.use_amx = run.use_amx if run else True
    if args.dtype is None:
        args.dtype = run.dtype if run and run.dtype != ("bfloat16" if args.num_gpus else "float16") else "float32"
    if args.dataset in DATASETS:
        settle_normalisation(args, run)
        return
    if args.augment and not run:
        raise UserError(f"--augment {args.augment}: is for the data sets of train_cifar.py; use --rgb-mean and --rgb-std")
    for flag in ("rgb_mean", "rgb_std"):
        if getattr(args, flag):
            setattr(args, flag, per_channel(f"--{flag.replace('_', '-')}", getattr(args, flag)))


def check_data_flags(args):
    """Which data are meant, and by which reader; `rec_val` is a path afterwards, or None."""
    if args.rec_dir and (args.use_rec or args.rec_val):
        raise UserError("--rec-dir and --rec-val: give one")
    if args.rec_dir:
        args.rec_val = f"{args.rec_dir}/val.rec"
    elif args.use_rec:
        args.rec_val = args.rec_val or "~/.mxnet/datasets/imagenet/rec/val.rec"
    args.rec_val = Path(args.rec_val).expanduser() if args.rec_val else None
    if args.rec_val and args.data_dir:
        raise UserError(f"--rec-val {args.rec_val}: leave --data-dir and --dataset out")
    if not args.rec_val and (args.val_protocol == "gluoncv" or args.data_backend == "mxnet"):
        raise UserError("--val-protocol gluoncv, --data-backend mxnet: are for record files; give --rec-dir or --rec-val")
    if args.val_protocol == "gluoncv" and args.data_backend == "ours":
        raise UserError("--val-protocol gluoncv: is what MXNet's iterator does; leave --data-backend out")
    args.data_backend = args.data_backend or ("mxnet" if args.val_protocol == "gluoncv" else "ours")
    if args.on_bad_record == "skip" and (args.data_backend == "mxnet" or args.dataset != "imagenet"):
        raise UserError("--on-bad-record skip: needs --data-backend ours" if args.rec_val else
                        f"--on-bad-record skip: the images of {args.dataset} are checked as a whole")
    if args.predictions and (args.dataset != "imagenet" or args.data_backend == "mxnet" or args.on_bad_record == "skip"):
        raise UserError("--predictions: needs an answer for every image of record files or class folders; leave --dataset, "
                        "--data-backend mxnet, --val-protocol gluoncv and --on-bad-record skip out")
    known = DATASETS.get(args.dataset)
    if known and args.input_size != known.side:
        raise UserError(f"--input-size {args.input_size}: images of {args.dataset} have {known.side} x {known.side} pixels; "
                        f"leave it out")


if __name__ == "__main__":
    run_main(main, prog="evaluate")
