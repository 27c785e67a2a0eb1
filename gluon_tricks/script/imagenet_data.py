"""The images of train_imagenet.py, from its flags: --synthetic, record files or class folders."""


import functools
from pathlib import Path

from gluon_tricks.data.dali import DaliLoader
from gluon_tricks.data.imagenet import ImagenetData, SyntheticLoader, folder_images, image_loaders
from gluon_tricks.data.images import RecordImages
from gluon_tricks.data.label_check import check_labels, label_warnings
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.recordio import RecordReader, rebuild_command
from gluon_tricks.data.scan_memory import labels_of
from gluon_tricks.errors import UserError
from gluon_tricks.script.flags import (
    flag_name,
    global_batch_size,
    local_batch_size,
)
from gluon_tricks.script.imagenet_flags import RECORD_PATHS, RECORD_SETS, data_path


def open_data(args, engine):
    """This process's share of the data, from --synthetic, record files or class folders: `ImagenetData`."""
    share = {"rank": engine.rank, "world_size": engine.world_size}
    path = data_path(args)
    if path == "synthetic":
        return synthetic_data(args, share)
    return folder_data(args, share) if path == "folders" else record_data(args, share)


def synthetic_data(args, share):
    """Random images."""
    batch, size, classes = local_batch_size(args), args.input_size, args.classes or 1000
    train = SyntheticLoader(args.num_training_samples, batch, size, classes, **share)
    val = SyntheticLoader(batch * share["world_size"], batch, size, classes, 1, **share)
    return ImagenetData(train, val, classes, "synthetic", lambda: val)


def folder_data(args, share):
    """The images of --data-dir."""
    train, val = folder_images(args.data_dir)
    classes = class_count(args, len(train.classes))
    warnings = [*label_warnings(train.label_counts(), val.label_counts(), classes), *order_warnings(train)]
    check_size(args, len(train))
    train, val = this_kits_loaders(args, train, val, "folder", share)
    return ImagenetData(train, val, classes, "", lambda: val, tuple(warnings), val.images.classes)


def order_warnings(images):
    """A sentence if GluonCV would number the class folders otherwise."""
    if images.classes != sorted(images.classes):
        yield (f"class folders are numbers, so labels follow their value ({', '.join(images.classes[:3])}, "
               "...); GluonCV sorts them as text")


def record_data(args, share):
    """The images of record files; their labels are checked before any is decoded."""
    for flag in RECORD_PATHS:
        check_record_file(args, flag)
    readers, manifest = open_records(args)
    classes = class_count(args, len(manifest.classes) if manifest else None)
    counts = []
    for reader in readers:
        labels = labels_of(reader)
        check_labels(reader, labels, classes)
        if labels.damaged and args.on_bad_record == "fail":
            raise UserError(labels.damaged[0][1])
        counts.append(labels)
    check_size(args, counts[0].records)
    warnings = [*label_warnings(counts[0].counts, counts[1].counts, classes),
                *(f"--rec-{part}-idx {getattr(args, f'rec_{part}_idx')}: lists {labels.records} records; "
                  f"{labels.uncovered} bytes of the record file belong to none of them"
                  for part, labels in zip(("train", "val"), counts) if labels.uncovered)]
    train, val, exact = record_backend(args, readers, share)
    names, root_hash = (manifest.classes, manifest.root_hash) if manifest else (None, "")
    return ImagenetData(train, val, classes, root_hash, exact, tuple(warnings), names)


def check_record_file(args, flag):
    """Raise UserError if the file of a --rec-* flag does not exist."""
    path = rec_path(args, flag)
    if path.is_file():
        return
    remedy = f"make it with {RECORD_SETS[args.dataset].prepared_by}"
    if args.rec_dir:
        remedy = "data_prep/folder.py writes it, val.rec with --val-share or from a folder val/"
    if flag.endswith("_idx"):
        remedy = f"make it from the record file with {rebuild_command(rec_path(args, flag[:-4]), path)}"
    raise UserError(f"{flag_name(flag)} {getattr(args, flag)}: does not exist; {remedy}")


def this_kits_loaders(args, train, val, law, share):
    """Loaders over two `Images`; `law` is that of the crops without --crop-law."""
    return image_loaders(train, val, local_batch_size(args), args.seed, args.input_size, args.crop_ratio,
                         args.rgb_mean, args.rgb_std, args.num_workers, args.crop_law or law, args.colors,
                         args.auto_aug, **share)


def record_backend(args, readers, share):
    """`(train, val, exact)`: loaders over record files; `exact()` returns the exact validation loader."""
    batch, pixels = local_batch_size(args), (args.input_size, args.crop_ratio, args.rgb_mean, args.rgb_std)
    if args.data_backend == "ours":
        images = (RecordImages(reader, args.on_bad_record) for reader in readers)
        train, val = this_kits_loaders(args, *images, "rec", share)
        return train, val, lambda: val
    if args.data_backend.startswith("dali"):
        size, crop_ratio, mean, std = pixels
        make = functools.partial(DaliLoader, batch_size=batch, decode_on=args.data_backend[-3:],
                                 num_gpus=args.num_gpus, size=size, crop_ratio=crop_ratio, mean=mean, std=std,
                                 prefetch_queue=args.dali_prefetch_queue,
                                 nvjpeg_padding=args.dali_nvjpeg_memory_padding,
                                 fuse_decoder=args.dali_fuse_decoder)
        val = make(rec_path(args, "rec_val"), rec_path(args, "rec_val_idx"), train=False,
                   num_threads=args.dali_validation_threads)
        return (make(rec_path(args, "rec_train"), rec_path(args, "rec_train_idx"), train=True,
                     num_threads=args.dali_threads), val, lambda: val)

    def record_iter(part, protocol):
        return ImageNetRecordIter(rec_path(args, f"rec_{part}"), rec_path(args, f"rec_{part}_idx"), batch,
                                  part == "train", *pixels, args.num_workers, protocol, **share)

    protocol = args.val_protocol or "gluoncv"
    val = record_iter("val", protocol)
    exact = (lambda: val) if val.protocol == "exact" else functools.cache(lambda: record_iter("val", "exact"))
    return record_iter("train", protocol), val, exact


def rec_path(args, flag):
    return Path(getattr(args, flag)).expanduser()


def open_records(args):
    """Readers of the training and validation records, and the manifest next to them, after a check of both.

    The manifest is None for records of other tools.
    """
    readers, manifests = [], {}
    for part in ("train", "val"):
        rec, idx = rec_path(args, f"rec_{part}"), rec_path(args, f"rec_{part}_idx")
        if (rec.parent / "manifest.json").is_file():
            manifests[part] = read_manifest(rec.parent)
            readers.append(open_split(rec.parent, rec.stem, manifests[part], idx)[0])
        else:
            readers.append(RecordReader(rec, idx))
    if len({manifest.classes_sha256 for manifest in manifests.values()}) > 1:
        raise UserError(f"--rec-val {args.rec_val}: its labels follow another list of classes than those of "
                        f"--rec-train {args.rec_train} (the SHA-256 in their manifests differs); prepare "
                        f"both in one run")
    return readers, manifests.get("train")


def class_count(args, stated):
    """The number of classes: that of --classes or of the data (None where they do not state it), or 1000."""
    if args.classes and stated and stated != args.classes:
        raise UserError(f"--classes {args.classes}: the data have {stated}")
    return args.classes or stated or 1000


def check_size(args, images):
    """Raise UserError for a training set whose number of images does not fit the flags."""
    if global_batch_size(args) > images:
        raise UserError(f"--batch-size: {global_batch_size(args)} images over all devices, but the training "
                        f"set has {images}")
    if args.num_training_samples != images:
        raise UserError(f"--num-training-samples {args.num_training_samples}: the training set has {images}; "
                        f"the schedule uses this flag, so give --num-training-samples {images}")
