"""Short runs of train_cifar.py on small data sets made here, for the tests of what comes after training."""

import json

import cv2
import numpy as np

import train_cifar
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.manifest import Manifest, describe_split, read_manifest, record_row, write_manifest
from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.data.recordio import RecordReader, write_image_records


def write_data(folder, dataset, train=16, test=30):
    """A prepared data set of random images; the folder."""
    known, rng, splits = DATASETS[dataset], np.random.default_rng(7), {}
    classes = [f"class {k}" for k in range(known.classes)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("test", test)):
        images = rng.integers(0, 256, (count, known.side, known.side, known.channels), np.uint8)
        labels = (np.arange(count) * 7 % known.classes).tolist()
        records = [(key, label, 0, cv2.imencode(".png", image)[1].tobytes())
                   for key, (label, image) in enumerate(zip(labels, images))]
        rows = [record_row(*row) for row in write_image_records(folder / f"{name}.rec",
                                                                folder / f"{name}.idx", records)]
        splits[name] = describe_split(folder, name, classes, rows)
    write_manifest(folder, Manifest(dataset, classes, {}, splits, "test"))
    return folder


def train_words(folder, *flags, model="cifar_preact20", dataset="cifar10"):
    """An epoch of two updates of eight images."""
    return ["--dataset", dataset, "--model", model, "--mode", "hybrid", "--batch-size", "8", "-j", "0",
            "--num-epochs", "1", "--lr", "0.05", "--save-dir", f"{folder}/params", "--logging-dir",
            str(folder), "--save-plot-dir", str(folder), *flags]


def train(folder, *flags, **options):
    """Train in this process; `(parameter file, last validation)`."""
    assert train_cifar.main(train_words(folder, *flags, **options)) == 0
    return left_by(folder)


def left_by(folder):
    """`(parameter file, record of the last epoch)`."""
    records = map(json.loads, next(folder.rglob("metrics.jsonl")).read_text().splitlines())
    [params] = [path for path in (folder / "params").glob("*.params") if "-best" not in path.name]
    return params, [record for record in records if record["kind"] == "epoch"][-1]


def write_part_of_excerpt(folder, train, test):
    """The first images of the CIFAR-10 excerpt as a data set of its own, for `--data-dir`; the folder."""
    manifest, splits = read_manifest(EXCERPT_DIR), {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("test", test)):
        reader = RecordReader(EXCERPT_DIR / f"{name}.rec")
        images = [reader.read_image(position) for position in range(count)]
        records = [(key, int(label), 0, image) for key, (label, image, _, _) in enumerate(images)]
        rows = [record_row(*row) for row in write_image_records(folder / f"{name}.rec",
                                                                folder / f"{name}.idx", records)]
        splits[name] = describe_split(folder, name, manifest.classes, rows)
    write_manifest(folder, Manifest(manifest.dataset, manifest.classes, {}, splits, "test"))
    return folder
