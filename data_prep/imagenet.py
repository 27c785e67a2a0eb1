"""ImageNet (ILSVRC2012) from the publisher's archives, or from class folders, to RecordIO with a manifest.

    python data_prep/imagenet.py --train-tar ILSVRC2012_img_train.tar --val-tar ILSVRC2012_img_val.tar --out /data/rec
    python data_prep/imagenet.py --train-dir /data/train --val-dir /data/val --resize 480 --out /data/rec-480
    python data_prep/imagenet.py --train-dir /data/imagenette2/train --val-dir /data/imagenette2/val --subset \\
        --classes found --out /data/imagenette-rec

Writes train.rec, train.idx, val.rec, val.idx, a table of record hashes for each, and manifest.json. Nothing is extracted:
the disk holds the archives and the output. Stop it as you like; the same command goes on, and ends with the same root
hash as an undisturbed run, whatever the number of threads. `python -m data_prep.verify DIR` recomputes everything.

Images keep their bytes unless --resize is given; every one is decoded, to see that it can be. Labels are 0 to 999 in the
order of the WordNet ids; the training set is shuffled, the validation set stands in the order of its file names.
"""

import argparse
import collections
import hashlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import gluon_tricks
from data_prep.image_check import MOST_BYTES, process
from data_prep.imagenet_sources import Archive, Folder, devkit_val_wnids, list_images, published_val_wnids
from data_prep.packing import finished_split, make_record, open_journal, pack_split, progress
from gluon_tricks.compat import visible_cpus
from gluon_tricks.data.classes import imagenet_synsets
from gluon_tricks.data.manifest import Manifest, classes_sha256, read_manifest, write_manifest
from gluon_tricks.data.paths import default_record_dir
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import only_writer
from gluon_tricks.randomness import packing_order

PUBLISHED_CLASSES = 1000
PUBLISHED_COUNTS = {"train": 1281167, "val": 50000}
PUBLISHED_PER_CLASS = {"val": 50}
PUBLISHED_MD5 = {"--train-tar": "1d675b47d978889d74fa0da5fadfb00e", "--val-tar": "29b22e2961454d5413ddabcf34fc5622",
                 "--devkit": "fa75699e90414af021442c21a62c3abf"}
MOST_SHOWN = 40                    # images named at the end; the manifest has all


def main(argv=None):
    args = parse_args(argv)
    out = make_folder(Path(args.out).expanduser())
    cv2.setNumThreads(1)                                            # the threads here take one image each
    splits, classes = find_images(args)                             # where every image lies, and its label
    for name, images in splits.items():
        check_images(name, images, args)                            # published counts, nothing that is no image
    with only_writer(out):
        journal = open_journal(out, request_of(args, splits, classes), list(splits), args.overwrite)
        if journal is None:
            return already_prepared(out)
        check_space(out, splits, journal, args)
        more = {"--devkit": Path(args.devkit)} if args.devkit else None
        sources = hash_sources(args, splits, journal, more=more)    # published MD5s
        packed = {name: pack(name, images, classes, journal, args) for name, images in splits.items()}
        manifest = Manifest("imagenet", named(classes), sources, packed, gluon_tricks.__version__,
                            subset="given as a subset, counts not checked" if args.subset else "", options=journal.request)
        write_manifest(out, manifest)
        journal.remove()
    report(out, manifest)
    return 0


# --- what there is ------------------------------------------------------------------------------------------------

def find_images(args):
    """`{"train": Images, "val": Images}`, or one of them, and the classes in label order."""
    train = Archive("--train-tar", args.train_tar) if args.train_tar else \
        Folder("--train-dir", args.train_dir) if args.train_dir else None
    val = Archive("--val-tar", args.val_tar) if args.val_tar else \
        Folder("--val-dir", args.val_dir) if args.val_dir else None
    # The kit's own list labels the archive. A flat folder may hold anything under these names, and needs the publisher's.
    val_wnids = devkit_val_wnids(args.devkit) if args.devkit else published_val_wnids() if args.val_tar else None
    classes = [wnid for wnid, _ in imagenet_synsets()] if args.classes == "ilsvrc2012" else None
    splits = {}
    if train:
        splits["train"], classes = list_images(train, classes)
    if val:
        splits["val"], classes = list_images(val, classes, val_wnids)
    return splits, classes


def named(classes):
    """`"n01440764 tench"` of each class; other classes than ILSVRC2012's keep the name of their folder."""
    known = dict(imagenet_synsets())
    return [f"{wnid} {known[wnid]}" if wnid in known else wnid for wnid in classes]


def check_images(name, images, args):
    """As many images and classes as published, unless --subset; no other files, if errors are to end the run."""
    if not args.subset:
        classes, counts = np.unique(images.labels, return_counts=True)
        per_class = PUBLISHED_PER_CLASS.get(name)
        remedy = "is the download complete? Give --subset if this is meant"
        if (len(images), len(classes)) != (PUBLISHED_COUNTS[name], PUBLISHED_CLASSES):
            raise UserError(f"{images.source}: {len(images)} images in {len(classes)} classes, published "
                            f"{PUBLISHED_COUNTS[name]} in {PUBLISHED_CLASSES}; {remedy}")
        if per_class and counts.min() != per_class:
            raise UserError(f"{images.source}: class {classes[counts.argmin()]} has {counts.min()} images, published "
                            f"{per_class} of each; {remedy}")
    if images.strays and args.on_error == "fail":
        raise UserError(f"{images.source}: {images.strays[0]}: no image by its name ({len(images.strays)} such members); "
                        f"--on-error skip leaves them out")


# --- where it goes ------------------------------------------------------------------------------------------------

def make_folder(out):
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").touch()
        (out / ".writable").unlink()
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written to ({error.strerror})") from error
    return out


def request_of(args, splits, classes):
    """What decides the records; an interrupted preparation is only taken up for the same."""
    return {"source": "ImageNet", "images": {name: images.sha256() for name, images in splits.items()},
            "classes": classes_sha256(classes), "shuffle_seed": args.seed if args.shuffle else None, "resize": args.resize,
            "quality": args.quality, "verify": args.verify, "on_error": args.on_error}


def already_prepared(out, dataset="imagenet"):
    print(f"{out}: {dataset} is prepared already, root hash {read_manifest(out).root_hash}; "
          f"check it with python -m data_prep.verify {out}, or give --overwrite")
    return 0


def check_space(out, splits, journal, args):
    """Refuse at once what would fill the disk in hours. How large resized images become is not known beforehand."""
    if args.resize:
        return
    written = sum(state["bytes"] for state in journal.progress.values())
    written += sum(split["rec_bytes"] for split in journal.splits.values())
    needed = sum(int(images.sizes.sum()) + 120 * len(images) for images in splits.values()) - written
    free = shutil.disk_usage(out).free
    if needed > free:
        raise UserError(f"--out {out}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free; choose another disk, "
                        f"or give --resize")


# --- the work -----------------------------------------------------------------------------------------------------

def hash_sources(args, splits, journal, published=None, more=None):
    """SHA-256 of each archive, whose MD5 must be the published one; `more` are further archives, by flag."""
    paths = {images.source.flag: images.source.path for images in splits.values()}
    paths.update({flag: path.expanduser() for flag, path in (more or {}).items()})
    hashes = {}
    for flag, path in paths.items():
        hashes[path.name] = ""
        if path.is_dir() or args.no_checksum:
            continue
        status = path.stat()
        state = [str(path.resolve()), status.st_size, status.st_mtime_ns]
        if journal.archives.get(flag, {}).get("state") != state:
            journal.archives[flag] = {"state": state, **hash_archive(path)}
            journal.save()
        found = journal.archives[flag]
        wanted = (published or PUBLISHED_MD5)[flag]
        if found["md5"] != wanted:
            raise UserError(f"{flag} {path}: MD5 {found['md5']}, published {wanted}: the download is damaged "
                            f"or another file; get it again, or give --no-checksum")
        hashes[path.name] = found["sha256"]
    return hashes


def hash_archive(path):
    digests = {"md5": hashlib.md5(), "sha256": hashlib.sha256()}
    with open(path, "rb") as stream, progress(path.stat().st_size, f"checking {path.name}", "B") as bar, \
            ThreadPoolExecutor(2) as pool:
        while chunk := stream.read(1 << 22):
            list(pool.map(lambda digest, chunk=chunk: digest.update(chunk), digests.values()))
            bar.update(len(chunk))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def pack(name, images, classes, journal, args, published=None):
    """Write one split, or what an interrupted run has not written of it."""
    split = finished_split(journal, name)
    if split:
        return split
    shuffle = args.shuffle and name == "train"
    order = packing_order(args.seed, len(images)) if shuffle else np.arange(len(images))

    def make(number):
        member = images.describe(number)
        if images.sizes[number] > MOST_BYTES:
            image, problem = None, f"too large ({images.sizes[number]} bytes)"
        else:
            image, problem = process(member, images.read(number), args.verify, args.on_error, args.resize, args.quality)
        return make_record(member, number, int(images.labels[number]), image, problem)

    published = published or PUBLISHED_COUNTS

    def accept(made):
        where = f"{images.source}: {made.name}: {made.problem}"
        if made.problem and args.on_error == "fail":
            raise UserError(f"{where}; --on-error skip leaves such images out, --on-error repair mends CMYK and PNG; "
                            f"either goes on from here")
        if not made.record and args.on_error == "repair" and not args.subset:
            raise UserError(f"{where}: this cannot be repaired, and without it there are fewer than the published "
                            f"{published[name]} images; get the archive again, or give --subset to do without it")

    try:
        writer = pack_split(journal, name, order, images.sizes, make, accept, args.num_thread, args.journal_seconds)
        assert writer.done == len(images)
        writer.left_out += [f"{stray}: no image by its name" for stray in images.strays]
        return writer.finish(named(classes), order="shuffled" if shuffle else "by file name",
                             shuffle_seed=args.seed if shuffle else None, encoding=describe_encoding(args))
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command goes on from here") from None
    except OSError as error:
        raise UserError(f"--out {journal.folder}: {error.strerror}; once that is mended the same command goes on") from error


def describe_encoding(args):
    return f"shorter edge {args.resize}, JPEG quality {args.quality}" if args.resize else "as in the source"


# --- what was done ------------------------------------------------------------------------------------------------

def report(out, manifest, published=None, classes=None):
    published, classes = published or PUBLISHED_COUNTS, classes or PUBLISHED_CLASSES
    for name, split in manifest.splits.items():
        counts = [count for count in split.per_class if count]
        labels = (f"{len(counts)} classes (published {classes}) of {min(counts, default=0)} to {max(counts, default=0)}"
                  if split.labelled else "no labels")
        print(f"{name}.rec: {split.records} records (published {published[name]}), {labels}, "
              f"{split.rec_bytes / 1e6:.1f} MB, {split.encoding}, order: {split.order}"
              + (f" with seed {split.shuffle_seed}" if split.shuffle_seed is not None else ""))
        for what, members in (("repaired", split.repaired), ("left out", split.left_out)):
            if members:
                reasons = collections.Counter(member.rsplit(": ", 1)[1].split(" (")[0] for member in members)
                print(f"  {len(members)} {what}: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items()))
                for member in members[:MOST_SHOWN]:
                    print(f"    {member}")
                if len(members) > MOST_SHOWN:
                    print(f"    ... and {len(members) - MOST_SHOWN} more in manifest.json")
    print(f"{out}: {manifest.dataset}, root hash {manifest.root_hash}")


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read = parser.add_argument_group("what is read (one of the two sets alone will do)")
    for name, archive in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar")):
        either = read.add_mutually_exclusive_group()
        either.add_argument(f"--{name}-tar", metavar="TAR", help=f"the publisher's {archive}")
        either.add_argument(f"--{name}-dir", metavar="DIR", help="folder of class folders, as n01440764/*.JPEG")
    read.add_argument("--devkit", metavar="TAR",
                      help="ILSVRC2012_devkit_t12.tar.gz: take the validation labels from it, not from the kit's own list; "
                           "--val-dir may then be a flat folder")
    read.add_argument("--classes", choices=("ilsvrc2012", "found"), default="ilsvrc2012",
                      help="a label is the place in the list of the 1000 classes, or (with --subset) in the sorted list of "
                           "those found in the training set; default %(default)s")
    read.add_argument("--subset", action="store_true", help="accept other counts than the published ones")
    read.add_argument("--no-checksum", action="store_true",
                      help="do not read the archives through for MD5, which must be the published one, and SHA-256")

    written = parser.add_argument_group("what is written")
    written.add_argument("--out", metavar="DIR", default=default_record_dir("imagenet"), help="default %(default)s")
    written.add_argument("--overwrite", action="store_true", help="replace what the output folder holds")
    written.add_argument("--verify", choices=("none", "header", "full"), default="full",
                         help="look at no image, at the first and last bytes of each, or decode it; default %(default)s")
    written.add_argument("--on-error", choices=("fail", "skip", "repair"), default="repair",
                         help="a faulty image ends the run, is left out, or is encoded anew as RGB JPEG (repair: CMYK, and "
                              "PNG under a JPEG's name, of which the published archives hold 23); what cannot be repaired "
                              "ends the run, or is left out with --subset; default %(default)s")
    written.add_argument("--journal-seconds", type=float, default=5, metavar="S",
                         help="how often the work is synced to disk, and so what a kill costs; default %(default)s")

    im2rec = parser.add_argument_group("as in MXNet's im2rec")
    im2rec.add_argument("--resize", type=int, default=0, metavar="N",
                        help="scale the shorter edge to N and encode anew; default: images keep their bytes")
    im2rec.add_argument("--quality", type=int, default=95, metavar="Q", help="of JPEGs encoded here; default %(default)s")
    im2rec.add_argument("--num-thread", type=int, default=visible_cpus(), metavar="N",
                        help="threads that read, check and encode; default: one for each CPU, %(default)s")
    im2rec.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=True,
                        help="order of the training set; without, it is that of the file names, class after class")
    im2rec.add_argument("--seed", type=int, default=0, help="of the shuffled order; default %(default)s")
    args = parser.parse_args(argv)
    if not any((args.train_tar, args.train_dir, args.val_tar, args.val_dir)):
        raise UserError("give --train-tar or --train-dir, --val-tar or --val-dir")
    if args.classes == "found" and not args.subset:
        raise UserError("--classes found: other classes than the published ones are a subset; give --subset, too")
    for flag, value, least, most in (("--resize", args.resize, 0, 65500), ("--quality", args.quality, 1, 100),
                                     ("--num-thread", args.num_thread, 1, 1024), ("--seed", args.seed, 0, 2**63 - 1),
                                     ("--journal-seconds", args.journal_seconds, 0, 86400)):
        if not least <= value <= most:
            raise UserError(f"{flag} {value}: must be from {least} to {most}")
    return args


if __name__ == "__main__":
    run_main(main)
