"""A synthetic ILSVRC2012 in the publisher's layout, for tests and benchmarks of its preparation.

    python benchmarks/synthetic_imagenet.py --out /tmp/fake --copies 20               # generated images
    python benchmarks/synthetic_imagenet.py --out /tmp/fake --photographs imagenet.tar # n01440764/*.JPEG

Writes ILSVRC2012_img_train.tar (a tar of class tars), ILSVRC2012_img_val.tar and the training images again as
class folders. With --faults the first class also holds a CMYK JPEG, a PNG named .JPEG, a truncated and an
empty file.
"""

import argparse
import gzip
import io
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

from gluon_tricks.data.classes import imagenet_synsets

WNIDS = [wnid for wnid, _ in imagenet_synsets()]
FAULTS = ("CMYK JPEG", "PNG under a JPEG's name", "truncated JPEG", "empty")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--photographs", metavar="TAR_OR_DIR", help="class folders; default: 160 generated "
                                                                    "images")
    parser.add_argument("--copies", type=int, default=1, help="of each image, under names of their own")
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    train = photographs(args.photographs) if args.photographs else generated(classes=160, per_class=1,
                                                                             size=(500, 375))
    train = copies(train, args.copies)
    if args.faults:
        first = min(train)
        train[first].update(faulty(first, next(iter(train[first].values()))))
    write_train_tar(args.out / "ILSVRC2012_img_train.tar", train)
    write_folders(args.out / "train", train)
    write_tar(args.out / "ILSVRC2012_img_val.tar", as_validation(train))
    for path in sorted(args.out.glob("*.tar")):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


# --- images: {wnid: {file name: content}} -------------------------------------------------------------------

def generated(classes, per_class, size=(64, 48), seed=0):
    """Smooth random JPEGs of about this size."""
    rng, images = np.random.default_rng(seed), {}
    for wnid in WNIDS[:classes]:
        images[wnid] = {}
        for number in range(per_class):
            width, height = np.array(size) + rng.integers(0, 16, 2)
            pixels = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (int(width), int(height)),
                                interpolation=cv2.INTER_CUBIC)
            pixels = cv2.add(pixels, rng.integers(0, 24, pixels.shape, np.uint8))
            images[wnid][f"{wnid}_{number}.JPEG"] = cv2.imencode(".jpg", pixels)[1].tobytes()
    return images


def photographs(path):
    """Those of a tar of class folders, or of a folder of them."""
    images, path = {}, Path(path)
    if path.is_dir():
        for file in sorted(path.glob("*/*.*")):
            images.setdefault(file.parent.name, {})[file.name] = file.read_bytes()
        return images
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile():
                images.setdefault(Path(member.name).parent.name,
                                  {})[Path(member.name).name] = tar.extractfile(member).read()
    return images


def copies(images, count):
    return {wnid: {f"{wnid}_{number}_{copy}.JPEG": content for number, content in enumerate(members.values())
                   for copy in range(count)} for wnid, members in images.items()}


def faulty(wnid, jpeg):
    """The four faults, made of one good image; in the order of `FAULTS`."""
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    contents = [_encode(image.convert("CMYK"), "JPEG"), _encode(image, "PNG"), jpeg[:2 * len(jpeg) // 3], b""]
    return {f"{wnid}_fault{number}.JPEG": content for number, content in enumerate(contents)}


def _encode(image, kind):
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def as_validation(images):
    """`{file name: content}` under the names of validation images 1, 2, ..."""
    contents = (content for members in images.values() for content in members.values())
    return {f"ILSVRC2012_val_{number:08d}.JPEG": content for number, content in enumerate(contents, start=1)}


# --- the publisher's files ----------------------------------------------------------------------------------

def write_tar(path, members):
    """A tar of `{name: content}`; a dictionary as content becomes a tar inside it."""
    with open(path, "wb") as stream:
        stream.write(_tar(members))
    return path


def _tar(members):
    with io.BytesIO() as stream:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, content in members.items():
                content = _tar(content) if isinstance(content, dict) else content
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return stream.getvalue()


def write_train_tar(path, images):
    return write_tar(path, {f"{wnid}.tar": members for wnid, members in images.items()})


def write_folders(path, images):
    for wnid, members in images.items():
        (path / wnid).mkdir(parents=True)
        for name, content in members.items():
            (path / wnid / name).write_bytes(content)
    return path


def write_devkit(path, val_wnids, seed=0):
    """ILSVRC2012_devkit_t12.tar.gz: class ids in no order, with gaps for groups of classes."""
    ids = np.random.default_rng(seed).permutation(len(WNIDS)) + 1
    synsets = [(number, wnid, 0) for number, wnid in zip(ids.tolist(), WNIDS)]
    synsets += [(number, f"n9{number:07d}", 3) for number in range(1001, 1021)]
    fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height",
              "num_train_images")
    table = np.zeros((len(synsets), 1), [(field, object) for field in fields])
    for position, (number, wnid, children) in enumerate(sorted(synsets)):
        table[position, 0] = (number, wnid, "a word", "what it means", children, np.zeros(children), 0, 0)
    savemat(meta := io.BytesIO(), {"synsets": table})
    truth = "".join(f"{ids[WNIDS.index(wnid)]}\n" for wnid in val_wnids)
    folder = "ILSVRC2012_devkit_t12/data"
    with gzip.open(path, "wb") as stream:
        stream.write(_tar({"ILSVRC2012_devkit_t12/readme.txt": b"",
                           f"{folder}/meta.mat": meta.getvalue(),
                           f"{folder}/ILSVRC2012_validation_ground_truth.txt": truth.encode()}))
    return path


if __name__ == "__main__":
    sys.exit(main())
