"""From a data set's name to its training and validation batches."""

import shutil
import urllib.error
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from small_records import png, random_images

from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.data.manifest import Manifest, describe_split, read_manifest, record_row, write_manifest
from gluon_tricks.data.paths import EXCERPT_DIR, default_record_dir
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.errors import UserError
from gluon_tricks.script import prepare as script_prepare
from gluon_tricks.script.prepare import prepare


def open_excerpt(dataset="cifar10-excerpt", folder=None, backend="ours", batch_size=128, prepare=None):
    return open_cifar(find_cifar(dataset, folder, prepare), backend, batch_size, seed=0, num_workers=1)


def refusal(**options):
    with pytest.raises(UserError) as raised:
        open_excerpt(**options)
    return str(raised.value)


@pytest.mark.parametrize("backend", ["ours", "mxnet"])
def test_training_leaves_out_what_fills_no_batch_and_validation_nothing(backend):
    data = open_excerpt(backend=backend)
    assert (data.train.records, data.val.records) == (2000, 500)
    assert [batch.data.shape[0] for batch in data.train.epoch(0)] == [128] * 15  # 2000 = 15 x 128 + 80
    assert [batch.data.shape[0] for batch in data.val.epoch(0)] == [128, 128, 128, 116]


def test_training_is_shuffled_and_validation_is_not():
    data = open_excerpt()
    positions = [np.concatenate([batch.positions for batch in data.train.epoch(epoch)]) for epoch in (0, 1)]
    assert len(set(positions[0])) == len(set(positions[1])) == 15 * 128
    assert (positions[0] != positions[1]).any()
    assert np.concatenate([batch.positions for batch in data.val.epoch(1)]).tolist() == list(range(500))


def test_what_the_manifest_says_is_passed_on():
    manifest, data = read_manifest(EXCERPT_DIR), open_excerpt()
    assert (data.classes, data.root_hash, data.subset) == (manifest.classes, manifest.root_hash,
                                                           manifest.subset)


def test_another_data_set_than_the_named_one_is_refused():
    assert refusal(dataset="cifar100", folder=EXCERPT_DIR) == \
        f"--data-dir {EXCERPT_DIR}: holds cifar10, not --dataset cifar100"


def test_a_batch_larger_than_the_training_set_is_refused():
    assert refusal(batch_size=2001) == \
        "--batch-size: 2001 images over all devices, but the training set has 2000"


def test_data_that_are_nowhere_are_a_sentence(tmp_path, monkeypatch):
    def urlopen(url, timeout):
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert refusal(dataset="cifar10", prepare=prepare).startswith(
        f"--dataset cifar10: not found in {tmp_path}/datasets/cifar10, and ")
    assert refusal(dataset="cifar10",
                   folder=tmp_path).startswith(f"{tmp_path}/manifest.json: cannot be read (")


@pytest.mark.parametrize("dataset, command", [
    ("cifar10", "data_prep/cifar.py --dataset cifar10"),
    ("cifar100", "data_prep/cifar.py --dataset cifar100"),
    ("kmnist", "data_prep/mnist.py --dataset kmnist"), ("fashion-mnist",
                                                        "data_prep/mnist.py --dataset fashion-mnist")])
def test_the_command_that_prepares_is_named_or_run(dataset, command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    assert refusal(dataset=dataset) == f"--dataset {dataset}: is not prepared; run python {command}"
    run = []
    monkeypatch.setattr(script_prepare, "load_script",
                        lambda path: SimpleNamespace(main=lambda flags: run.extend([path, *flags])))
    assert refusal(dataset=dataset,
                   prepare=prepare).startswith(f"{tmp_path}/datasets/{dataset}/rec/manifest.json: cannot ")
    assert run == command.split()
    assert capsys.readouterr().err == f"{dataset} is not prepared yet: python {command}\n"


@pytest.mark.parametrize("home, expected", [("/data/mx", "/data/mx"), ("~/mx", "/home/u/mx"),
                                            ("", "/home/u/.mxnet")])
def test_records_lie_where_gluoncvs_users_have_their_data(monkeypatch, home, expected):
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("MXNET_HOME", home)
    assert str(default_record_dir("cifar100")) == f"{expected}/datasets/cifar100/rec"


def test_labels_that_look_like_a_mistake_are_passed_on(tmp_path):
    """A prepared data set whose training images all have one label."""
    for part in ("test.rec", "test.idx", "test.records.npy"):
        shutil.copy(EXCERPT_DIR / part, tmp_path / part)
    manifest = read_manifest(EXCERPT_DIR)
    images = [(key, 0, 0, png(image)) for key, image in enumerate(random_images(4))]
    rows = [record_row(*record) for record in
            write_image_records(tmp_path / "train.rec", tmp_path / "train.idx", images)]
    splits = {**manifest.splits, "train": describe_split(tmp_path, "train", manifest.classes, rows)}
    write_manifest(tmp_path, Manifest("cifar10", manifest.classes, {}, splits, "test"))
    first, second = open_excerpt(folder=tmp_path, batch_size=4).warnings
    assert first == "all 4 training images have label 0"
    assert second.startswith("classes that have validation images but no training image: 1 (")
    assert open_excerpt().warnings == ()
