"""Reassessed labels, and class folders named by numbers, on synthetic sets whose true order is known."""

import json
import re

import cv2
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.commands import evaluate
from gluon_tricks.data.classes import imagenet_synsets, imagenet_val_labels
from gluon_tricks.data.folders import class_order
from gluon_tricks.data.images import FolderImages
from gluon_tricks.data.manifest import Manifest, describe_split, record_row, write_manifest
from gluon_tricks.data.names import names_path
from gluon_tricks.data.recordio import RecordReader, write_image_records
from gluon_tricks.errors import UserError
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved.record import NetFacts
from gluon_tricks.script.imagenet_data import order_warnings
from tests.saved_nets import write_params

SHAPE = {"input_size": 32, "crop": "center", "crop_ratio": 1.0, "rgb_mean": (100.0,) * 3, "rgb_std": (60.0,) * 3}


def facts(classes, names=None):
    return NetFacts(model="cifar_resnet20_v1", switches={}, classes=classes, class_names=names, dataset="imagenet",
                    channels=3, **SHAPE)


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """`path(classes)` of a net without names."""
    folder, made = tmp_path_factory.mktemp("params"), {}

    def path(classes):
        if classes not in made:
            made[classes] = write_params(folder / f"{classes}.params", facts(classes))
        return made[classes]
    return path


def picture(seed):
    small = np.random.default_rng(seed).integers(0, 255, (4, 4, 3)).astype(np.uint8)
    return cv2.resize(small, (32, 32))                                      # shown as it is


def encoded(seed):
    return cv2.imencode(".png", picture(seed)[..., ::-1])[1].tobytes()


def answers_of(params, classes, seeds):
    """The class that the net, read here, gives each picture."""
    net = get_model("cifar_resnet20_v1", classes=classes)
    net.load_parameters(str(params))
    pixels = (np.stack([picture(seed) for seed in seeds]).astype(np.float32) - 100) / 60
    return net(nd.array(pixels.transpose(0, 3, 1, 2))).asnumpy().argmax(axis=1).tolist()


def result_of(tmp_path, params, *flags):
    code = evaluate.main(["--params-file", str(params), "-j", "0", "--json", str(tmp_path / "result.json"),
                          *map(str, flags)])
    assert code == 0
    return json.loads((tmp_path / "result.json").read_text())


def write_real(path, lists):
    path.write_text(json.dumps(lists))
    return path


def write_records(folder, images, classes=None, file_names=None):
    """val.rec of `(key, label, seed)`; with a manifest if `classes` are given."""
    folder.mkdir()
    list(write_image_records(folder / "val.rec", folder / "val.idx",
                             [(key, label, 0, encoded(seed)) for key, label, seed in images]))
    if classes:
        reader = RecordReader(folder / "val.rec")
        rows = [record_row(key, label, reader.read(at)) for at, (key, label, _) in enumerate(images)]
        write_manifest(folder, Manifest("imagenet", classes, {}, {
            "val": describe_split(folder, "val", classes, rows)}, "test"))
    if file_names:
        names_path(folder / "val.rec").write_text("".join(f"{name}\n" for name in file_names))
    return folder


# --- Reassessed labels --------------------------------------------------------------------------------------

def test_folders_are_counted_by_the_numbers_in_their_file_names(tmp_path, params, capsys):
    """Images 3, 7, 8, 10 of a list of 12, spread over classes so that no order of reading is the list's."""
    [a, b, c, d] = answers_of(params(5), 5, (3, 7, 8, 10))
    lists = [[(a + 1) % 5]] * 12
    lists[2], lists[6], lists[7], lists[9] = [(a + 2) % 5, a], [], [(c + 1) % 5], [d]
    for number, name in ((3, "n04"), (7, "n02"), (8, "n01"), (10, "n00")):
        (tmp_path / "val" / name).mkdir(parents=True)
        (tmp_path / "val" / name / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(encoded(number))
    (tmp_path / "val" / "n03").mkdir()
    real = write_real(tmp_path / "real.json", lists)
    found = result_of(tmp_path, params(5), "--data-dir", tmp_path, "--real-labels", real)["real_labels"]
    assert (found["correct"], found["images"], found["unlabelled"]) == (2, 3, 1)      # right: 3 and 10
    assert found["err"] == pytest.approx(1 / 3)
    said = capsys.readouterr().out
    assert "real labels: correct 2 of 3, 66.67 %; 1 images without a label are left out" in said
    assert "top-1: correct" in said                                  # the folders' labels are counted as before


def test_other_names_are_those_of_the_list_if_it_has_one_for_each(tmp_path, params):
    """Sorted by file name, b.png of the first class folder is the second image."""
    seeds = {"k/b.png": 1, "m/a.png": 2, "m/c.png": 3}
    for name, seed in seeds.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(seed))
    for name in "xyz":
        (tmp_path / name).mkdir()
    [b, a, c] = answers_of(params(5), 5, (1, 2, 3))
    for lists, correct in (([[a], [b], [c]], 3), ([[a], [(b + 1) % 5], []], 1)):
        real = write_real(tmp_path / "real.json", lists)
        found = result_of(tmp_path, params(5), "--data-dir", tmp_path, "--real-labels", real)["real_labels"]
        assert found["correct"] == correct and found["images"] == sum(map(bool, lists))
    with pytest.raises(UserError, match="has the labels of 4 images in the order of their file names, which is not"):
        evaluate.main(["--params-file", str(params(5)), "--data-dir", str(tmp_path), "-j", "0", "--real-labels",
                       str(write_real(tmp_path / "real.json", [[a], [b], [c], []]))])


def test_records_of_imagenet_are_recognised_by_the_published_labels(tmp_path, params):
    published = imagenet_val_labels()
    keys = (5, 0, 2)
    rec = write_records(tmp_path / "rec", [(key, int(published[key]), key) for key in keys])
    answers = dict(zip(keys, answers_of(params(1000), 1000, keys)))
    real = write_real(tmp_path / "real.json", [[answers[0]], [], [999, answers[2]], [], [], [], []])
    found = result_of(tmp_path, params(1000), "--rec-dir", rec, "--real-labels", real)["real_labels"]
    assert (found["correct"], found["images"], found["unlabelled"]) == (2, 2, 1)
    by_class = write_records(tmp_path / "by_class", [(0, 0, 1), (1, 0, 2)])       # im2rec's order
    with pytest.raises(UserError, match="the image with key 0 of .* has label 0, ILSVRC2012_val_00000001.JPEG has "
                                        f"{published[0]}; the records are not in the order of file names"):
        result_of(tmp_path, params(1000), "--rec-dir", by_class, "--real-labels", real)


def test_records_with_names_are_counted_by_them(tmp_path, params):
    rec = write_records(tmp_path / "rec", [(1, 0, 11), (0, 1, 12)], list("abcde"),
                        ["x/ILSVRC2012_val_00000002.JPEG", "y/ILSVRC2012_val_00000004.JPEG"])
    fourth, second = answers_of(params(5), 5, (11, 12))
    real = write_real(tmp_path / "real.json", [[], [second], [], [fourth]])
    assert result_of(tmp_path, params(5), "--rec-dir", rec, "--real-labels", real)["real_labels"]["correct"] == 2


def test_records_without_names_of_few_classes_need_an_entry_for_each(tmp_path, params):
    rec = write_records(tmp_path / "rec", [(1, 0, 11), (0, 1, 12)], list("abcde"))
    one, zero = answers_of(params(5), 5, (11, 12))
    flags = "--rec-dir", rec, "--real-labels"
    assert result_of(tmp_path, params(5), *flags, write_real(tmp_path / "a.json", [[zero], [one]]))[
        "real_labels"]["correct"] == 2
    with pytest.raises(UserError, match="which is not known of the 2 images"):
        result_of(tmp_path, params(5), *flags, write_real(tmp_path / "b.json", [[zero], [one], [one]]))


@pytest.mark.parametrize("content, says", [
    ("{}", "is no list with a list"), ("[[1], 2]", "entry 2 is no list of class indices"),
    ("[[true]]", "entry 1 is no list of class indices"), ("[[-1]]", "entry 1 is no"), ("[[1.0]]", "entry 1 is no"),
    ("[[1]", "is no JSON"), ("[[7]]", "has class 7, the net only 5 outputs"),
    ("[[]]", "has no label for any of these images")])
def test_what_is_no_list_of_labels_is_refused(content, says, tmp_path, params):
    (tmp_path / "val" / "n0").mkdir(parents=True)
    for name in "abcd":
        (tmp_path / "val" / name).mkdir()
    (tmp_path / "val" / "n0" / "ILSVRC2012_val_00000001.JPEG").write_bytes(encoded(1))
    (tmp_path / "real.json").write_text(content)
    with pytest.raises(UserError, match=re.escape(f"--real-labels {tmp_path}/real.json: ") + ".*" + says):
        result_of(tmp_path, params(5), "--data-dir", tmp_path, "--real-labels", tmp_path / "real.json")


@pytest.mark.parametrize("flags, says", [
    (["--rec-val", "a.rec", "--data-backend", "mxnet"], "leave --data-backend mxnet out"),
    (["--dataset", "cifar10-excerpt"], "leave --dataset cifar10-excerpt out")])
def test_real_labels_are_of_imagenets_images(flags, says):
    with pytest.raises(UserError, match=says):
        evaluate.parse_args(["--model", "cifar_resnet20_v1", "--real-labels", "real.json", *flags])


# --- Class folders named by numbers (ImageNet-V2) -----------------------------------------------------------

def test_numbers_are_sorted_by_value_and_other_names_as_text():
    assert class_order({"10", "2", "1", "0"}) == ["0", "1", "2", "10"]
    assert class_order({"10", "2", "b"}) == ["10", "2", "b"] and class_order({"²", "10"}) == ["10", "²"]
    assert class_order({"01", "1", "002"}) == ["01", "1", "002"] and class_order([]) == []


def write_numbered(folder, count, images):
    """Folders 0 to count - 1, some with `images`, {label: seed}."""
    for label in range(count):
        (folder / str(label)).mkdir(parents=True)
    for label, seed in images.items():
        (folder / str(label) / "x.png").write_bytes(encoded(seed))
    return folder


def test_folders_of_class_indices_are_the_nets_labels(tmp_path, params, capsys):
    answers = answers_of(params(12), 12, range(20))
    chosen = {answer: seed for seed, answer in enumerate(answers)}          # all of them right
    folder = write_numbered(tmp_path / "v2", 12, chosen)
    images = FolderImages(folder)
    assert images.files[-1][1] == max(chosen)
    [warning] = order_warnings(images)
    assert "labels follow their value (0, 1, 2, ...); GluonCV sorts them as text" in warning
    found = result_of(tmp_path, params(12), "--data-dir", folder)
    assert found["top1"]["correct"] == found["images"] == len(chosen)
    assert "classes are named 0 to 11: taken as the net's labels" in capsys.readouterr().out


@pytest.mark.parametrize("names, is_taken", [
    ([f"{wnid} {name}" for wnid, name in imagenet_synsets()[:12]], True), (list("abcdefghijkl"), False),
    (sorted(map(str, range(12))), False), ([str(label) for label in range(12)], True)])
def test_a_nets_own_names_are_not_given_up_for_numbers(names, is_taken, tmp_path):
    params = write_params(tmp_path / "net.params", facts(12, names))
    folder = write_numbered(tmp_path / "v2", 12, {3: 1, 11: 2})
    if is_taken:
        assert result_of(tmp_path, params, "--data-dir", folder)["images"] == 2
        return
    with pytest.raises(UserError, match="both need the same classes in the same order"):
        result_of(tmp_path, params, "--data-dir", folder)
