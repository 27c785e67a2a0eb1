"""ADE20K (scene parsing, ADEChallengeData2016.zip) to the folder that train_fcn.py reads.

    python data_prep/ade20k.py --archive ADEChallengeData2016.zip
    python data_prep/ade20k.py --archive ade20k-part.zip --subset --out ~/ade

Writes ADEChallengeData2016 and manifest.json under --out (default: GluonCV's folder). Reads every mask. A
value that is no class, a mask of another size than its image, or an image without a mask ends the run with a
message that names the file. The same command continues after an interruption.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from data_prep.archives import check_digests, digests_of, download, unpack, zip_members
from data_prep.common import add_check_flags, own_files, parser_of, write_folder_manifest
from gluon_tricks.data.folders import left_out_line
from gluon_tricks.data.scenes import ADE_CLASSES, ade_classes, check_mask, image_size, paired, read_mask
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder, only_writer
from gluon_tricks.training.status import progress_bar

NAME = "ADEChallengeData2016"
URL = f"http://data.csail.mit.edu/places/ADEchallenge/{NAME}.zip"
PUBLISHED_SHA1 = "219e1696abb36c8ba3a3afe7fb2f4b4606a897c7"
PUBLISHED_COUNTS = {"training": 20210, "validation": 2000}
LAYOUT = re.compile(rf"(?:{NAME}/)?(images/(?:training|validation)/[^/]+\.jpg"
                    r"|annotations/(?:training|validation)/[^/]+\.png"
                    r"|objectInfo150\.txt|sceneCategories\.txt)")


def main(argv=None):
    args = parse_args(argv)
    out, archive = make_folder("--out", args.out), Path(args.archive).expanduser()
    root = out / NAME
    if args.download and not archive.is_file():
        make_folder("--archive", archive.parent)
        download(URL, archive, "--download: ", "get it elsewhere, and name that file")
    if not archive.is_file():
        raise UserError(f"--archive {args.archive}: is no file; {NAME}.zip is needed")
    with only_writer(out):
        if not (args.no_checksum or args.subset):
            check_digests(f"--archive {archive}", digests_of(archive, ["sha1"]), {"sha1": PUBLISHED_SHA1})
        if not unpack(zip_members("--archive", archive, LAYOUT.fullmatch), root, LAYOUT, archive.name):
            raise UserError(f"--archive {archive}: holds nothing in the layout of {NAME}.zip "
                            "(images/training/...)")
        counts = {name: check_split(root, split, name)
                  for name, split in (("training", "train"), ("validation", "val"))}
        if not args.subset:
            check_counts(counts)
        paths = own_files(root)
        manifest = write_folder_manifest(out, archive.name, counts, paths)
    for name, found in counts.items():
        print(f"{name}: {found['images']} images (published {PUBLISHED_COUNTS[name]}), {found['classes']} of "
              f"{ADE_CLASSES} classes, {100 * found['unlabelled']:.1f} % of pixels without")
    print(f"{root}: {len(paths)} files, root hash {manifest['root_hash']}")
    return 0


def check_split(root, split, name):
    """Read every mask of a split and the size of its image; counts of images and classes."""
    if not (root / "images" / name).is_dir():
        raise UserError(f"--archive: has no images/{name}")
    (pairs, left_out), pixels = paired(root, split), np.zeros(ADE_CLASSES + 1, np.int64)
    if left_out:
        print(left_out_line(root, left_out))
    with progress_bar(len(pairs), f"checking {name}", "images") as bar:
        for image, mask in pairs:
            values, size = read_mask(mask), image_size(image)
            if size != values.shape[::-1]:
                raise UserError(f"{mask}: {values.shape[1]} x {values.shape[0]} pixels, its image has "
                                f"{size[0]} x {size[1]}")
            classes = check_mask(values, ade_classes, mask)
            pixels += np.bincount(classes.ravel() + 1, minlength=ADE_CLASSES + 1)
            bar.update(1)
    return {"images": len(pairs), "classes": int((pixels[1:] > 0).sum()),
            "unlabelled": float(pixels[0] / pixels.sum())}


def check_counts(counts):
    """Refuse another number of images than the published one."""
    for name, found in counts.items():
        if found["images"] != PUBLISHED_COUNTS[name]:
            raise UserError(f"{name}: {found['images']} images, published {PUBLISHED_COUNTS[name]}; is the "
                            "download complete? Give --subset if this is intended")


def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("--archive", default=f"~/.mxnet/datasets/ade/downloads/{NAME}.zip", metavar="ZIP",
                        help="the publisher's archive (default %(default)s, where GluonCV keeps it)")
    parser.add_argument("--download", action="store_true", help="fetch the archive if it is not there")
    parser.add_argument("--out", default="~/.mxnet/datasets/ade", metavar="DIR", help="default %(default)s")
    add_check_flags(parser, "SHA-1")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
