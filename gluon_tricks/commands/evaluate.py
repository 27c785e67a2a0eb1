"""The accuracy of saved parameters on a validation set: every image counted once.

    python -m gluon_tricks evaluate --params-file demo/params/cifar10-cifar_resnet20_v1-11.params
    python -m gluon_tricks evaluate --model resnet50_v1d --rec-dir ~/.mxnet/datasets/imagenet/rec \\
        --params-file params/imagenet-resnet50_v1d-119.params --json result.json
    python -m gluon_tricks evaluate --model resnet50_v1d --data-dir ~/.mxnet/datasets/imagenet -j 8
    python -m gluon_tricks evaluate --model resnet50_v1d --rec-val ~/.mxnet/datasets/places365/rec/test.rec \\
        --params-file params/places365-resnet50_v1d-119.params --predictions submission.txt

The first evaluates what `make demo` trained. Next to its parameters, train_cifar.py leaves a record of the
run, which names the net, the data and their normalisation; without a record, --model, --dataset and the other
flags do. The third uses GluonCV's published weights, as its verify_pretrained.py does without --params-file.
The fourth has images without labels and writes the five best classes of each.

An answer counts as top-k if fewer than k classes come before the label's: those with a higher output, and
those with an equal output and a lower index. MXNet adds numbers in another order for another batch size, so
the last bits of outputs differ; the number of answers so close to a tie that this could change them is
printed next to the count.
"""

import argparse
import json
import shlex
from pathlib import Path

from gluon_tricks.data.cifar import find_cifar, open_cifar_test
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.classes import imagenet_synsets
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
from gluon_tricks.recipes.data_paths import FOLDER_MEAN, FOLDER_STD
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.saved.counting import Validation, count_answers
from gluon_tricks.saved.net import import_symbol, open_net, run_once
from gluon_tricks.saved.predictions import lines_of
from gluon_tricks.saved.tally import ROUNDING, TOP
from gluon_tricks.script.flags import check_numbers, completed
from gluon_tricks.script.prepare import prepare
from gluon_tricks.script.saved_flags import (
    add_model_flags,
    add_normalisation_flags,
    complete_by_run,
    complete_model_flags,
    complete_normalisation,
    parse_normalisation,
    saved_net_of,
)


def main(argv=None):
    args = parse_args(argv)
    engine = create_engine(args.num_gpus)
    data = open_data(args)
    start_precision(args.dtype, args.use_amx)
    net = saved_net(args, engine, data)
    tally, speed, best = count_answers(net, data, engine, args.dtype)
    if args.predictions:
        atomic_write(args.predictions, "\n".join(lines_of(data.names, best)) + "\n")
    for line in report(args, net, data, tally, speed):
        print(line)
    if args.json:
        atomic_write(args.json, json.dumps(result(args, argv, data, tally, speed), indent=1) + "\n")
    return 0


# --- Data ---------------------------------------------------------------------------------------------------

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
    loader = PhotographLoader(images, transform, batch, None, "keep", args.num_workers)
    names = [f"{path.parent.name}/{path.name}" for path, _ in images.files] if args.predictions else None
    return Validation(loader, folder, "exact", images.classes, bad=images.bad, names=names)


def open_records(args, batch, bad):
    """A record file, checked against the manifest if one lies next to it."""
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
        raise UserError(f"--rec-val {rec}: its images have no labels, so there is no accuracy; give "
                        "--predictions FILE")
    mean, std = args.rgb_mean or RGB_MEAN, args.rgb_std or RGB_STD
    if args.data_backend == "mxnet":
        loader = ImageNetRecordIter(rec, idx, batch, False, args.input_size, args.crop_ratio, mean, std,
                                    args.num_workers, args.val_protocol)
        return Validation(loader, rec, args.val_protocol, classes, root_hash)
    images = RecordImages(rec, bad, labels)
    names = names_of_records(rec, images.reader.keys.tolist(), manifest) if args.predictions else None
    transform = ImagenetTestTransform(args.input_size, args.crop_ratio, mean, std)
    loader = PhotographLoader(images, transform, batch, None, "keep", args.num_workers)
    return Validation(loader, rec, "exact", classes, root_hash, images.bad, names, labelled)


# --- Net ----------------------------------------------------------------------------------------------------

def saved_net(args, engine, data):
    """The net that the flags name, or the exported symbol of --deploy."""
    data_classes = None if data.classes is None else len(data.classes)
    if not args.deploy:
        net, classes = open_net(saved_net_of(args), engine, args.dtype, data_classes)
        if not args.params_file and classes == 1000:
            check_synsets(data)
        return net
    net = import_symbol(args.model_prefix, engine.ctx)
    classes = run_once(net, saved_net_of(args), args.dtype, engine)
    for count, source in ((data_classes, "the data have"), (args.classes, "--classes says")):
        if count not in (None, classes):
            raise UserError(f"--model-prefix {args.model_prefix}: has {classes} outputs, {source} {count}")
    return net


def check_synsets(data):
    """Refuse data whose labels differ from those of GluonCV's weights: ILSVRC2012's classes in the order of
    wnids."""
    wnids = [wnid for wnid, _ in imagenet_synsets()]
    for label, (name, wnid) in enumerate(zip(data.classes or (), wnids)):
        if name.split()[0] != wnid:
            raise UserError(f"{data.path}: label {label} is {name!r} here but {wnid} to the published "
                            f"weights; give the folders the names of the wnids")


def params_path(args):
    """The parameter file that the user named, or None."""
    path = f"{args.model_prefix}-0000.params" if args.deploy else args.params_file
    return Path(path).expanduser() if path else None


# --- Results ------------------------------------------------------------------------------------------------

def report(args, net, data, tally, speed):
    """The lines to print; the errors in the form of GluonCV's log."""
    params = params_path(args)
    source = f"{params} (SHA-256 {sha256_of(params)[:16]}...)" if params else "GluonCV's published weights"
    parameters = sum(parameter.list_data()[0].size for parameter in net.collect_params().values())
    record = f"; net and images as recorded in {args.run_json}" if args.run_json else ""
    yield f"{args.model}: {parameters:,} parameters with statistics, from {source}{record}"
    checked = "without a manifest, so not checked"
    if data.root_hash:
        checked = f"root hash {data.root_hash[:16]}..."
    times = "each counted once" if data.protocol == "exact" else "by MXNet's window, some counted twice"
    yield f"{data.loader.records} images of {data.path}, {checked}; {times}"
    if args.run_root_hash not in (None, data.root_hash):
        yield f"note: the run had other data, root hash {args.run_root_hash[:16]}..."
    if getattr(data.loader, "left_out", ""):
        yield data.loader.left_out
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
        yield (f"speed: {speed.images_per_s:.1f} images/s over {speed.images} images, decoding included, "
               f"without the first batch; {operator_threads()} operator threads, {args.num_workers} loader "
               "threads")
    else:
        yield "speed: not measured, there was only one batch"


def result(args, argv, data, tally, speed):
    """The same as a dict, with all that is needed to repeat it."""
    params, words = params_path(args), ["python", "-m", "gluon_tricks", "evaluate", *(argv or [])]
    counts = {f"top{k}": {"correct": int(correct), "within_rounding": int(close), "err": error}
              for k, correct, close, error in zip(TOP, tally.correct, tally.close,
                                                  tally.errors() if data.labelled else ())}
    predictions = args.predictions and {"path": str(args.predictions), "images": len(data.names),
                                        "sha256": sha256_of(args.predictions)}
    file, digest = (str(params), sha256_of(params)) if params else (None, None)
    images = {"path": str(data.path), "records": data.loader.records, "root_hash": data.root_hash,
              "classes_sha256": classes_sha256(data.classes) if data.classes else "",
              "protocol": data.protocol, "left_out": [data.bad[position] for position in sorted(data.bad)]}
    timing = {"images_per_s": speed.images_per_s if speed.images else None, "images": speed.images,
              "time_s": speed.seconds, "warmup_batches": 1}
    flags = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    return {"command": shlex.join(words), "model": args.model, "params_file": file, "params_sha256": digest,
            "data": images, "images": tally.images, **counts, "predictions": predictions, "speed": timing,
            "args": flags, **environment()}


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    model = add_model_flags(parser)
    model.add_argument("--dtype", choices=tuple(ROUNDING),
                       help="float16 needs a GPU, bfloat16 a CPU (default: the run's if it can be, else "
                            "float32)")
    model.add_argument("--deploy", action="store_true", help="evaluate what `export --format symbol` wrote")
    model.add_argument("--model-prefix", metavar="PREFIX",
                       help="of the exported PREFIX-symbol.json, with --deploy")
    add_data_flags(parser.add_argument_group("Data"))
    machine = parser.add_argument_group("Machine and output")
    machine.add_argument("--batch-size", type=int, help="images per device (default: the run's, else 32)")
    machine.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    machine.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                         help="threads that decode (default 4)")
    machine.add_argument("--predictions", metavar="FILE",
                         help="also write a line for each image there: its name (or, if "
                         "records have none, its key) and the five best classes, best first")
    machine.add_argument("--json", metavar="FILE",
                         help="also write counts, hashes, versions and the command there")
    return settled(parser.parse_args(argv))


def add_data_flags(data):
    """The flags that name the images and their reader."""
    data.add_argument("--dataset", choices=("imagenet", *DATASETS),
                      help="cifar10-excerpt is embedded: 500 test images (default: the run's, else imagenet)")
    data.add_argument("--data-dir", metavar="DIR",
                      help="class folders, or a folder whose val/ has them (default "
                           "~/.mxnet/datasets/imagenet); with another --dataset what data_prep/cifar.py or "
                      "mnist.py wrote (default: the run's)")
    data.add_argument("--rec-dir", metavar="DIR", help="folder with val.rec and val.idx")
    data.add_argument("--use-rec", action="store_true", help="read --rec-val, as train_imagenet.py does")
    data.add_argument("--rec-val", metavar="FILE", help="record file, the index next to it (default "
                                                        "~/.mxnet/datasets/imagenet/rec/val.rec)")
    data.add_argument("--crop-ratio", type=float, default=0.875,
                      help="images are resized to size / ratio (default 0.875)")
    add_normalisation_flags(data)
    data.add_argument("--val-protocol", choices=("exact", "gluoncv"), default="exact",
                      help="every image once, or MXNet's window over a record file, as in GluonCV's logs "
                           "(default exact)")
    data.add_argument("--data-backend", choices=("ours", "mxnet"), default=None,
                      help="reader of record files (default ours; mxnet with --val-protocol gluoncv)")
    data.add_argument("--on-bad-record", choices=("fail", "skip"), default="fail",
                      help="skip: images that do not decode are named and left out of the count (default "
                           "fail)")


def settled(args):
    """The arguments, checked, and completed from the run's record and from each other."""
    check_numbers(args, COMMAND_FLAGS)
    check_deploy(args)
    args = complete_defaults(args)
    if args.deploy and not args.model:
        args = completed(args, model=Path(args.model_prefix).name)
    args = complete_model_flags(args)
    if args.dtype == "float16" and not args.num_gpus:
        raise UserError("--dtype float16: MXNet 1.9.1 has no float16 convolution on CPUs; use --num-gpus, or "
                        "bfloat16")
    if args.dtype == "bfloat16" and args.num_gpus:
        raise UserError("--dtype bfloat16: MXNet 1.9.1 computes it on CPUs only; use float16 on GPUs")
    if args.crop_ratio == 0:               # as GluonCV's script does
        args = completed(args, crop_ratio=0.875)
    args = complete_data(args)
    files = {flag: Path(getattr(args, flag)).expanduser() for flag in ("json", "predictions")
             if getattr(args, flag)}
    for flag, path in files.items():
        make_folder(f"--{flag}", path.parent)
    return completed(args, **files)


def check_deploy(args):
    """Check the flags that --deploy needs or excludes."""
    if args.deploy != bool(args.model_prefix):
        raise UserError("--deploy and --model-prefix: give both or neither")
    if not args.deploy:
        return
    for flag in ("params_file", "pretrained", "use_gn", "model_kwargs"):
        if getattr(args, flag):
            raise UserError(f"--{flag.replace('_', '-')}: is part of the exported net of --deploy; leave it "
                            "out")
    if args.dtype == "float16":
        raise UserError("--dtype float16: exported nets of --deploy compute in float32; leave one flag out")


def complete_defaults(args):
    """Fill in what the record of a run decides where the flags do not, then the defaults."""
    if args.rec_dir or args.rec_val or args.use_rec:
        if args.dataset not in (None, "imagenet"):
            raise UserError(f"--rec-val {args.rec_val or args.rec_dir}: leave --data-dir and --dataset out")
        args = completed(args, dataset="imagenet")
    args, run = complete_by_run(args, other_datasets=("imagenet",))
    dataset = args.dataset or "imagenet"
    is_runs_data = run is not None and dataset == run.dataset
    data_dir = args.data_dir
    if is_runs_data and data_dir is None and run.data_dir and Path(run.data_dir).expanduser().is_dir():
        data_dir = run.data_dir
    dtype, batch_size, use_amx = (run.dtype, run.batch_size, run.use_amx) if run else ("float32", 32, True)
    if dtype == ("bfloat16" if args.num_gpus else "float16"):              # which this machine cannot compute
        dtype = "float32"
    if args.batch_size is not None:
        batch_size = args.batch_size
    args = completed(args, dataset=dataset, data_dir=data_dir,
                   run_root_hash=run.root_hash if is_runs_data else None,
                   batch_size=batch_size, use_amx=use_amx, dtype=args.dtype or dtype)
    if dataset in DATASETS:
        return complete_normalisation(args, run)
    if args.augment and not run:
        raise UserError(f"--augment {args.augment}: is for the data sets of train_cifar.py; use --rgb-mean "
                        "and --rgb-std")
    return parse_normalisation(args)


def complete_data(args):
    """Check the data flags and choose the reader; `rec_val` is then a path or None."""
    rec_val = rec_file(args)
    if rec_val and args.data_dir:
        raise UserError(f"--rec-val {rec_val}: leave --data-dir and --dataset out")
    for flag, value, only_records in (("--val-protocol", args.val_protocol, "gluoncv"),
                                      ("--data-backend", args.data_backend, "mxnet")):
        if value == only_records and not rec_val:
            raise UserError(f"{flag} {value}: is for record files; give --rec-dir or --rec-val")
    is_window = args.val_protocol == "gluoncv"
    if is_window and args.data_backend == "ours":
        raise UserError("--val-protocol gluoncv: is what MXNet's iterator does; leave --data-backend out")
    backend = args.data_backend or ("mxnet" if is_window else "ours")
    if args.on_bad_record == "skip":
        if backend == "mxnet":
            raise UserError("--on-bad-record skip: needs --data-backend ours")
        if args.dataset != "imagenet":
            raise UserError(f"--on-bad-record skip: the images of {args.dataset} are checked as a whole")
    if args.predictions:
        for flag, excluded in ((f"--dataset {args.dataset}", args.dataset != "imagenet"),
                               (f"--data-backend {backend}", backend == "mxnet"),
                               ("--on-bad-record skip", args.on_bad_record == "skip")):
            if excluded:
                raise UserError(f"--predictions: needs an answer for every image of record files or class "
                                f"folders; leave {flag} out")
    known = DATASETS.get(args.dataset)
    if known and args.input_size != known.side:
        raise UserError(f"--input-size {args.input_size}: images of {args.dataset} have {known.side} x "
                        f"{known.side} pixels; leave it out")
    return completed(args, rec_val=rec_val, data_backend=backend)


def rec_file(args):
    """The record file that --rec-dir, --rec-val or --use-rec names, or None."""
    if args.rec_dir and (args.use_rec or args.rec_val):
        raise UserError("--rec-dir and --rec-val: give one")
    named = f"{args.rec_dir}/val.rec" if args.rec_dir else args.rec_val
    if args.use_rec and not named:
        named = "~/.mxnet/datasets/imagenet/rec/val.rec"
    return Path(named).expanduser() if named else None


if __name__ == "__main__":
    run_main(main, prog="evaluate")
