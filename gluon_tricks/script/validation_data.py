"""Flags that name the images of `evaluate`, and the images."""

from pathlib import Path

from gluon_tricks.data.cifar import find_cifar, open_cifar_test
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.folders import are_indices
from gluon_tricks.data.images import FolderImages, PhotographLoader, RecordImages
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.names import names_of_records, names_path
from gluon_tricks.errors import UserError
from gluon_tricks.saved.averaging import TEN_CROPS, check_views
from gluon_tricks.saved.counting import Validation
from gluon_tricks.saved.described import transform_of
from gluon_tricks.saved.names import WNID
from gluon_tricks.script.flags import completed
from gluon_tricks.script.prepare import prepare
from gluon_tricks.script.saved_flags import add_pixel_flags, add_tta_flag

# --- Flags --------------------------------------------------------------------------------------------------

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
    add_pixel_flags(data, with_dataset=False)
    add_tta_flag(data)
    data.add_argument("--real-labels", metavar="FILE",
                      help="the published real.json: also count by the reassessed labels of ImageNet's "
                           "validation images")
    data.add_argument("--val-protocol", choices=("exact", "gluoncv"), default="exact",
                      help="every image once, or MXNet's window over a record file, as in GluonCV's logs "
                           "(default exact)")
    data.add_argument("--data-backend", choices=("ours", "mxnet"), default=None,
                      help="reader of record files (default ours; mxnet with --val-protocol gluoncv)")
    data.add_argument("--on-bad-record", choices=("fail", "skip"), default="fail",
                      help="skip: images that do not decode are named and left out of the count (default "
                           "fail)")


def complete_data(args):
    """Check the data flags and choose the reader."""
    rec_val = args.rec_val
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
    if args.report and backend == "mxnet":
        raise UserError("--report: needs --data-backend ours, which says which image is which")
    if args.real_labels and (backend == "mxnet" or args.dataset != "imagenet"):
        other = "--data-backend mxnet" if backend == "mxnet" else f"--dataset {args.dataset}"
        raise UserError("--real-labels: are of ImageNet's validation images, whose names --data-backend ours "
                        f"knows; leave {other} out")
    if args.predictions:
        for flag, excluded in ((f"--dataset {args.dataset}", args.dataset != "imagenet"),
                               (f"--data-backend {backend}", backend == "mxnet"),
                               ("--on-bad-record skip", args.on_bad_record == "skip")):
            if excluded:
                raise UserError(f"--predictions: needs an answer for every image of record files or class "
                                f"folders; leave {flag} out")
    check_images(args, backend)
    return completed(args, data_backend=backend)


def check_images(args, backend):
    """Raise UserError for a preparation of the images that their reader does not have."""
    known, facts = DATASETS.get(args.dataset), args.saved.facts
    if known and facts.input_size != known.side:
        raise UserError(f"--input-size {facts.input_size}: images of {args.dataset} have {known.side} x "
                        f"{known.side} pixels; leave it out")
    if known and facts.crop_ratio != 1:
        raise UserError(f"--crop-ratio {facts.crop_ratio:g}: images of {args.dataset} are shown whole; leave "
                        "it out")
    check_views(args.tta, facts)
    if args.tta == TEN_CROPS and backend == "mxnet":
        raise UserError(f"--tta {args.tta}: needs --data-backend ours; MXNet's iterator gives the centre "
                        "only")


def rec_file(args):
    """The record file that --rec-dir, --rec-val or --use-rec names, or None."""
    if args.rec_dir and (args.use_rec or args.rec_val):
        raise UserError("--rec-dir and --rec-val: give one")
    named = f"{args.rec_dir}/val.rec" if args.rec_dir else args.rec_val
    if args.use_rec and not named:
        named = "~/.mxnet/datasets/imagenet/rec/val.rec"
    return Path(named).expanduser() if named else None


# --- Images -------------------------------------------------------------------------------------------------

def open_data(args):
    """The validation images of --dataset, of record files or of class folders."""
    batch, facts = args.batch_size * max(1, args.num_gpus), args.saved.facts
    if args.dataset in DATASETS:
        normalisation = [[value / 255 for value in values] for values in (facts.rgb_mean, facts.rgb_std)]
        data = open_cifar_test(find_cifar(args.dataset, args.data_dir, prepare), batch, args.num_workers,
                               normalisation)
        return Validation(data.val, data.path, "exact", data.classes, data.root_hash,
                          names=[f"test {number}" for number in range(data.val.records)])
    bad = "leave out" if args.on_bad_record == "skip" else "fail"
    if args.rec_val:
        return open_records(args, batch, bad)
    folder = Path(args.data_dir or "~/.mxnet/datasets/imagenet").expanduser()
    images = FolderImages(folder / "val" if (folder / "val").is_dir() else folder, on_bad_record=bad)
    loader = photograph_loader(args, images, batch)
    names = [f"{path.parent.name}/{path.name}" for path, _ in images.files] if named(args) else None
    classes, note = names_or_indices(args.saved, images.classes)
    return Validation(loader, folder, "exact", classes, bad=images.bad, names=names, note=note)


def names_or_indices(saved, classes):
    """`(class names, note)` of data: names that are class indices of the net, as in ImageNet-V2, are none.

    Names of their own that the net is known to have are not given up for indices, but for ImageNet's.
    """
    own = saved.certain_names(1000)
    if not classes or not are_indices(classes) or own and not all(map(WNID.match, own)):
        return classes, ""
    return None, f"classes are named 0 to {len(classes) - 1}: taken as the net's labels"


def photograph_loader(args, images, batch):
    """The loader of some `Images`, prepared as in the validation of the net."""
    transform = transform_of(args.saved.facts, args.tta == TEN_CROPS)
    return PhotographLoader(images, transform, batch, None, "keep", args.num_workers)


def named(args):
    """Whether the images' names are wanted."""
    return bool(args.predictions or args.report or args.real_labels)


def open_records(args, batch, bad):
    """A record file, checked against the manifest if one lies next to it."""
    rec, idx, facts = args.rec_val, args.rec_val.with_suffix(".idx"), args.saved.facts
    if not rec.is_file():
        raise UserError(f"--rec-val {rec}: does not exist; make it with data_prep/imagenet.py")
    classes, labels, root_hash, labelled, manifest, reader = None, None, "", True, None, rec
    if (rec.parent / "manifest.json").is_file():
        manifest = read_manifest(rec.parent)
        reader, labels = open_split(rec.parent, rec.stem, manifest)
        classes, root_hash = manifest.classes, manifest.root_hash
        labelled = manifest.splits[rec.stem].labelled
    for flag, is_given in (("--report", args.report), ("--real-labels", args.real_labels)):
        if not labelled and is_given:
            raise UserError(f"{flag}: the images of {rec} have no labels; give --predictions FILE instead")
    if not labelled and not args.predictions:
        raise UserError(f"--rec-val {rec}: its images have no labels, so there is no accuracy; give "
                        "--predictions FILE")
    if args.data_backend == "mxnet":
        if facts.crop != "center":
            raise UserError(f"--data-backend mxnet: has no crop of the law {facts.crop}, which the net was "
                            "validated with; use ours")
        loader = ImageNetRecordIter(rec, idx, batch, False, facts.input_size, facts.crop_ratio,
                                    facts.rgb_mean, facts.rgb_std, args.num_workers, args.val_protocol)
        return Validation(loader, rec, args.val_protocol, classes, root_hash)
    images = RecordImages(reader, bad, labels)
    names = names_of_records(rec, images.reader.keys.tolist(), manifest) if named(args) else None
    loader = photograph_loader(args, images, batch)
    classes, note = names_or_indices(args.saved, classes)
    return Validation(loader, rec, "exact", classes, root_hash, images.bad, names, labelled,
                      names_path(rec).is_file(), note)
