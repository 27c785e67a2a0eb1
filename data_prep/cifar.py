"""CIFAR-10 and CIFAR-100 to RecordIO, lossless, with a manifest.

    python data_prep/cifar.py --source cifar-10-binary.tar.gz --out ~/.mxnet/datasets/cifar10/rec
    python data_prep/cifar.py --dataset cifar100        # look in ~/.mxnet/datasets/cifar100, else download
    python data_prep/cifar.py --source cifar-100-python --out /data/cifar100

Writes train.rec, train.idx, test.rec, test.idx (PNG, so every pixel is kept), a table of record hashes for
each, and manifest.json. Records are in the source's order; the label is the class, `id2` the superclass of
CIFAR-100. The same command continues an interrupted run. `python -m data_prep.verify DIR` checks the result.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import gluon_tricks
from data_prep.cifar_sources import CLASSES, LAYOUTS, PUBLISHED_COUNTS, find_source
from data_prep.common import add_check_flags, add_overwrite_flag, parser_of, print_prepared, subset_note
from data_prep.small_images import check_archive, download_archive, report, write_split
from gluon_tricks.data.manifest import Manifest, Split, read_manifest, read_rows, write_manifest
from gluon_tricks.data.paths import default_record_dir, mxnet_dataset_dir
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, only_writer, sha256_of

JOURNAL = ".prepare.json"
SPLIT_FILES = ("{}.rec", "{}.idx", "{}.records.npy")


@dataclass(frozen=True)
class Selection:
    """The images to take: all published ones, or with `per_class` (--per-class) the first of each class."""
    per_class: str                         # None without the flag
    subset: bool                           # accept other counts

    @property
    def counts(self):
        """Split -> images of each class with --per-class; otherwise empty."""
        if self.per_class is None:
            return {}
        train, test = (int(number) for number in self.per_class.split(","))
        return {"train": train, "test": test}

    @property
    def note(self):
        """The manifest's `subset`."""
        if self.per_class:
            return "the first {train} training and {test} test images of each class".format(**self.counts)
        return subset_note(self.subset)


def main(argv=None):
    args = parse_args(argv)
    source = locate_source(args.source, args.dataset, not args.no_checksum)
    dataset, selection = source.layout.dataset, Selection(args.per_class, args.subset)
    out = Path(args.out).expanduser() if args.out else default_record_dir(dataset)
    classes = list(CLASSES[dataset])
    check_class_names(source, classes)
    make_folder("--out", out)
    with only_writer(out):
        journal = open_output(out, source, selection, args.overwrite)
        if journal is None:
            return print_prepared(out)
        splits = {name: take_split(out, name, batches, source, selection, journal)
                  for name, batches in source.splits().items()}
        manifest = Manifest(dataset=dataset, classes=classes, sources=dict(sorted(source.hashes.items())),
                            splits=splits, tool_version=gluon_tricks.__version__, subset=selection.note)
        write_manifest(out, manifest)
        (out / JOURNAL).unlink()
    report(out, manifest, PUBLISHED_COUNTS[dataset])
    return 0


# --- the source ---------------------------------------------------------------------------------------------

def locate_source(path, dataset, checksum):
    """The `Source` at a path; without one, of a data set in the default place, or downloaded there."""
    if path:
        path = Path(path).expanduser()
        source = find_source(path, dataset)
        if checksum and path.name == source.layout.archive:
            check_archive(path, source.layout)
        return source
    if not dataset:
        raise UserError("give --source ARCHIVE_OR_FOLDER, or --dataset cifar10|cifar100 to look in the "
                        "default place")
    folder = mxnet_dataset_dir(dataset)
    layouts = [layout for layout in LAYOUTS if layout.dataset == dataset]
    for layout in layouts:
        archive = folder / layout.archive
        if archive.is_file():
            if checksum:
                check_archive(archive, layout)
            return find_source(archive, dataset)
    if folder.is_dir():
        try:
            return find_source(folder, dataset)
        except UserError:
            pass                           # nothing complete there: download
    return find_source(download_archive(layouts[0], folder), dataset)


def check_class_names(source, classes):
    """Refuse a source whose list of class names differs; note on stderr that it has none."""
    names, file = source.class_names(), source.layout.names_file
    if names is None:
        print(f"note: {source.path} has no {file}; the known names of {source.layout.dataset} are "
              "used", file=sys.stderr)
    elif names != classes:
        pairs = enumerate(zip(names, classes))
        wrong = next((f"{i} is {name!r}, expected {known!r}" for i, (name, known) in pairs if name != known),
                     f"{len(names)} names, expected {len(classes)}")
        raise UserError(f"{source.path}: {file}: class {wrong}")


# --- the output ---------------------------------------------------------------------------------------------

def open_output(out, source, selection, overwrite):
    """Prepare the output folder.

    Returns
    -------
    dict or None
        The journal, with the splits that an interrupted run of the same request finished. None if the folder
        is complete.
    """
    journal = {"request": {"source": str(source.path.resolve()), "dataset": source.layout.dataset,
                           "encoding": source.layout.encoding, "per_class": selection.per_class,
                           "tool_version": gluon_tricks.__version__}, "splits": {}}
    prepared = (out / "manifest.json").exists()
    if not overwrite and (out / JOURNAL).is_file():
        earlier = json.loads((out / JOURNAL).read_text())
        if earlier["request"] == journal["request"]:
            journal = earlier
        elif earlier["splits"]:
            raise UserError(f"--out {out}: holds an interrupted preparation of "
                            f"{earlier['request']['source']}; finish it with its own command, or give "
                            "--overwrite")
    elif not overwrite:
        if prepared and is_prepared(read_manifest(out), source, selection.note):
            return None
        present = [name for split in ("train", "test") for name in (f.format(split) for f in SPLIT_FILES)
                   if (out / name).exists()]
        if present or prepared:
            raise UserError(f"--out {out}: holds {', '.join(present) or 'manifest.json'} of something else; "
                            f"choose another folder or give --overwrite")
    (out / "manifest.json").unlink(missing_ok=True)
    atomic_write(out / JOURNAL, json.dumps(journal))
    return journal


def is_prepared(manifest, source, subset):
    """Whether this request would write the same manifest.

    For a complete data set the encoding does not matter.
    """
    if (manifest.dataset, manifest.subset) != (source.layout.dataset, subset):
        return False
    return not manifest.subset or manifest.sources == source.read_through()


def take_split(out, name, batches, source, selection, journal):
    """Write one split and enter it in the journal; a complete split in the journal is only checked."""
    dataset = source.layout.dataset
    classes, published = CLASSES[dataset], PUBLISHED_COUNTS[dataset][name]
    split = Split(**journal["splits"][name]) if name in journal["splits"] else None
    if split and is_intact(out, name, split):
        check_counts(name, split.per_class, classes, published, selection)
        for _ in batches:                  # still checks the source's hashes and labels
            pass
        return split
    per_class = selection.counts.get(name)
    total = per_class * len(classes) if per_class else published
    split = write_split(out, name, select(batches, per_class, len(classes)), total, classes,
                        lambda counts: check_counts(name, counts, classes, published, selection))
    journal["splits"][name] = vars(split)
    atomic_write(out / JOURNAL, json.dumps(journal))
    return split


def is_intact(out, name, split):
    """Whether the three files of a split match its description."""
    rec = out / f"{name}.rec"
    try:
        read_rows(out, name, split)
        return (sha256_of(rec), sha256_of(rec.with_suffix(".idx"))) == (split.rec_sha256, split.idx_sha256)
    except (UserError, OSError):
        return False


def select(batches, per_class, classes):
    """Yield `(label, superclass, pixels)` of all images, or of the first `per_class` of each class."""
    taken = np.zeros(classes, np.int64)
    for fine, coarse, pixels in batches:
        for label, superclass, image in zip(fine, coarse, pixels):
            if per_class is None or taken[label] < per_class:
                taken[label] += 1
                yield int(label), int(superclass), image


def check_counts(name, counts, classes, published, selection):
    """Refuse other numbers of images per class than published or selected, unless --subset is given."""
    if selection.subset:
        return
    wanted, whose = published // len(classes), "published"
    if selection.per_class:
        wanted, whose = selection.counts[name], f"--per-class {selection.per_class} asks for"
    remedy = "give --subset if this is intended"
    if sum(counts) != wanted * len(classes):
        raise UserError(f"{name}: {sum(counts)} images, {whose} {wanted * len(classes)}; {remedy}")
    for label, count in enumerate(counts):
        if count != wanted:
            raise UserError(f"{name}: class {classes[label]} has {count} images, {whose} {wanted}; {remedy}")


def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("--source", help="the publisher's archive, or the folder it unpacks to")
    parser.add_argument("--dataset", choices=sorted(CLASSES),
                        help="without --source: look in the default place, ~/.mxnet/datasets/DATASET, else "
                             "download")
    parser.add_argument("--out", help="output folder; default ~/.mxnet/datasets/DATASET/rec")
    parser.add_argument("--per-class", metavar="TRAIN,TEST",
                        help="keep only the first TRAIN training and TEST test images of each class, as "
                             "200,50")
    add_check_flags(parser)
    add_overwrite_flag(parser)
    args = parser.parse_args(argv)
    if args.per_class is not None:
        words = args.per_class.split(",")
        if len(words) != 2 or not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            raise UserError(f"--per-class {args.per_class}: give two positive numbers, as 200,50")
    return args


if __name__ == "__main__":
    run_main(main)
