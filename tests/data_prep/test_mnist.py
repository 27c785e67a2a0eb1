"""data_prep/mnist.py on IDX files made here: what is written, what is refused, and a training on it."""

import gzip
import json
import re
import struct

import numpy as np
import pytest

import train_cifar
from data_prep import archives, mnist, verify
from gluon_tricks.data.augment import normalize
from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.errors import UserError


def write_idx(path, array):
    """An IDX file as its publisher describes it.

    Two zero bytes, 8 for unsigned bytes, the dimensions, their sizes.
    """
    content = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", size)
                                                      for size in array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def source(tmp_path):
    """40 + 20 random images; `(folder, {split: (images, labels)})`.

    The training files are packed, the test files not.
    """
    rng, folder, data = np.random.default_rng(0), tmp_path / "source", {}
    folder.mkdir()
    for split, prefix, count, end in (("train", "train", 40, ".gz"), ("test", "t10k", 20, "")):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count,
                                                                                    dtype=np.uint8) * 3 % 10
        write_idx(folder / f"{prefix}-images-idx3-ubyte{end}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{end}", labels)
        data[split] = images, labels
    return folder, data


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "kmnist"])
def test_every_pixel_and_label_comes_back_through_the_loader(tmp_path, source, dataset):
    folder, data = source
    out = tmp_path / "rec"
    assert mnist.main(["--dataset", dataset, "--source", str(folder), "--out", str(out), "--subset"]) == 0
    assert verify.main([str(out)]) == 0
    opened = open_cifar(find_cifar(dataset, out), "ours", 20, 0, 0)
    batch, = opened.val.epoch(0)
    images, labels = data["test"]
    np.testing.assert_array_equal(opened.train.images.pixels[..., 0], data["train"][0])
    np.testing.assert_array_equal(batch.label.asnumpy(), labels)
    mean, std = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530),
                 "kmnist": (0.1904, 0.3475)}[dataset]
    np.testing.assert_allclose(batch.data.asnumpy()[:, 0], (images / 255 - mean) / std, atol=1e-5)
    assert len(opened.classes) == 10


def test_grey_images_are_normalised_by_published_figures():
    assert DATASETS["mnist"][4:6] == ((0.1307,), (0.3081,))
    image = np.full((1, 28, 28, 1), 255, np.uint8)
    assert normalize(image, (0.1307,), (0.3081,))[0, 0, 0, 0] == pytest.approx((1 - 0.1307) / 0.3081)


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "kmnist"])
@pytest.mark.slow
def test_grey_images_train(tmp_path, source, dataset):
    out = tmp_path / "rec"
    mnist.main(["--dataset", dataset, "--source", str(source[0]), "--out", str(out), "--subset"])
    words = ["--dataset", dataset, "--data-dir", str(out), "--model", "cifar_preact20", "--batch-size", "20",
             "--cutout=14",
             "--random-erasing", "pixels", "--mix", "tile", "--num-epochs", "1", "-j", "0", "--lr", "0.01",
             "--save-dir", f"{tmp_path}/params", "--logging-dir", str(tmp_path), "--save-plot-dir",
             str(tmp_path)]
    assert train_cifar.main(words) == 0
    assert (tmp_path / f"train_{dataset}_cifar_preact20_tile.log").exists()
    facts = json.loads(next(tmp_path.rglob("run.json")).read_text())
    assert facts["dataset"] == dataset and facts["args"]["random_flip"] is (dataset == "fashion-mnist")


def test_a_prepared_folder_is_left_alone(tmp_path, source, capsys):
    words = ["--dataset", "mnist", "--source", str(source[0]), "--out", str(tmp_path / "rec"), "--subset"]
    mnist.main(words)
    before = (tmp_path / "rec" / "manifest.json").read_bytes()
    capsys.readouterr()
    assert mnist.main(words) == 0 and "is prepared already" in capsys.readouterr().out
    assert (tmp_path / "rec" / "manifest.json").read_bytes() == before
    with pytest.raises(UserError, match="holds mnist prepared with other options"):
        mnist.main(["--dataset", "kmnist", *words[2:]])


def spoil(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("name, change, says", [
    ("t10k-images-idx3-ubyte", lambda content: content[:-1], "it is truncated or damaged"),
    ("t10k-images-idx3-ubyte", lambda content: b"\x01" + content[1:], "is no IDX file of images"),
    ("t10k-labels-idx1-ubyte", lambda content: content[:4] + struct.pack(">I", 19) + content[9:],
     "19 labels for 20 images"),
    ("t10k-labels-idx1-ubyte", lambda content: content[:-1] + b"\x0a", "label 10 is out of range for mnist"),
    ("train-labels-idx1-ubyte.gz", lambda content: content[:-4], "cannot be read")])
def test_damage_is_named_and_nothing_written(tmp_path, source, name, change, says):
    spoil(source[0], name, change)
    with pytest.raises(UserError, match=f"{re.escape(name)}: .*{says}"):
        mnist.main(["--dataset", "mnist", "--source", str(source[0]), "--out", str(tmp_path / "rec"),
                    "--subset"])
    assert not list((tmp_path / "rec").glob("*.rec"))


def test_a_file_that_unpacks_to_more_than_any_set_has_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MOST_MEMBER_BYTES", 31_000)
    monkeypatch.setattr(archives, "MOST_MEMBER_BYTES", 31_000)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(UserError, match="a.gz: its content has 31001 bytes, more than the 31000"):
        mnist.unpacked(tmp_path / "a.gz")


def test_other_counts_and_other_files_are_refused(tmp_path, source):
    words = ["--dataset", "mnist", "--source", str(source[0]), "--out", str(tmp_path / "rec")]
    with pytest.raises(UserError, match="MD5 .*, published f68b3c2dcbeaaa9fbdd348bbdeb94873"):
        mnist.main(words)
    with pytest.raises(UserError, match="images per class, published .*--subset"):
        mnist.main([*words, "--no-checksum"])
    (source[0] / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="has no t10k-labels-idx1-ubyte.gz"):
        mnist.main([*words, "--subset"])


def test_published_counts_add_up():
    for known in mnist.DATASETS.values():
        assert {split: sum(counts) for split, counts in known.counts.items()} == {"train": 60000,
                                                                                  "test": 10000}
