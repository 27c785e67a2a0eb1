"""Pascal VOC 2007 and 2012 from the publisher's archives to the folders that train_faster_rcnn.py and
train_fcn.py read.

    python data_prep/voc.py --archives VOCtrainval_06-Nov-2007.tar VOCtest_06-Nov-2007.tar \\
        VOCtrainval_11-May-2012.tar
    python data_prep/voc.py --archives ~/downloads --download                # fetches the missing ones
    python data_prep/voc.py --archives cells-voc.tar --subset --out ~/cells  # any archive in VOC's layout

Writes VOC2007, VOC2012 and manifest.json under --out (default: GluonCV's folder). Reads every annotation.
Broken XML, a box outside its image, or an image without annotation ends the run with a message that names the
file. Difficult objects are kept, with their flag. The same command continues after an interruption.
"""

import collections
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_prep.archives import check_digests, digests_of, download, tar_members, unpack
from data_prep.common import add_check_flags, own_files, parser_of, write_folder_manifest
from gluon_tricks.data.encoded import MOST_BYTES, Undecodable, check_decodes
from gluon_tricks.data.folders import is_hidden
from gluon_tricks.data.voc import CLASSES, IMAGES, read_annotation, read_list
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder, only_writer, read_file
from gluon_tricks.training.status import progress_bar

PUBLISHED_SHA1 = {
    "VOCtrainval_06-Nov-2007.tar": "34ed68851bce2a36e2a223fa52c661d592c66b3c",
    "VOCtest_06-Nov-2007.tar": "41a8d6e12baa5ab18ee7f8f8029b9e11805b4ef1",
    "VOCtrainval_11-May-2012.tar": "4e443f8a2eca6b1dac8a6c57641b67dd40621a49",
}
URLS = {name: f"http://host.robots.ox.ac.uk/pascal/VOC/voc{year}/{name}" for name, year in
        zip(PUBLISHED_SHA1, (2007, 2007, 2012))}
# not difficult; 24,640 on the challenge's page
PUBLISHED_OBJECTS = {(2007, "trainval"): 12608, (2007, "test"): 12032}
PUBLISHED_COUNTS = {(f"VOC{year}", split): (images, PUBLISHED_OBJECTS.get((year, split)))
                    for (year, split), images in IMAGES.items()}
LAYOUT = re.compile(r"(?:.*/)?(VOC\d{4}/(?:Annotations/[^/]+\.xml|JPEGImages/[^/]+\.jpe?g"
                    r"|SegmentationClass/[^/]+\.png|ImageSets/(?:Main|Segmentation)/[^/]+\.txt))",
                    re.IGNORECASE)


def main(argv=None):
    args = parse_args(argv)
    out = make_folder("--out", args.out)
    with only_writer(out):
        for path in find_archives(args.archives, args.download):
            if path.name in PUBLISHED_SHA1 and not args.no_checksum:
                published = {"sha1": PUBLISHED_SHA1[path.name]}
                check_digests(f"--archives {path}", digests_of(path, published), published)
            if not unpack(tar_members("--archives", path, LAYOUT.fullmatch), out, LAYOUT, path.name):
                raise UserError(f"--archives {path}: holds nothing in VOC's layout (VOC2007/Annotations/...)")
        counts = {f"{year}_{split}": check_split(out / year, split, args.zero_based)
                  for year, split in splits_in(out)}
        if not args.subset:
            check_counts(counts)
        paths = [path for folder in year_folders(out) for path in own_files(folder)]
        manifest = write_folder_manifest(out, "Pascal VOC's layout", counts, paths,
                                         **({"zero_based": True} if args.zero_based else {}))
    report(out, manifest)
    return 0


def find_archives(archives, fetch):
    """Paths of the archives: files, or the files with published names in a folder, fetched if `fetch`."""
    found = []
    for given in archives:
        path = Path(given).expanduser()
        if not path.is_dir():
            if not path.is_file():
                raise UserError(f"--archives {given}: is no file")
            found.append(path)
            continue
        for name in PUBLISHED_SHA1:
            if not (path / name).is_file() and fetch:
                download(URLS[name], path / name, "--download: ", "get it elsewhere, and name that file")
            if (path / name).is_file():
                found.append(path / name)
    if not found:
        raise UserError(f"--archives {' '.join(archives)}: none of {', '.join(PUBLISHED_SHA1)} is there; "
                        f"--download fetches them")
    return found


def year_folders(out):
    """VOC2007, VOC2012 and so on under `out`, sorted."""
    return sorted(out.glob("VOC[0-9][0-9][0-9][0-9]"))


def splits_in(out):
    """`(year folder, split)` of every list for detection, without the lists of single classes."""
    for folder in year_folders(out):
        for path in sorted((folder / "ImageSets" / "Main").glob("*.txt")):
            if "_" not in path.stem and not is_hidden(path.name):
                yield folder.name, path.stem


def check_split(folder, split, zero_based=False):
    """Read every annotation of a split and the size of its image; counts of images, objects and classes."""
    names = read_list(folder / "ImageSets" / "Main" / f"{split}.txt")
    classes, difficult = collections.Counter(), 0
    with progress_bar(len(names), f"checking {folder.name} {split}", "images") as bar:
        for name in names:
            path = folder / "Annotations" / f"{name}.xml"
            if not path.is_file():
                raise UserError(f"{path}: is missing, though {split}.txt lists {name}")
            annotation, _ = read_annotation(path, zero_based)
            image = folder / "JPEGImages" / f"{name}.jpg"
            try:
                *size, factor = check_decodes(read_file(image, MOST_BYTES))
            except Undecodable as error:
                raise UserError(f"{image}: {error}") from None
            if size != [-(-annotation.height // factor), -(-annotation.width // factor)]:
                raise UserError(f"{path}: says {annotation.width} x {annotation.height} pixels, its image "
                                f"has another size")
            classes.update(annotation.names)
            difficult += int(annotation.difficult.sum())
            bar.update(1)
    return {"images": len(names), "objects": sum(classes.values()), "difficult": difficult,
            "per_class": dict(sorted(classes.items()))}


def check_counts(counts):
    """Refuse other numbers of images and objects than the published ones, and other classes."""
    for (year, split), published in PUBLISHED_COUNTS.items():
        found = counts.get(f"{year}_{split}")
        if found is None:
            raise UserError(f"--archives: no {year} {split}; name all three archives, or give --subset")
        images, objects = found["images"], found["objects"] - found["difficult"]
        if images != published[0] or published[1] not in (None, objects):
            raise UserError(f"{year} {split}: {images} images with {objects} objects, published "
                            f"{published[0]} with {published[1]}; is the download complete? Give --subset if "
                            "this is intended")
    unknown = {name for found in counts.values() for name in found["per_class"]} - set(CLASSES)
    if unknown:
        raise UserError(f"class {min(unknown)!r} is none of VOC's twenty; give --subset if this is intended")


def report(out, manifest):
    """Print the counts of each split next to the published ones."""
    for name, found in manifest["splits"].items():
        classes = len(found["per_class"])
        line = (f"{name}: {found['images']} images, {found['objects']} objects, {found['difficult']} of them "
                f"difficult, {classes} class{'es' * (classes != 1)}")
        images, objects = PUBLISHED_COUNTS.get(tuple(name.split("_", 1)), (0, None))
        if images:
            line += f" (published {images} images{f', {objects} objects not difficult' if objects else ''})"
        print(line)
    print(f"{out}: {manifest['files']} files, root hash {manifest['root_hash']}")


def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("--archives", nargs="+", default=["~/.mxnet/datasets/voc/downloads"],
                        metavar="TAR|DIR",
                        help="the publisher's archives, or a folder with them (default: where GluonCV keeps "
                             "them)")
    parser.add_argument("--download", action="store_true", help="fetch the archives that a folder of "
                                                                "--archives lacks")
    parser.add_argument("--out", default="~/.mxnet/datasets/voc", metavar="DIR", help="default %(default)s")
    parser.add_argument("--zero-based", action="store_true",
                        help="corners of boxes count pixels from 0, not from 1 as in VOC; manifest.json "
                             "tells this to training")
    add_check_flags(parser, "SHA-1")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
