"""ADE20K (scene parsing, ADEChallengeData2016.zip) to the folder that train_fcn.py reads.

    python data_prep/ade20k.py --archive ADEChallengeData2016.zip
    python data_prep/ade20k.py --archive ade20k-part.zip --subset --out ~/ade

Writes ADEChallengeData2016 under --out, GluonCV's folder by default, and manifest.json. Every mask is read: a value that is
no class, a size that is not its image's, an image without a mask end the run, and say where. The same command goes on after
an interruption.
"""

import argparse
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

import gluon_tricks
from data_prep.folders import check_digest, download, tree_hash, unpack, zip_members
from data_prep.packing import progress
from gluon_tricks.data.scenes import ADE_CLASSES, ade_classes, check_mask, paired, read_mask
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, only_writer

NAME = "ADEChallengeData2016"
URL = f"http://data.csail.mit.edu/places/ADEchallenge/{NAME}.zip"
PUBLISHED_SHA1 = "219e1696abb36c8ba3a3afe7fb2f4b4606a897c7"
PUBLISHED_COUNTS = {"training": 20210, "validation": 2000}
LAYOUT = re.compile(rf"(?:{NAME}/)?(images/(?:training|validation)/[^/]+\.jpg|annotations/(?:training|validation)/[^/]+\.png"
                    r"|objectInfo150\.txt|sceneCategories\.txt)")


def main(argv=None):
    args = parse_args(argv)
    out, archive = make_folder("--out", args.out), Path(args.archive).expanduser()
    if args.download and not archive.is_file():
        download(URL, make_folder("--archive", archive.parent) / archive.name)
    if not archive.is_file():
        raise UserError(f"--archive {args.archive}: is no file; {NAME}.zip is meant")
    with only_writer(out):
        if not (args.no_checksum or args.subset):
            check_digest("--archive", archive, PUBLISHED_SHA1, "sha1")
        if not unpack(zip_members("--archive", archive), out / NAME, place_of, archive.name):
            raise UserError(f"--archive {archive}: holds nothing in the layout of {NAME}.zip (images/training/...)")
        counts = {name: check_split(out / NAME, split, name)
                  for name, split in (("training", "train"), ("validation", "val"))}
        check_counts(counts, args.subset)
        paths = [path for path in (out / NAME).rglob("*") if path.is_file()]
        manifest = {"version": gluon_tricks.__version__, "source": archive.name, "splits": counts, "files": len(paths),
                    "root_hash": tree_hash(out, paths)}
        atomic_write(out / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    for name, found in counts.items():
        print(f"{name}: {found['images']} images (published {PUBLISHED_COUNTS[name]}), {found['classes']} of {ADE_CLASSES} "
              f"classes, {100 * found['unlabelled']:.1f} % of pixels without")
    print(f"{out / NAME}: {len(paths)} files, root hash {manifest['root_hash']}")
    return 0


def place_of(name):
    """Where a member goes; None for what is not needed."""
    match = LAYOUT.fullmatch(name)
    return match and match[1]


def check_split(root, split, name):
    """Read every mask of a split and the size of its image."""
    if not (root / "images" / name).is_dir():
        raise UserError(f"--archive: has no images/{name}")
    pairs, pixels = paired(root, split), np.zeros(ADE_CLASSES + 1, np.int64)
    with progress(len(pairs), f"checking {name}", "images") as bar:
        for image, mask in pairs:
            values = read_mask(mask)
            try:
                with Image.open(image) as opened:
                    size = opened.size
            except (OSError, SyntaxError) as error:
                raise UserError(f"{image}: cannot be read ({error})") from error
            if size != values.shape[::-1]:
                raise UserError(f"{mask}: {values.shape[1]} x {values.shape[0]} pixels, its image has {size[0]} x {size[1]}")
            pixels += np.bincount(check_mask(values, ade_classes, mask).ravel() + 1, minlength=ADE_CLASSES + 1)
            bar.update(1)
    return {"images": len(pairs), "classes": int((pixels[1:] > 0).sum()), "unlabelled": float(pixels[0] / pixels.sum())}


def check_counts(counts, subset):
    """As many images as published, unless --subset."""
    for name, found in counts.items():
        if found["images"] != PUBLISHED_COUNTS[name] and not subset:
            raise UserError(f"{name}: {found['images']} images, published {PUBLISHED_COUNTS[name]}; is the download "
                            "complete? Give --subset if this is meant")


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", default=f"~/.mxnet/datasets/ade/downloads/{NAME}.zip", metavar="ZIP",
                        help="the publisher's archive (default %(default)s, where GluonCV keeps it)")
    parser.add_argument("--download", action="store_true", help="fetch it if it is not there")
    parser.add_argument("--out", default="~/.mxnet/datasets/ade", metavar="DIR", help="default %(default)s")
    parser.add_argument("--subset", action="store_true", help="accept other counts than the published ones, and any archive")
    parser.add_argument("--no-checksum", action="store_true", help="do not check the archive's published SHA-1")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
