"""The publisher's archives in, RecordIO and a manifest out; nothing lost, nothing silently wrong."""

import dataclasses
import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from mxnet.gluon.data import vision
from publisher_files import COUNTS, PER_CLASS, dump_as_python2, layout_of, make_data, pack, write_folder, write_names

from data_prep import cifar, cifar_sources
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.errors import UserError
from gluon_tricks.files import sha256_of

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
OUTPUT = {"manifest.json", *(f"{split}.{suffix}" for split in ("train", "test")
                             for suffix in ("rec", "idx", "records.npy"))}
DATASETS = ["cifar10", "cifar100"]
ENCODINGS = ["binary", "python"]


@pytest.fixture(autouse=True)
def published_counts(monkeypatch):
    """The small data sets of these tests are complete."""
    for dataset, counts in COUNTS.items():
        monkeypatch.setitem(cifar.PUBLISHED_COUNTS, dataset, counts)


@pytest.fixture
def cifar10(tmp_path):
    """A folder with the files of CIFAR-10 in binary."""
    return write_folder(tmp_path / "cifar-10-batches-bin", "cifar10", "binary", make_data("cifar10"))


def prepare(source, out, *flags):
    assert cifar.main(["--source", str(source), "--out", str(out), *flags]) == 0
    return read_manifest(out)


def refusal(*flags):
    with pytest.raises(UserError) as raised:
        cifar.main([str(flag) for flag in flags])
    return str(raised.value)


def names(folder):
    return {path.name for path in folder.iterdir()}


def records_of(folder, split):
    """(labels, superclasses, pixels) as the records have them."""
    reader, labels = open_split(folder, split, read_manifest(folder))
    found = [reader.read_image(position) for position in range(len(reader))]
    assert [label for label, _, _, _ in found] == labels.tolist()
    assert [key for _, _, key, _ in found] == reader.keys.tolist() == list(range(len(reader)))
    pixels = [cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for _, image, _,
              _ in found]
    return labels, [id2 for _, _, _, id2 in found], np.stack(pixels)


# --- what goes in comes out ---------------------------------------------------------------------------------

@pytest.mark.parametrize("dataset", DATASETS)
def test_every_encoding_gives_exactly_the_publishers_pixels_and_labels(tmp_path, dataset):
    data = make_data(dataset)
    sources = {"binary": write_folder(tmp_path / "binary", dataset, "binary", data),
               "python 2": write_folder(tmp_path / "python2", dataset, "python", data, dump_as_python2),
               "python 3": write_folder(tmp_path / "python3", dataset, "python", data)}
    sources["packed"] = pack(sources["binary"], tmp_path / "any name.tar.gz")
    sources["packed flat"] = pack(sources["python 2"], tmp_path / "flat.tar.gz", inside="")
    manifests = {name: prepare(source, tmp_path / f"out of {name}") for name, source in sources.items()}

    assert {manifest.root_hash for manifest in manifests.values()} == {manifests["binary"].root_hash}
    for split, (fine, coarse, pixels) in data.items():
        labels, superclasses, found = records_of(tmp_path / "out of binary", split)
        np.testing.assert_array_equal(labels, fine)
        np.testing.assert_array_equal(superclasses, coarse)
        np.testing.assert_array_equal(found, pixels)


def test_the_manifest_says_what_was_read_and_written(tmp_path, cifar10, capsys):
    manifest = prepare(cifar10, tmp_path / "out")
    assert names(tmp_path / "out") == OUTPUT
    assert manifest.sources == {path.name: sha256_of(path) for path in cifar10.iterdir()}
    assert (manifest.dataset, manifest.subset) == ("cifar10", "")
    for split, per_class in PER_CLASS["cifar10"].items():
        assert manifest.splits[split].per_class == [per_class] * 10
    output = capsys.readouterr().out
    assert "train.rec: 100 records (published 100), 10 to 10 per class" in output
    assert output.endswith(f"{tmp_path}/out: cifar10, root hash {manifest.root_hash}\n")


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_first_images_of_each_class_can_be_taken(tmp_path, dataset):
    data = make_data(dataset)
    manifest = prepare(write_folder(tmp_path / "source", dataset, "binary", data), tmp_path / "out",
                       "--per-class", "2,1")
    assert manifest.subset == "the first 2 training and 1 test images of each class"
    for split, count in (("train", 2), ("test", 1)):
        fine, _, pixels = data[split]
        first = sorted(position for label in set(fine) for position in np.flatnonzero(fine == label)[:count])
        labels, _, found = records_of(tmp_path / "out", split)
        np.testing.assert_array_equal(labels, fine[first])
        np.testing.assert_array_equal(found, pixels[first])


@pytest.mark.parametrize("value", ["2", "2,1,3", "two,1", "0,1", ""])
def test_per_class_wants_two_positive_numbers(tmp_path, cifar10, value):
    assert refusal("--source", cifar10, "--out", tmp_path / "out", f"--per-class={value}") == \
        f"--per-class {value}: give two positive numbers, as 200,50"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no real data beside the checkout")
@pytest.mark.slow
def test_real_images_of_cifar100(tmp_path):
    subprocess.run([sys.executable, SHARED / "unpack.py", "cifar100", tmp_path], check=True)
    manifest = prepare(tmp_path / "cifar-100-binary", tmp_path / "out", "--subset")
    assert manifest.classes == list(cifar_sources.CLASSES["cifar100"])
    assert manifest.splits["train"].per_class == [100] * 100
    assert manifest.splits["test"].per_class == [20] * 100
    rows = np.fromfile(tmp_path / "cifar-100-binary" / "test.bin", np.uint8).reshape(-1, 3074)
    labels, superclasses, pixels = records_of(tmp_path / "out", "test")
    np.testing.assert_array_equal(np.column_stack([superclasses, labels]), rows[:, :2])
    np.testing.assert_array_equal(pixels, rows[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


# --- a source that is not what it should be -----------------------------------------------------------------

def altered(data, split, **changes):
    """The data with `labels` set at some positions, {position: label}, or only the first `keep` images."""
    fine, coarse, pixels = (array.copy() for array in data[split])
    for position, label in changes.get("labels", {}).items():
        fine[position] = label
    keep = changes.get("keep", len(fine))
    return {**data, split: (fine[:keep], coarse[:keep], pixels[:keep])}


def test_another_number_of_images_is_refused_unless_it_is_meant(tmp_path):
    data = altered(make_data("cifar10"), "test", keep=18)
    source = write_folder(tmp_path / "source", "cifar10", "binary", data)
    flags = ["--source", source, "--out", tmp_path / "out"]
    assert refusal(*flags) == "test: 18 images, published 20; give --subset if this is intended"
    manifest = prepare(source, tmp_path / "out", "--subset")  # goes on where that stopped
    assert manifest.splits["test"].records == 18
    assert manifest.subset == "given as a subset, counts not checked"
    assert names(tmp_path / "out") == OUTPUT


def test_unbalanced_classes_are_refused_unless_they_are_meant(tmp_path):
    data = make_data("cifar10")
    fine = data["train"][0]
    data = altered(data, "train", labels={int(np.flatnonzero(fine == 3)[0]): 4})
    source = write_folder(tmp_path / "source", "cifar10", "binary", data)
    assert refusal("--source", source, "--out", tmp_path / "out") == \
        "train: class cat has 9 images, published 10; give --subset if this is intended"
    assert prepare(source, tmp_path / "out", "--subset").splits["train"].per_class[3:5] == [9, 11]


@pytest.mark.slow
def test_an_interrupted_subset_is_not_taken_for_the_whole(tmp_path):
    source = write_folder(tmp_path / "source", "cifar10", "binary",
                          altered(make_data("cifar10"), "train", keep=90))
    killed("atomic_write", 2, source, tmp_path / "out", "--subset")               # train.rec is finished
    assert refusal("--source", source, "--out", tmp_path / "out") == \
        "train: 90 images, published 100; give --subset if this is intended"


def test_fewer_images_than_per_class_asks_for_are_refused(tmp_path, cifar10):
    assert refusal("--source", cifar10, "--out", tmp_path / "out", "--per-class", "5,3") == \
        "test: 20 images, --per-class 5,3 asks for 30; give --subset if this is intended"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_class_names_are_refused(tmp_path, encoding):
    source = write_folder(tmp_path / "source", "cifar10", encoding, make_data("cifar10"))
    file = layout_of("cifar10", encoding).names_file
    classes = list(cifar_sources.CLASSES["cifar10"])
    for wrong, said in [([*classes[:3], "lion", *classes[4:]], "class 3 is 'lion', expected 'cat'"),
                        ([*classes, "lion"], "class 11 names, expected 10")]:
        write_names(source, "cifar10", encoding, wrong)
        assert refusal("--source", source, "--out", tmp_path / "out") == f"{source}: {file}: {said}"


@pytest.mark.parametrize("encoding, content", [
    ("binary", "flugzeug auto vögel".encode("latin1")),
    ("python", pickle.dumps({b"other": []}, 2)),
    ("python", pickle.dumps([1, 2], 2)),
    ("python", pickle.dumps({b"label_names": 3}, 2)),
])
def test_a_list_of_names_that_is_none_is_refused(tmp_path, encoding, content):
    source = write_folder(tmp_path / "source", "cifar10", encoding, make_data("cifar10"))
    file = layout_of("cifar10", encoding).names_file
    (source / file).write_bytes(content)
    message = refusal("--source", source, "--out", tmp_path / "out")
    assert message.startswith(f"{source}: {file}: is no list of class names (")


def test_without_a_list_of_names_the_known_ones_are_used(tmp_path, cifar10, capsys):
    (cifar10 / "batches.meta.txt").unlink()
    assert prepare(cifar10, tmp_path / "out").classes == list(cifar_sources.CLASSES["cifar10"])
    assert "has no batches.meta.txt; the known names of cifar10 are used" in capsys.readouterr().err


@pytest.mark.parametrize("dataset, encoding, label", [("cifar10", "binary", 10), ("cifar10", "python", -1),
                                                      ("cifar100", "binary", 100),
                                                      ("cifar100", "python", 1000)])
def test_a_label_out_of_range_is_named(tmp_path, dataset, encoding, label):
    data = altered(make_data(dataset), "test", labels={3: label, 5: label})
    source = write_folder(tmp_path / "source", dataset, encoding, data)
    assert refusal("--source", source, "--out", tmp_path / "out", "--subset") == (
        f"{source}: {layout_of(dataset, encoding).test_files[0]}: image 3 has label {label}, out of range "
        f"for {dataset} (2 such images)")


def test_a_superclass_out_of_range_is_named(tmp_path):
    data = make_data("cifar100")
    data["test"][1][7] = 20
    source = write_folder(tmp_path / "source", "cifar100", "binary", data)
    assert refusal("--source", source, "--out", tmp_path / "out") == (
        f"{source}: test.bin: image 7 has superclass 20, out of range for cifar100 (1 such images)")


@pytest.mark.parametrize("size", [0, 3073 * 20 - 1])
def test_a_truncated_batch_is_refused(tmp_path, cifar10, size):
    path = cifar10 / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:size])
    assert refusal("--source", cifar10, "--out", tmp_path / "out", "--subset") == \
        f"data_batch_3.bin: {size} bytes are not a whole number of 3073-byte images; it is truncated"
    assert not any(name.startswith("train") for name in names(tmp_path / "out"))


class Asks:
    """Unpickling this would run a command."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("content, said", [
    (pickle.dumps({b"data": Asks()}, 2), "is no pickled CIFAR file (it asks for posix.system)"),
    (pickle.dumps(eval, 2), "is no pickled CIFAR file (it asks for __builtin__.eval)"),
    (pickle.dumps({b"data": []}, 2)[:-3], "is no pickled CIFAR file ("),
    (b"", "is no pickled CIFAR file ("),
    (pickle.dumps([1, 2], 2), "is no CIFAR batch ("),
    (pickle.dumps({b"data": [], b"labels": [0]}, 2), "is no CIFAR batch ("),
    (pickle.dumps({b"data": [], b"labels": [2**70]}, 2), "is no CIFAR batch ("),
    (pickle.dumps({b"data": []}, 2), "is no CIFAR batch (KeyError(b'labels'))"),
])
def test_a_pickle_of_anything_else_is_refused_and_not_run(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    source = write_folder(tmp_path / "source", "cifar10", "python", make_data("cifar10"))
    (source / "data_batch_2").write_bytes(content)
    assert refusal("--source", source, "--out", tmp_path / "out").startswith(f"data_batch_2: {said}")
    assert not (tmp_path / "executed").exists()


def test_too_few_superclasses_do_not_drop_images(tmp_path):
    data = make_data("cifar100")
    source = write_folder(tmp_path / "source", "cifar100", "python", data)
    batch = pickle.loads((source / "test").read_bytes(), encoding="bytes")
    batch[b"coarse_labels"].pop()
    (source / "test").write_bytes(pickle.dumps(batch, 2))
    assert refusal("--source", source, "--out", tmp_path / "out",
                   "--subset").startswith("test: is no CIFAR batch (")


def test_a_missing_batch_is_named(tmp_path, cifar10):
    (cifar10 / "data_batch_4.bin").unlink()
    message = refusal("--source", cifar10, "--out", tmp_path / "out", "--dataset", "cifar10")
    assert message.startswith(f"--source {cifar10}: holds no complete cifar10 (data_batch_1, ")
    assert "data_batch_4.bin" in message


def test_nothing_known_is_refused_by_name(tmp_path):
    assert refusal("--source", tmp_path / "absent") == f"--source {tmp_path}/absent: does not exist"
    (tmp_path / "empty").mkdir()
    assert refusal("--source", tmp_path / "empty").startswith(f"--source {tmp_path}/empty: holds no complete "
                                                              "CIFAR (")


def test_two_data_sets_in_one_folder_need_a_choice(tmp_path):
    for dataset in DATASETS:
        write_folder(tmp_path / "both" / dataset, dataset, "binary", make_data(dataset))
    flags = ["--source", tmp_path / "both", "--out", tmp_path / "out"]
    assert refusal(*flags) == f"--source {tmp_path}/both: holds cifar10 and cifar100; choose with --dataset"
    assert prepare(tmp_path / "both", tmp_path / "out", "--dataset", "cifar100").dataset == "cifar100"


def test_two_versions_of_one_file_are_refused_and_two_copies_are_not(tmp_path):
    for copy, seed in (("a", 0), ("b", 0)):
        write_folder(tmp_path / "both" / copy, "cifar10", "binary", make_data("cifar10", seed))
    prepare(tmp_path / "both", tmp_path / "out")
    write_folder(tmp_path / "both" / "b", "cifar10", "binary", make_data("cifar10", seed=1))
    assert refusal("--source", tmp_path / "both", "--out", tmp_path / "out2") == (
        f"--source {tmp_path}/both: holds different files named data_batch_1.bin; give the folder of one of "
        "them")


# --- archives -----------------------------------------------------------------------------------------------

def with_hashes(monkeypatch, dataset, encoding, **hashes):
    """Let an archive of these hashes be the published one."""
    layouts = tuple(dataclasses.replace(layout, **hashes)
                    if layout is layout_of(dataset, encoding) else layout
                    for layout in cifar_sources.LAYOUTS)
    for module in (cifar, cifar_sources):
        monkeypatch.setattr(module, "LAYOUTS", layouts)


def test_an_archive_under_the_publishers_name_must_be_the_publishers(tmp_path, cifar10):
    archive = pack(cifar10, tmp_path / "cifar-10-binary.tar.gz")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    message = refusal("--source", archive, "--out", tmp_path / "out")
    assert message.startswith(f"{archive}: MD5 {md5}, published c32a1d4ab5d03f1284b67883e8d87530: ")
    assert message.endswith("or give --no-checksum")
    assert not (tmp_path / "out").exists()
    prepare(archive, tmp_path / "out", "--no-checksum")


@pytest.mark.parametrize("kind", ["md5", "mxnet_sha1"])
def test_the_publishers_archive_is_accepted_and_so_is_the_copy_that_mxnet_downloads(tmp_path, cifar10,
                                                                                    monkeypatch, kind):
    archive = pack(cifar10, tmp_path / "cifar-10-binary.tar.gz", inside="")
    digest = hashlib.new(kind.split("_")[-1], archive.read_bytes()).hexdigest()
    with_hashes(monkeypatch, "cifar10", "binary", **{kind: digest})
    prepare(archive, tmp_path / "out")


@pytest.mark.parametrize("dataset, reader", [("cifar10", vision.CIFAR10), ("cifar100", vision.CIFAR100)])
def test_mxnets_copy_is_known_by_the_hash_that_mxnet_has(tmp_path, monkeypatch, dataset, reader):     # parity
    monkeypatch.setattr(reader, "_get_data", lambda self: None)
    layout = layout_of(dataset, "binary")
    assert (layout.archive, layout.mxnet_sha1) == reader(root=str(tmp_path))._archive_file


@pytest.mark.parametrize("damage", ["no tar", "empty", "truncated", "one bit"])
def test_a_damaged_archive_is_refused(tmp_path, cifar10, damage):
    archive = pack(cifar10, tmp_path / "cifar.tar.gz")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes({"no tar": b"not a tar archive", "empty": b"",
                         "truncated": archive.read_bytes()[:-2000],
                         "one bit": content}[damage])
    message = refusal("--source", archive, "--out", tmp_path / "out")
    assert message.startswith(f"--source {archive}: cannot be read as a tar archive (")
    assert message.endswith("is the download complete?")


# --- the default place, and the network ---------------------------------------------------------------------

@pytest.fixture
def mxnet_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def no_network(monkeypatch):
    def urlopen(url, timeout):
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])  # as MXNet unpacks it, and as tar does
def test_what_lies_in_the_default_place_is_prepared_there(mxnet_home, no_network, below):
    write_folder(mxnet_home / "datasets" / "cifar10" / below, "cifar10", "binary", make_data("cifar10"))
    assert cifar.main(["--dataset", "cifar10"]) == 0
    assert names(mxnet_home / "datasets" / "cifar10" / "rec") == OUTPUT


def test_an_archive_in_the_default_place_is_checked_too(mxnet_home, no_network, cifar10):
    (mxnet_home / "datasets" / "cifar10").mkdir(parents=True)
    pack(cifar10, mxnet_home / "datasets" / "cifar10" / "cifar-10-binary.tar.gz")
    assert ": MD5 " in refusal("--dataset", "cifar10")
    assert cifar.main(["--dataset", "cifar10", "--no-checksum"]) == 0


def test_no_data_and_no_network_is_a_sentence_with_a_remedy(mxnet_home, no_network):
    assert refusal("--dataset", "cifar100") == (
        f"--dataset cifar100: not found in {mxnet_home}/datasets/cifar100, and "
        f"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz cannot be fetched "
        f"(<urlopen error Network is unreachable>); put cifar-100-binary.tar.gz there or give --source")
    assert names(mxnet_home / "datasets" / "cifar100") == set()


def test_a_default_place_that_cannot_be_made_is_a_sentence(tmp_path, monkeypatch, no_network):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "file"))
    assert refusal("--dataset", "cifar10") == \
        f"--dataset cifar10: {tmp_path}/file/datasets/cifar10 cannot be made (Not a directory)"


def serve(monkeypatch, content):
    answer = io.BytesIO(content)
    answer.headers = {"Content-Length": str(len(content))}
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: answer)


def test_a_download_is_checked_and_kept(tmp_path, mxnet_home, monkeypatch, cifar10):
    content = pack(cifar10, tmp_path / "archive").read_bytes()
    with_hashes(monkeypatch, "cifar10", "binary", md5=hashlib.md5(content).hexdigest())
    serve(monkeypatch, content)
    assert cifar.main(["--dataset", "cifar10"]) == 0
    assert names(mxnet_home / "datasets" / "cifar10") == {"cifar-10-binary.tar.gz", "rec"}


def test_a_damaged_download_is_not_kept(tmp_path, mxnet_home, monkeypatch, cifar10):
    serve(monkeypatch, pack(cifar10, tmp_path / "archive").read_bytes()[:-100])
    assert refusal("--dataset",
                   "cifar10").startswith(f"{mxnet_home}/datasets/cifar10/cifar-10-binary.tar.gz: MD5 ")
    assert names(mxnet_home / "datasets" / "cifar10") == set()


def test_neither_source_nor_dataset_is_refused():
    assert refusal() == "give --source ARCHIVE_OR_FOLDER, or --dataset cifar10|cifar100 to look in the default place"


def test_a_refusal_is_exit_code_2(tmp_path):
    result = subprocess.run([sys.executable, ROOT / "data_prep" / "cifar.py", "--source",
                             tmp_path / "absent"],
                            capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"cifar.py: error: --source {tmp_path}/absent: does not exist\n"


# --- the output folder --------------------------------------------------------------------------------------

def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("flags", [(), ("--subset",), ("--per-class", "2,1")])
def test_finished_output_of_the_same_request_is_left_alone(tmp_path, cifar10, capsys, flags):
    manifest = prepare(cifar10, tmp_path / "out", *flags)
    before = times(tmp_path / "out")
    prepare(cifar10, tmp_path / "out", *flags)
    assert times(tmp_path / "out") == before
    assert f"cifar10 is prepared already, root hash {manifest.root_hash}" in capsys.readouterr().out


def test_the_other_encoding_of_a_complete_data_set_is_the_same_request(tmp_path, cifar10):
    prepare(cifar10, tmp_path / "out")
    before = times(tmp_path / "out")
    prepare(write_folder(tmp_path / "python", "cifar10", "python", make_data("cifar10")), tmp_path / "out")
    assert times(tmp_path / "out") == before


@pytest.mark.parametrize("first, second", [((), ("--subset",)), (("--per-class", "2,1"), ()),
                                           (("--per-class", "2,1"), ("--per-class", "3,1"))])
def test_output_of_another_request_is_not_overwritten(tmp_path, cifar10, first, second):
    prepare(cifar10, tmp_path / "out", *first)
    before = times(tmp_path / "out")
    assert refusal("--source", cifar10, "--out", tmp_path / "out", *second) == (
        f"--out {tmp_path}/out: holds train.rec, train.idx, train.records.npy, test.rec, test.idx, "
        f"test.records.npy of something else; choose another folder or give --overwrite")
    assert times(tmp_path / "out") == before


def test_a_subset_of_other_images_is_another_request(tmp_path, cifar10):
    prepare(cifar10, tmp_path / "out", "--subset")
    other = write_folder(tmp_path / "other", "cifar10", "binary", make_data("cifar10", seed=1))
    assert "of something else" in refusal("--source", other, "--out", tmp_path / "out", "--subset")


def test_overwriting_is_possible_when_it_is_asked_for(tmp_path, cifar10):
    prepare(cifar10, tmp_path / "out", "--per-class", "2,1")
    assert prepare(cifar10, tmp_path / "out", "--overwrite").splits["train"].records == 100
    assert names(tmp_path / "out") == OUTPUT


@pytest.mark.parametrize("name", ["train.rec", "test.idx", "train.records.npy"])
def test_foreign_files_are_not_overwritten(tmp_path, cifar10, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("a user's")
    (tmp_path / "out" / "notes.txt").write_text("a user's")
    assert refusal("--source", cifar10, "--out", tmp_path / "out").startswith(f"--out {tmp_path}/out: holds "
                                                                              f"{name} of ")
    assert {path.read_text() for path in (tmp_path / "out").iterdir()} == {"a user's"}


def test_a_foreign_manifest_is_not_overwritten(tmp_path, cifar10):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text('{"name": "a web page"}')
    assert "is no manifest" in refusal("--source", cifar10, "--out", tmp_path / "out")
    assert names(tmp_path / "out") == {"manifest.json"}


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path, cifar10):
    (tmp_path / "file").write_text("no folder")
    assert refusal("--source", cifar10, "--out", tmp_path / "file" / "out") == \
        f"--out: {tmp_path}/file/out cannot be made (Not a directory)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable_is_a_sentence(tmp_path, cifar10):
    (tmp_path / "out").mkdir(mode=0o500)
    assert refusal("--source", cifar10, "--out", tmp_path / "out") == f"--out: {tmp_path}/out is not writable"


# --- killed and started again -------------------------------------------------------------------------------

def killed(function, call, source, out, *flags):
    """Run the preparation in a process that is killed (-9) right after its `call`-th call of a function."""
    script = f"""
import os, signal
from data_prep import cifar, small_images
cifar.PUBLISHED_COUNTS.update({COUNTS!r})
module = cifar if hasattr(cifar, {function!r}) else small_images
original, calls = module.{function}, []
def kill_after(*args, **options):
    result = original(*args, **options)
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
module.{function} = kill_after
cifar.main(["--source", {str(source)!r}, "--out", {str(out)!r}, *{flags!r}])
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=120,
                            check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr


@pytest.mark.parametrize("function, call, left", [
    ("record_row", 30, {".prepare.json"}),                                       # within train.rec
    # the journal not yet
    ("describe_split", 1, {".prepare.json", "train.rec", "train.idx", "train.records.npy"}),
    ("record_row", 110, {".prepare.json", "train.rec", "train.idx", "train.records.npy"}),  # within test.rec
    ("write_manifest", 1, {".prepare.json", *OUTPUT}),  # only the journal is still there
])
@pytest.mark.slow
def test_a_killed_preparation_started_again_ends_as_an_uninterrupted_one(tmp_path, cifar10, function, call,
                                                                         left):
    killed(function, call, cifar10, tmp_path / "out")
    whole = {name for name in names(tmp_path / "out") if ".part" not in name}
    assert whole == left
    # a killed writer leaves something behind
    assert (names(tmp_path / "out") > whole) == (function == "record_row")

    again = prepare(cifar10, tmp_path / "out")
    assert names(tmp_path / "out") == OUTPUT
    assert dataclasses.asdict(again) == dataclasses.asdict(prepare(cifar10, tmp_path / "uninterrupted"))


@pytest.mark.parametrize("spoilt", ["train.rec", "train.idx", "train.records.npy"])
def test_a_finished_split_is_written_again_if_it_is_no_longer_whole(tmp_path, cifar10, monkeypatch, spoilt):
    def stop(out, manifest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cifar, "write_manifest", stop)
        prepare(cifar10, tmp_path / "out")
    (tmp_path / "out" / spoilt).unlink()
    manifest = prepare(cifar10, tmp_path / "out")
    assert dataclasses.asdict(manifest) == dataclasses.asdict(prepare(cifar10, tmp_path / "uninterrupted"))
    assert len(open_split(tmp_path / "out", "train", manifest)[0]) == 100


def test_a_preparation_that_finished_nothing_stands_in_nobodys_way(tmp_path, cifar10):
    data = altered(make_data("cifar10"), "train", keep=90)
    refusal("--source", write_folder(tmp_path / "other", "cifar10", "binary", data), "--out",
            tmp_path / "out")
    prepare(cifar10, tmp_path / "out")
    assert names(tmp_path / "out") == OUTPUT


@pytest.mark.slow
def test_an_interrupted_preparation_of_something_else_is_not_taken_up(tmp_path, cifar10):
    killed("atomic_write", 2, cifar10, tmp_path / "out")
    other = write_folder(tmp_path / "other", "cifar10", "binary", make_data("cifar10", seed=1))
    assert refusal("--source", other, "--out", tmp_path / "out") == (
        f"--out {tmp_path}/out: holds an interrupted preparation of {cifar10}; finish it with its own "
        f"command, or give --overwrite")
    prepare(other, tmp_path / "out", "--overwrite")
    assert names(tmp_path / "out") == OUTPUT


@pytest.mark.slow
def test_processes_that_start_together_prepare_once(tmp_path):
    folder = write_folder(tmp_path / "datasets" / "cifar10", "cifar10", "binary", make_data("cifar10"))
    command = [sys.executable, ROOT / "data_prep" / "cifar.py", "--dataset", "cifar10", "--subset"]
    processes = [subprocess.Popen(command, env={**os.environ, "MXNET_HOME": str(tmp_path)},
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted("is prepared already" in output for output, _ in outputs) == [False, True]
    assert names(folder / "rec") == OUTPUT
