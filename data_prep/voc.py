"""Pascal VOC 2007 and 2012 from the publisher's archives to the folders that train_faster_rcnn.py and train_fcn.py read.

    python data_prep/voc.py --archives VOCtrainval_06-Nov-2007.tar VOCtest_06-Nov-2007.tar VOCtrainval_11-May-2012.tar
    python data_prep/voc.py --archives ~/downloads --download                # what is not there is fetched
    python data_prep/voc.py --archives cells-voc.tar --subset --out ~/cells  # any archive in VOC's layout

Writes VOC2007 and VOC2012 under --out, GluonCV's folder by default, and manifest.json. Every annotation is read: broken
XML, a box that is not inside its image, an image without annotation end the run, and say where. Difficult objects are
kept, with their flag. The same command goes on after an interruption.
"""

import argparse
import collections
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2

import gluon_tricks
from data_prep.folders import check_digest, download, tar_members, tree_hash, unpack
from data_prep.packing import progress
from gluon_tricks.data.voc import CLASSES, IMAGES, parse_annotation, read_list
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, only_writer

PUBLISHED_SHA1 = {
    "VOCtrainval_06-Nov-2007.tar": "34ed68851bce2a36e2a223fa52c661d592c66b3c",
    "VOCtest_06-Nov-2007.tar": "41a8d6e12baa5ab18ee7f8f8029b9e11805b4ef1",
    "VOCtrainval_11-May-2012.tar": "4e443f8a2eca6b1dac8a6c57641b67dd40621a49",
}
URLS = {name: f"http://host.robots.ox.ac.uk/pascal/VOC/voc{year}/{name}" for name, year in
        zip(PUBLISHED_SHA1, (2007, 2007, 2012))}
PUBLISHED_OBJECTS = {(2007, "trainval"): 12608, (2007, "test"): 12032}     # not difficult; 24,640 on the challenge's page
PUBLISHED_COUNTS = {(f"VOC{year}", split): (images, PUBLISHED_OBJECTS.get((year, split)))
                    for (year, split), images in IMAGES.items()}
LAYOUT = re.compile(r"(?:.*/)?(VOC\d{4}/(?:Annotations/[^/]+\.xml|JPEGImages/[^/]+\.jpe?g|SegmentationClass/[^/]+\.png"
                    r"|ImageSets/(?:Main|Segmentation)/[^/]+\.txt))", re.IGNORECASE)


def main(argv=None):
    args = parse_args(argv)
    out = make_folder("--out", args.out)
    with only_writer(out):
        for path in find_archives(args):
            if path.name in PUBLISHED_SHA1 and not args.no_checksum:
                check_digest("--archives", path, PUBLISHED_SHA1[path.name], "sha1")
            if not unpack(tar_members("--archives", path), out, place_of, path.name):
                raise UserError(f"--archives {path}: holds nothing in VOC's layout (VOC2007/Annotations/...)")
        counts = {f"{year}_{split}": check_split(out / year, split) for year, split in splits_in(out)}
        check_counts(counts, args.subset)
        manifest = describe(out, counts)
        atomic_write(out / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    report(out, manifest)
    return 0


def find_archives(args):
    """The archives of --archives: files, or those of the published names in a folder; fetched with --download."""
    found = []
    for given in args.archives:
        path = Path(given).expanduser()
        if not path.is_dir():
            if not path.is_file():
                raise UserError(f"--archives {given}: is no file")
            found.append(path)
            continue
        for name in PUBLISHED_SHA1:
            if not (path / name).is_file() and args.download:
                download(URLS[name], path / name)
            if (path / name).is_file():
                found.append(path / name)
    if not found:
        raise UserError(f"--archives {' '.join(args.archives)}: none of {', '.join(PUBLISHED_SHA1)} is there; --download "
                        f"fetches them")
    return found


def place_of(name):
    """Where a member goes under --out; None for what is not needed."""
    match = LAYOUT.fullmatch(name)
    return match and match[1]


def splits_in(out):
    """`(year folder, split)` of every list for detection; the lists of single classes are left out."""
    for folder in sorted(out.glob("VOC[0-9][0-9][0-9][0-9]")):
        for path in sorted((folder / "ImageSets" / "Main").glob("*.txt")):
            if "_" not in path.stem:
                yield folder.name, path.stem


def check_split(folder, split):
    """Read every annotation of a split and the size of its image; counts of images, objects, difficult ones, classes."""
    names, classes, difficult = read_list(folder / "ImageSets" / "Main" / f"{split}.txt"), collections.Counter(), 0
    with progress(len(names), f"checking {folder.name} {split}", "images") as bar:
        for name in names:
            path = folder / "Annotations" / f"{name}.xml"
            if not path.is_file():
                raise UserError(f"{path}: is missing, though {split}.txt lists {name}")
            annotation = parse_annotation(path.read_bytes(), path)
            image = cv2.imread(str(folder / "JPEGImages" / f"{name}.jpg"), cv2.IMREAD_REDUCED_COLOR_8)
            if image is None:
                raise UserError(f"{folder / 'JPEGImages' / (name + '.jpg')}: is missing or does not decode")
            if image.shape[:2] != (-(-annotation.height // 8), -(-annotation.width // 8)):
                raise UserError(f"{path}: says {annotation.width} x {annotation.height} pixels, its image has others")
            classes.update(annotation.names)
            difficult += int(annotation.difficult.sum())
            bar.update(1)
    return {"images": len(names), "objects": sum(classes.values()), "difficult": difficult,
            "per_class": dict(sorted(classes.items()))}


def check_counts(counts, subset):
    """As many images and objects as published, and no other classes, unless --subset."""
    if subset:
        return
    for (year, split), published in PUBLISHED_COUNTS.items():
        found = counts.get(f"{year}_{split}")
        if found is None:
            raise UserError(f"--archives: no {year} {split}; name all three archives, or give --subset")
        images, objects = found["images"], found["objects"] - found["difficult"]
        if images != published[0] or published[1] not in (None, objects):
            raise UserError(f"{year} {split}: {images} images with {objects} objects, published {published[0]} with "
                            f"{published[1]}; is the download complete? Give --subset if this is meant")
    strange = {name for found in counts.values() for name in found["per_class"]} - set(CLASSES)
    if strange:
        raise UserError(f"class {sorted(strange)[0]!r} is none of VOC's twenty; give --subset if this is meant")


def describe(out, counts):
    paths = [path for folder in out.glob("VOC[0-9][0-9][0-9][0-9]") for path in folder.rglob("*") if path.is_file()]
    return {"version": gluon_tricks.__version__, "source": "Pascal VOC's layout", "splits": counts, "files": len(paths),
            "root_hash": tree_hash(out, paths)}


def report(out, manifest):
    for name, found in manifest["splits"].items():
        published = PUBLISHED_COUNTS.get(tuple(name.split("_", 1)))
        print(f"{name}: {found['images']} images, {found['objects']} objects, {found['difficult']} of them difficult, "
              f"{len(found['per_class'])} class{'es' * (len(found['per_class']) != 1)}"
              + (f" (published {published[0]} images" + (f", {published[1]} objects not difficult)" if published[1] else ")")
                 if published else ""))
    print(f"{out}: {manifest['files']} files, root hash {manifest['root_hash']}")


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", nargs="+", default=["~/.mxnet/datasets/voc/downloads"], metavar="TAR|DIR",
                        help="the publisher's archives, or a folder with them (default: where GluonCV keeps them)")
    parser.add_argument("--download", action="store_true", help="fetch those that a folder of --archives lacks")
    parser.add_argument("--out", default="~/.mxnet/datasets/voc", metavar="DIR", help="default %(default)s")
    parser.add_argument("--subset", action="store_true", help="accept other counts and classes than the published ones")
    parser.add_argument("--no-checksum", action="store_true", help="do not check the archives' published SHA-1")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
