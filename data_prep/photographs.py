"""The preparation that ImageNet and Places365 share: check sources, pack images, write the manifest."""

import argparse
import collections
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

import gluon_tricks
from data_prep.archives import check_digests, digests_of
from data_prep.common import add_check_flags, add_overwrite_flag, print_prepared, subset_note
from data_prep.image_check import process
from data_prep.packing import finished_split, make_record, open_journal, pack_split
from gluon_tricks.compat import visible_cpus
from gluon_tricks.data.encoded import MOST_BYTES
from gluon_tricks.data.manifest import Manifest, classes_sha256, write_manifest
from gluon_tricks.data.names import names_path, names_sha256
from gluon_tricks.data.paths import default_record_dir
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write, make_folder, only_writer
from gluon_tricks.randomness import packing_order

MOST_SHOWN = 40                    # images named at the end; the manifest has all
LIMITS = {"resize": (0, 65500), "quality": (1, 100), "num_thread": (1, 1024), "seed": (0, 2**63 - 1),
          "journal_seconds": (0, 86400)}


@dataclass(frozen=True)
class Published:
    """The publisher's facts about a data set; of one's own images nothing is published."""
    source: str                # name in the manifest's options
    classes: int               # None for one's own
    counts: dict               # split -> images
    md5: dict                  # flag -> MD5 of its archive


@dataclass(frozen=True)
class Options:
    """How images are packed; the fields are the values of the flags of `add_packing_flags`."""
    out: Path
    overwrite: bool
    subset: bool
    no_checksum: bool
    verify: str
    on_error: str
    journal_seconds: float
    num_thread: int
    shuffle: bool
    seed: int
    resize: int = 0            # shorter edge in pixels; 0 keeps the images' own bytes
    quality: int = 95

    @property
    def encoding(self):
        """The manifest's description."""
        if self.resize:
            return f"shorter edge {self.resize}, JPEG quality {self.quality}"
        return "as in the source"


@dataclass(frozen=True)
class DataSet:
    """What was found in the sources.

    `splits` maps a name to its `Images`, `classes` are the labels' names for the request, `class_names` those
    in the manifest. `archives` are further files to check: flag -> path. `names` has the file names of splits
    whose records need them, one for each key.
    """
    name: str
    splits: dict
    classes: list
    class_names: list
    archives: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)


def prepare(data, options, published):
    """Pack all splits and write the manifest, or report that this was done before; the exit code."""
    cv2.setNumThreads(1)                                   # each thread here works on an image of its own
    out = make_folder("--out", options.out)
    with only_writer(out):
        journal = open_journal(out, request_of(data, options, published), list(data.splits),
                               options.overwrite)
        if journal is None:
            return print_prepared(out)
        check_space(out, data.splits, journal, options.resize)
        sources = hash_sources(data, journal, options.no_checksum, published.md5)
        packed = {name: pack(name, images, data.class_names, journal, options, published.counts.get(name))
                  for name, images in data.splits.items()}
        manifest = Manifest(data.name, data.class_names, sources, packed, gluon_tricks.__version__,
                            subset=subset_note(options.subset and published.counts), options=journal.request)
        for name, files in data.names.items():
            atomic_write(names_path(out / f"{name}.rec"), "\n".join(files) + "\n")
        write_manifest(out, manifest)
        journal.remove()
    report(out, manifest, published)
    return 0


def request_of(data, options, published):
    """The facts that decide the records; an interrupted preparation continues only with the same ones."""
    request = {"source": published.source,
               "images": {name: images.sha256() for name, images in data.splits.items()},
               "classes": classes_sha256(data.classes),
               "shuffle_seed": options.seed if options.shuffle else None,
               "resize": options.resize, "quality": options.quality, "verify": options.verify,
               "on_error": options.on_error}
    if data.names:
        request["names"] = {name: names_sha256(files) for name, files in data.names.items()}
    return request


# --- checks before the work ---------------------------------------------------------------------------------

def check_counts(images, classes, split, published):
    """Refuse another number of images or classes than the published one."""
    if (len(images), classes) != (published.counts[split], published.classes):
        raise UserError(f"{images.source}: {len(images)} images in {classes} classes, published "
                        f"{published.counts[split]} in {published.classes}; is the download complete? "
                        f"Give --subset if this is intended")


def check_space(out, splits, journal, resize):
    """Refuse a disk that is too small.

    The size of resized images is unknown, so with `resize` nothing is checked.
    """
    if resize:
        return
    written = sum(state["bytes"] for state in journal.progress.values())
    written += sum(split["rec_bytes"] for split in journal.splits.values())
    needed = sum(int(images.sizes.sum()) + 120 * len(images) for images in splits.values()) - written
    free = shutil.disk_usage(out).free
    if needed > free:
        raise UserError(f"--out {out}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free; "
                        f"choose another disk, or give --resize")


def hash_sources(data, journal, no_checksum, published_md5):
    """File name -> SHA-256 of each archive, whose MD5 must be the published one; "" for what is not read
    through.

    The journal keeps the hashes, so that an unchanged archive is read once.
    """
    paths = {images.source.flag: images.source.path for images in data.splits.values()}
    paths.update({flag: Path(path).expanduser() for flag, path in data.archives.items()})
    hashes = {}
    for flag, path in paths.items():
        hashes[path.name] = ""
        if path.is_dir() or no_checksum:
            continue
        status = path.stat()
        state = [str(path.resolve()), status.st_size, status.st_mtime_ns]
        if journal.archives.get(flag, {}).get("state") != state:
            journal.archives[flag] = {"state": state, **digests_of(path, ["md5", "sha256"])}
            journal.save()
        found = journal.archives[flag]
        check_digests(f"{flag} {path}", found, {"md5": published_md5[flag]})
        hashes[path.name] = found["sha256"]
    return hashes


# --- the work -----------------------------------------------------------------------------------------------

def pack(name, images, class_names, journal, options, published_count):
    """The `Split` of one split: as an interrupted run finished it, or written now."""
    split = finished_split(journal, name)
    if split:
        return split
    shuffle = options.shuffle and name == "train"
    order = packing_order(options.seed, len(images)) if shuffle else np.arange(len(images))

    def make(number):
        member = images.describe(number)
        if images.sizes[number] > MOST_BYTES:
            image, problem = None, f"too large ({images.sizes[number]} bytes)"
        else:
            image, problem = process(member, images.read(number), options.verify, options.on_error,
                                     options.resize,
                                     options.quality)
        return make_record(member, number, int(images.labels[number]), image, problem)

    def accept(made):
        where = f"{images.source}: {made.name}: {made.problem}"
        if made.problem and options.on_error == "fail":
            raise UserError(f"{where}; --on-error skip leaves such images out, --on-error repair corrects "
                            f"CMYK and PNG; both continue from here")
        if not made.record and options.on_error == "repair" and not options.subset:
            raise UserError(f"{where}: this cannot be repaired, and without it there are fewer than the "
                            f"published {published_count} images; get the archive again, or give --subset to "
                            "leave it out")

    try:
        writer = pack_split(journal, name, order, images.sizes, make, accept, options.num_thread,
                            options.journal_seconds)
        assert writer.done == len(images)
        writer.left_out += images.left_out()
        return writer.finish(class_names, order="shuffled" if shuffle else "by file name",
                             shuffle_seed=options.seed if shuffle else None, encoding=options.encoding)
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command continues from here") from None
    except OSError as error:
        raise UserError(f"--out {journal.folder}: {error.strerror}; correct this, and the same command "
                        f"continues") from error


def report(out, manifest, published):
    """Print the counts of each split next to the published ones, and its repaired and omitted images."""
    for name, split in manifest.splits.items():
        labels = "no labels"
        if split.labelled:
            counts = [count for count in split.per_class if count]
            labels = (f"{len(counts)} classes{beside(published.classes)} of {min(counts, default=0)} to "
                      f"{max(counts, default=0)}")
        seed = "" if split.shuffle_seed is None else f" with seed {split.shuffle_seed}"
        print(f"{name}.rec: {split.records} records{beside(published.counts.get(name))}, {labels}, "
              f"{split.rec_bytes / 1e6:.1f} MB, {split.encoding}, order: {split.order}{seed}")
        for what, members in (("repaired", split.repaired), ("left out", split.left_out)):
            if members:
                reasons = collections.Counter(member.rsplit(": ", 1)[1].split(" (")[0] for member in members)
                print(f"  {len(members)} {what}: "
                      f"{', '.join(f'{count} {why}' for why, count in reasons.items())}")
                print("".join(f"    {member}\n" for member in members[:MOST_SHOWN]), end="")
                if len(members) > MOST_SHOWN:
                    print(f"    ... and {len(members) - MOST_SHOWN} more in manifest.json")
    print(f"{out}: {manifest.dataset}, root hash {manifest.root_hash}")


def beside(count):
    """The published number, for a line with the one that was found."""
    return f" (published {count})" if count else ""


# --- flags --------------------------------------------------------------------------------------------------

def add_packing_flags(parser, dataset, published=True):
    """Add the flags of `Options`, without --resize and --quality; the first two only for published data."""
    if published:
        add_check_flags(parser)
    parser.add_argument("--out", metavar="DIR", default=default_record_dir(dataset),
                        help="default %(default)s")
    add_overwrite_flag(parser)
    parser.add_argument("--verify", choices=("none", "header", "full"), default="full",
                        help="check nothing, the first and last bytes of each image, or decode it; "
                             "default %(default)s")
    parser.add_argument("--on-error", choices=("fail", "skip", "repair"), default="repair",
                        help="a faulty image ends the run, is left out, or is encoded again as RGB JPEG "
                             "(repair: CMYK, and PNG under a JPEG's name; ImageNet's archives hold 23 of "
                             "these). An image beyond repair ends the run, or is left out with --subset; "
                             "default %(default)s")
    parser.add_argument("--journal-seconds", type=float, default=5, metavar="S",
                        help="seconds between syncs to disk: the work that a kill costs; default %(default)s")
    parser.add_argument("--num-thread", type=int, default=visible_cpus(), metavar="N",
                        help="threads that read, check and encode; default: one for each CPU, %(default)s")
    parser.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=True,
                        help="shuffle the training set; otherwise its order is that of the file names, by "
                             "class")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffled order; default %(default)s")


def add_encoding_flags(parser):
    """Add --resize and --quality."""
    encoding = parser.add_argument_group("Encoding (as in MXNet's im2rec)")
    encoding.add_argument("--resize", type=int, default=0, metavar="N",
                          help="scale the shorter edge to N and encode again; default: images keep their "
                               "bytes")
    encoding.add_argument("--quality", type=int, default=95, metavar="Q",
                          help="of JPEGs encoded here; default %(default)s")


def options_of(flags):
    """`Options` from the values of the flags, as a dict; other flags are ignored.

    Raises
    ------
    UserError
        If a number is outside its limits.
    """
    for name, (least, most) in LIMITS.items():
        if name in flags and not least <= flags[name] <= most:
            raise UserError(f"--{name.replace('_', '-')} {flags[name]}: must be from {least} to {most}")
    return Options(**{name: flags[name] for name in Options.__dataclass_fields__ if name in flags})
