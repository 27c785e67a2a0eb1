"""`python -m gluon_tricks evaluate`: counts that numpy finds too, whatever the batch size, and what is
refused."""

import hashlib
import json
import math
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd

from gluon_tricks.commands import evaluate as command
from gluon_tricks.data.cifar import find_cifar, open_cifar_test
from gluon_tricks.data.classes import imagenet_synsets
from gluon_tricks.data.imagenet_augment import RGB_MEAN, RGB_STD, ImagenetTestTransform
from gluon_tricks.data.manifest import Manifest, describe_split, record_row, write_manifest
from gluon_tricks.data.recordio import RecordReader, write_image_records
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.lines import ImagenetValidation
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved.described import saved_net
from gluon_tricks.saved.names import check_same_classes
from gluon_tricks.saved.predictions import best_classes
from gluon_tricks.saved.tally import Tally, margins_of
from gluon_tricks.training.evaluation import ranks_of
from tests.lab_runs import write_part_of_excerpt

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "imagenet-sample.tar"


# --- Counting -----------------------------------------------------------------------------------------------

def reference_is_among_top(row, label, k):
    """Sort the classes by output, highest first, lower index first among equals; is the label among the first
    k?"""
    return label in sorted(range(len(row)), key=lambda index: (-row[index], index))[:k]


@pytest.mark.parametrize("levels", [3, 1000])              # with many ties, and with hardly any
@pytest.mark.parametrize("classes", [3, 5, 10])
def test_top_k_follows_the_sorted_outputs(levels, classes):
    rng = np.random.default_rng(levels + classes)
    output = rng.integers(0, levels, (200, classes)).astype(np.float32)
    label = rng.integers(0, classes, 200)
    tally = Tally(1e-5)
    tally.add(output[:70], label[:70])
    tally.add(output[70:], label[70:])
    assert tally.images == 200
    assert tally.correct.tolist() == [sum(map(lambda row, own: reference_is_among_top(row, own, k), output,
                                              label))
                                      for k in (1, 5)]


def test_without_ties_it_is_mxnets_metric():
    rng = np.random.default_rng(0)
    output, label = rng.normal(size=(100, 20)).astype(np.float32), rng.integers(0, 20, 100)
    tally, top1, top5 = Tally(1e-5), mx.metric.Accuracy(), mx.metric.TopKAccuracy(5)
    tally.add(output, label)
    for metric in (top1, top5):
        metric.update([nd.array(label)], [nd.array(output)])
    assert tally.errors() == pytest.approx([1 - top1.get()[1], 1 - top5.get()[1]])


def test_equal_outputs_are_the_first_class_as_for_argmax():
    output = np.zeros((4, 4), np.float32)
    assert ranks_of(output, np.arange(4)).tolist() == [0, 1, 2, 3]
    assert output.argmax(axis=1).tolist() == [0, 0, 0, 0]


def test_margins_are_to_the_kth_of_the_others():
    output = np.array([[9, 1, 2, 3, 4, 5, 6]], np.float32)
    assert margins_of(output, np.array([0])).tolist() == [[9 - 6, 9 - 2]]       # others: 6 5 4 3 2 1
    assert margins_of(output, np.array([2])).tolist() == [[2 - 9, 2 - 3]]       # others: 9 6 5 4 3 1
    assert margins_of(output[:, :5], np.array([0])).tolist() == [[9 - 4, math.inf]]


def test_what_rounding_may_decide_is_counted():
    tally = Tally(1e-5)
    tally.add(np.array([[100, 100.0005, 0], [100, 100.01, 0], [3, 2, 1]], np.float32), np.array([0, 0, 0]))
    assert tally.correct.tolist() == [1, 3] and tally.close.tolist() == [1, 0]


def test_labels_below_zero_are_left_out():
    tally = Tally(1e-5)
    tally.add(np.array([[1, 0], [math.nan, 0], [1, 0]], np.float32), np.array([0, -1, 1]))
    assert tally.images == 2 and tally.correct.tolist() == [1, 2]


@pytest.mark.parametrize("output, label, says", [([[math.nan, 1.0]], [0], "not finite"),
                                                 ([[0.0, 1.0]], [2], "label 2, the net only 2 outputs")])
def test_outputs_that_cannot_be_counted_are_refused(output, label, says):
    with pytest.raises(UserError, match=says):
        Tally(1e-5).add(np.array(output, np.float32), np.array(label))


# --- Real runs on CIFAR-10's excerpt ------------------------------------------------------------------------

IMAGES = 120


@pytest.fixture(scope="module")
def cifar_data(tmp_path_factory):
    """The first test images of the excerpt."""
    return write_part_of_excerpt(tmp_path_factory.mktemp("cifar"), train=1, test=IMAGES)


@pytest.fixture(scope="module")
def cifar_params(cifar_data, tmp_path_factory):
    """cifar_resnet20_v1 after 48 updates on most of the test images."""
    images = open_cifar_test(find_cifar("cifar10-excerpt", cifar_data), 16, 0).val
    mx.random.seed(0)
    net = get_model("cifar_resnet20_v1")
    net.initialize(mx.init.Xavier())
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "nag", {"learning_rate": 0.05, "momentum": 0.9})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    for _ in range(8):
        for batch in list(images.epoch(0))[:6]:
            with autograd.record():
                value = loss(net(batch.data), batch.label)
            value.backward()
            trainer.step(len(batch.label))
    path = tmp_path_factory.mktemp("params") / "cifar.params"
    net.save_parameters(str(path))
    return path


@pytest.fixture(scope="module")
def cifar_flags(cifar_params, cifar_data):
    return ["--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--params-file",
            str(cifar_params), "--data-dir", str(cifar_data)]


def evaluate(tmp_path, *flags):
    """What --json says of a run in this process."""
    assert command.main([*flags, "--json", str(tmp_path / "result.json")]) == 0
    return json.loads((tmp_path / "result.json").read_text())


def counts(result):
    return result["images"], result["top1"]["correct"], result["top5"]["correct"]


@pytest.fixture(scope="module")
def cifar_hits(cifar_params, cifar_data):
    """bool, shape (images, 2): top-1 and top-5 found without the kit's loop: all at once, sorted by numpy."""
    data = open_cifar_test(find_cifar("cifar10-excerpt", cifar_data), IMAGES, 0).val
    [batch] = data.epoch(0)
    net = get_model("cifar_resnet20_v1")
    net.load_parameters(str(cifar_params))
    order, label = np.argsort(-net(batch.data).asnumpy(), axis=1), batch.label.asnumpy()[:, None]
    return np.stack([(order[:, :k] == label).any(axis=1) for k in (1, 5)], axis=1)


@pytest.fixture(scope="module")
def cifar_counts(cifar_hits):
    """`(images, top-1, top-5)`."""
    return len(cifar_hits), *cifar_hits.sum(axis=0).tolist()


@pytest.mark.parametrize("batch_size, workers", [(7, 0), (16, 1), (16, 3), (IMAGES, 2), (2 * IMAGES, 1)])
@pytest.mark.slow
def test_the_count_is_numpys_whatever_batch_and_workers(batch_size, workers, cifar_flags, cifar_counts,
                                                        tmp_path):
    result = evaluate(tmp_path, *cifar_flags, "--batch-size", str(batch_size), "-j", str(workers))
    assert IMAGES // 10 < cifar_counts[1] < IMAGES * 9 // 10         # neither nothing learned nor all
    assert result["top1"]["within_rounding"] == result["top5"]["within_rounding"] == 0
    assert counts(result) == cifar_counts


@pytest.mark.slow
def test_the_count_is_numpys_one_by_one(cifar_flags, cifar_counts, tmp_path):
    assert counts(evaluate(tmp_path, *cifar_flags, "--batch-size", "1", "-j", "2")) == cifar_counts


@pytest.mark.slow
def test_bfloat16_is_evaluated(cifar_flags, cifar_counts):
    # in a process of its own: amp patches operators
    done = run(*cifar_flags, "--dtype", "bfloat16")
    [correct] = re.findall(rf"top-1: correct (\d+) of {IMAGES}", done.stdout)
    assert abs(int(correct) - cifar_counts[1]) < IMAGES // 20


def run(*flags, check=0):
    done = subprocess.run([sys.executable, "-m", "gluon_tricks", "evaluate", *flags], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == check, done.stderr
    return done


@pytest.mark.slow
def test_a_run_says_and_writes_what_was_found(cifar_params, cifar_data, cifar_flags, cifar_counts, tmp_path):
    path = tmp_path / "new folder" / "result.json"
    done = run(*cifar_flags, "--json", str(path))
    images, top1, top5 = cifar_counts
    lines = done.stdout.splitlines()
    assert done.stderr == ""                              # no bar where nobody looks at it
    # GluonCV's number
    assert lines[0].startswith("cifar_resnet20_v1: 274,042 parameters with statistics")
    assert lines[
        2] == f"top-1: correct {top1} of {images}, {100 * top1 / images:.2f} % (0 within rounding of a tie)"
    spoken = str(ImagenetValidation(0, 1 - top1 / images, 1 - top5 / images))
    assert spoken == f"[Epoch 0] {lines[4]}"              # GluonCV's words
    # a batch of 32 less
    assert re.match(rf"speed: [\d.]+ images/s over {IMAGES - 32} images, .*without the first batch", lines[5])

    result = json.loads(path.read_text())
    assert counts(result) == cifar_counts
    assert result["params_sha256"] == hashlib.sha256(cifar_params.read_bytes()).hexdigest()
    manifest = json.loads((cifar_data / "manifest.json").read_text())
    assert result["data"]["root_hash"] == manifest["root_hash"]
    assert result["data"]["classes_sha256"] == manifest["classes_sha256"]
    assert result["command"].startswith("python -m gluon_tricks evaluate --dataset cifar10-excerpt --model")
    assert result["versions"]["mxnet"] == mx.__version__ and result["speed"]["images"] == IMAGES - 32


@pytest.mark.slow
def test_one_batch_gives_no_speed(cifar_flags, tmp_path, capsys):
    result = evaluate(tmp_path, *cifar_flags, "--batch-size", str(IMAGES))
    assert result["speed"]["images_per_s"] is None
    assert "speed: not measured" in capsys.readouterr().out


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.count("python -m gluon_tricks evaluate --") == 6


# --- Photographs: records and folders -----------------------------------------------------------------------

COLOURS = np.array([[220, 40, 40], [40, 200, 40], [40, 40, 220], [200, 200, 60]])
CLASSES = list("abcd")


def jpegs(count):
    """Photographs of uniform noise about the colour of their class, 40 to 90 pixels wide and high."""
    rng = np.random.default_rng(0)
    for key in range(count):
        size = (int(rng.integers(40, 90)), int(rng.integers(40, 90)), 3)
        image = np.clip(COLOURS[key % 4] + rng.normal(0, 20, size), 0, 255).astype(np.uint8)
        yield key % 4, cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()


def write_records(folder, images, manifest_labels=None):
    """val.rec of (label, encoded image), with a manifest if labels for it are given."""
    folder.mkdir(exist_ok=True)
    list(write_image_records(folder / "val.rec", folder / "val.idx",
                             [(key, label, 0, image) for key, (label, image) in enumerate(images)]))
    if manifest_labels is not None:
        reader = RecordReader(folder / "val.rec")
        rows = [record_row(key, label, reader.read(key)) for key, label in enumerate(manifest_labels)]
        split = describe_split(folder, "val", CLASSES, rows)
        write_manifest(folder, Manifest("imagenet", CLASSES, {}, {"val": split}, "test"))
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records"), jpegs(10), [key % 4 for key in range(10)])


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """resnet18_v1b with four classes, not trained."""
    mx.random.seed(3)
    net = get_model("resnet18_v1b", classes=4)
    net.initialize(mx.init.Xavier())
    path = tmp_path_factory.mktemp("params") / "resnet18.params"
    net.save_parameters(str(path))
    return path


def flags(params, *more):
    return ["--model", "resnet18_v1b", "--params-file", str(params), "--input-size", "32", "--batch-size",
            "4", "-j", "1", *map(str, more)]


def test_records_and_folders_of_the_same_images_count_the_same(records, params, tmp_path):
    for key, (label, image) in enumerate(jpegs(10)):
        (tmp_path / "val" / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "val" / CLASSES[label] / f"{key}.JPEG").write_bytes(image)
    normalisation = ["--rgb-mean", "124,117,104", "--rgb-std", "58,57,57"]
    by_records = evaluate(tmp_path, *flags(params, "--rec-dir", records, *normalisation))
    for folder in (tmp_path, tmp_path / "val"):
        assert counts(evaluate(tmp_path,
                               *flags(params, "--data-dir", folder, *normalisation))) == counts(by_records)

    net = get_model("resnet18_v1b", classes=4)            # and as counted by hand
    net.load_parameters(str(params))
    transform = ImagenetTestTransform(32, 0.875, (124, 117, 104), (58, 57, 57))
    images = transform([cv2.imdecode(np.frombuffer(image, np.uint8), 1)[..., ::-1] for _, image in jpegs(10)],
                       None, 0)
    right = (net(nd.array(images)).asnumpy().argmax(axis=1) == np.arange(10) % 4).sum()
    assert counts(by_records) == (10, right, 10)          # top-5 of four classes


def test_exact_counts_each_image_once_and_gluoncvs_window_some_twice(records, params, tmp_path):
    by_flags = {protocol: evaluate(tmp_path, *flags(params, "--rec-dir", records, *more))
                for protocol, more in {"ours": [], "mxnet": ["--data-backend", "mxnet"],
                                       "window": ["--val-protocol", "gluoncv"]}.items()}
    assert {protocol: result["images"] for protocol, result in by_flags.items()} == {"ours": 10, "mxnet": 10,
                                                                                     "window": 12}
    assert [by_flags[name]["data"]["protocol"] for name in ("mxnet", "window")] == ["exact", "gluoncv"]


def test_a_bad_record_ends_the_run_or_is_named_and_left_out(params, tmp_path, capsys):
    good = list(jpegs(10))
    bad = write_records(tmp_path / "bad", [(label, b"not a JPEG" if key == 5 else image)
                                           for key, (label, image) in enumerate(good)])
    rest = write_records(tmp_path / "rest", [record for key, record in enumerate(good) if key != 5])
    with pytest.raises(UserError, match=r"val.rec, key 5, offset \d+: the image does not decode; "
                                        r".*--on-bad-record skip"):
        command.main(flags(params, "--rec-dir", bad))
    left = evaluate(tmp_path, *flags(params, "--rec-dir", bad, "--on-bad-record", "skip"))
    assert "1 images do not decode and are left out" in capsys.readouterr().out
    assert counts(left) == counts(evaluate(tmp_path, *flags(params, "--rec-dir", rest)))
    assert left["images"] == 9 and "key 5" in left["data"]["left_out"][0]


def test_a_damaged_frame_is_left_out_too(params, tmp_path):
    folder = write_records(tmp_path / "records", jpegs(10))
    offset = RecordReader(folder / "val.rec").offsets[3]
    with open(folder / "val.rec", "r+b") as stream:
        stream.seek(int(offset))
        stream.write(b"XXXX")
    with pytest.raises(UserError, match="key 3, offset .* no record begins there"):
        command.main(flags(params, "--rec-dir", folder))
    result = evaluate(tmp_path, *flags(params, "--rec-dir", folder, "--on-bad-record", "skip"))
    assert result["images"] == 9 and "no record begins there" in result["data"]["left_out"][0]


def test_a_bad_file_in_a_folder_is_left_out(params, tmp_path):
    for key, (label, image) in enumerate(jpegs(8)):
        (tmp_path / CLASSES[label]).mkdir(exist_ok=True)
        (tmp_path / CLASSES[label] / f"{key}.JPEG").write_bytes(b"" if key == 2 else image)
    with pytest.raises(UserError, match="c/2.JPEG: the image does not decode"):
        command.main(flags(params, "--data-dir", tmp_path))
    assert evaluate(tmp_path,
                    *flags(params, "--data-dir", tmp_path, "--on-bad-record", "skip"))["images"] == 7


def test_labels_that_are_not_the_manifests_are_refused(params, tmp_path):
    folder = write_records(tmp_path / "records", jpegs(8), [0] * 8)      # key 1 has label 1
    with pytest.raises(UserError, match=r"key 1, offset \d+: label 1, manifest 0"):
        command.main(flags(params, "--rec-dir", folder))


@pytest.mark.parametrize("label", [-1, 0.5])
def test_labels_that_are_no_class_are_refused(params, tmp_path, label):
    folder = write_records(tmp_path / "records", [(label, image) for _, image in jpegs(2)])
    with pytest.raises(UserError, match=f"label {label}.* is no class index"):
        command.main(flags(params, "--rec-dir", folder))
    if label == -1:
        with pytest.raises(UserError, match="key 0, offset 0: label -1 is not in 0, 1, 2"):
            command.main(flags(params, "--rec-dir", folder, "--data-backend", "mxnet", "--batch-size", "2"))


# --- Predictions --------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """test.rec of ten images without labels, and their names."""
    folder = tmp_path_factory.mktemp("unlabelled")
    list(write_image_records(folder / "test.rec", folder / "test.idx",
                             [(key, -1, 0, image) for key, (_, image) in enumerate(jpegs(10))]))
    reader = RecordReader(folder / "test.rec")
    split = describe_split(folder, "test", CLASSES,
                           [record_row(key, -1, reader.read(key)) for key in range(10)])
    names = [f"test_{key:02d}.jpg" for key in range(10)]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    write_manifest(folder, Manifest("imagenet", CLASSES, {}, {"test": split}, "test",
                                    options={"names": {"test": digest}}))
    (folder / "test.names.txt").write_text("\n".join(names) + "\n")
    return folder


def test_images_without_labels_are_answered_one_a_line(unlabelled, records, params, tmp_path, capsys):
    file = tmp_path / "new" / "submission.txt"
    result = evaluate(tmp_path, *flags(params, "--rec-val", unlabelled / "test.rec", "--predictions", file))
    said = capsys.readouterr().out
    assert "top-1" not in said and f"predictions: the best classes of 10 images, in {file}" in said
    assert "top1" not in result and result["images"] == 0 and result["predictions"]["images"] == 10
    net = get_model("resnet18_v1b", classes=4)
    net.load_parameters(str(params))
    images = ImagenetTestTransform(32, 0.875, RGB_MEAN, RGB_STD)(
        [cv2.imdecode(np.frombuffer(image, np.uint8), 1)[..., ::-1] for _, image in jpegs(10)], None, 0)
    rows = [sorted(range(4), key=lambda k, row=row: -row[k]) for row in net(nd.array(images)).asnumpy()]
    assert file.read_text().splitlines() == [
        f"test_{key:02d}.jpg {' '.join(map(str, row))}" for key, row in enumerate(rows)]

    # the same images
    labelled = evaluate(tmp_path, *flags(params, "--rec-dir", records, "--predictions", file))
    lines = [line.split() for line in file.read_text().splitlines()]
    # no names there
    assert [line[0] for line in lines] == [str(key) for key in range(10)]
    assert labelled["top1"]["correct"] == sum(int(line[1]) == int(line[0]) % 4 for line in lines)


def test_of_equal_outputs_the_lower_class_is_predicted_first():
    assert best_classes(np.array([[1, 2, 2, 0, 2, 0, 1]], np.float32)).tolist() == [[1, 2, 4, 0, 6]]
    with pytest.raises(UserError, match="not finite"):
        best_classes(np.array([[1, math.nan]], np.float32))


def test_names_are_those_that_were_prepared(unlabelled, params, tmp_path):
    words = flags(params, "--rec-val", tmp_path / "test.rec", "--predictions", tmp_path / "x.txt")
    for path in unlabelled.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    names = (unlabelled / "test.names.txt").read_text()
    for other in (names.replace("03", "93"), names.rsplit("\n", 2)[0] + "\n"):
        (tmp_path / "test.names.txt").write_text(other)
        with pytest.raises(UserError,
                           match="test.names.txt: is not the file that was prepared with test.rec"):
            command.main(words)
    assert not (tmp_path / "x.txt").exists()


def test_without_labels_there_is_no_accuracy(unlabelled, params):
    with pytest.raises(UserError, match="test.rec: its images have no labels, so there is no accuracy; give "
                                        "--predictions"):
        command.main(flags(params, "--rec-val", unlabelled / "test.rec"))
    (unlabelled / "manifest.json").rename(unlabelled / "hidden.json")
    try:
        # nothing says that it may
        with pytest.raises(UserError, match="label -1.* is no class index"):
            command.main(flags(params, "--rec-val", unlabelled / "test.rec", "--predictions",
                               unlabelled / "x.txt"))
    finally:
        (unlabelled / "hidden.json").rename(unlabelled / "manifest.json")


def test_labels_beyond_the_nets_outputs_are_refused(params, tmp_path):
    folder = write_records(tmp_path / "records", [(label + 1, image) for label, image in jpegs(4)])
    with pytest.raises(UserError, match="label 4, the net only 4 outputs"):
        command.main(flags(params, "--rec-dir", folder))


def test_a_record_may_not_be_edited_behind_the_manifests_back(params, tmp_path):
    folder = write_records(tmp_path / "records", jpegs(4), range(4))
    with open(folder / "val.rec", "r+b") as stream:
        stream.truncate(100)
    with pytest.raises(UserError, match="val.rec"):
        command.main(flags(params, "--rec-dir", folder))


def test_published_weights_want_ilsvrc2012s_order():
    names = [f"{wnid} {name}" for wnid, name in imagenet_synsets()]
    published = saved_net(None, {"model": "resnet18_v1b"}).certain_names(1000)
    for same in (names, [wnid for wnid, _ in imagenet_synsets()], None):
        check_same_classes("--model resnet18_v1b", published, "val", same)
    with pytest.raises(UserError, match="--model resnet18_v1b: label 0 is 'n01440764 tench', but '0' in val"):
        check_same_classes("--model resnet18_v1b", published, "val", sorted(map(str, range(1000))))


# --- What does not fit together -----------------------------------------------------------------------------

@pytest.mark.slow
def test_flags_data_file_and_net_must_agree_about_the_classes(records, params, cifar_params):
    with pytest.raises(UserError, match="--classes 5: the data have 4"):
        command.main(flags(params, "--rec-dir", records, "--classes", 5))
    ten = ["--model", "cifar_resnet20_v1", "--params-file", str(cifar_params), "--rec-dir", str(records)]
    with pytest.raises(UserError, match="--params-file .*: its classifier has 10 classes, the data have 4"):
        command.main(ten)


def test_another_nets_parameters_are_refused(records, params):
    with pytest.raises(UserError, match="is of another net than --model resnet50_v1b: layer1.0.conv3.weight "
                                        "and"):
        command.main([*flags(params, "--rec-dir", records), "--model", "resnet50_v1b"])


@pytest.mark.parametrize("damage", ["cut", "text", "none", "missing"])
def test_damaged_parameters_are_refused(records, params, tmp_path, damage):
    path = tmp_path / "bad.params"
    if damage != "missing":
        path.write_bytes({"cut": params.read_bytes()[:1_000_000], "text": b"text " * 100,
                          "none": b""}[damage])
    with pytest.raises(UserError,
                       match="--params-file .*bad.params: " + ("cannot be read" if damage == "missing" else
                                                                          "is no parameter file, or a "
                                                                          "damaged one")):
        command.main(flags(path, "--rec-dir", records))


def test_parameters_of_a_training_that_diverged_are_refused(records, params, tmp_path):
    net = get_model("resnet18_v1b", classes=4)
    net.load_parameters(str(params))
    net.fc.bias.set_data(nd.array([0, math.nan, 0, 0]))
    net.save_parameters(str(tmp_path / "nan.params"))
    with pytest.raises(UserError, match="outputs are not finite"):
        command.main(flags(tmp_path / "nan.params", "--rec-dir", records))


@pytest.mark.parametrize("more, says", [
    (["--rec-dir", "x", "--use-rec"], "--rec-dir and --rec-val: give one"),
    (["--rec-dir", "x", "--data-dir", "y"], "leave --data-dir and --dataset out"),
    (["--val-protocol", "gluoncv"], "give --rec-dir or --rec-val"),
    (["--rec-dir", "x", "--val-protocol", "gluoncv", "--data-backend", "ours"], "leave --data-backend out"),
    (["--rec-dir", "x", "--data-backend", "mxnet", "--on-bad-record", "skip"], "needs --data-backend ours"),
    (["--dataset", "cifar10", "--input-size", "64"], "32 x 32 pixels"),
    (["--pretrained"], "--params-file and --pretrained: give one"),
    (["--batch-size", "0"], "--batch-size 0: must be at least 1"),
    (["-j", "-1"], "--num-data-workers -1"),
    (["--rgb-std", "1,2"], "--rgb-std 1,2: give three numbers"),
    (["--deploy"], "--deploy and --model-prefix: give both or neither"),
    (["--rec-dir", "nowhere"], "--rec-val nowhere/val.rec: does not exist"),
    (["--data-dir", "nowhere"], "--data-dir: nowhere has no class folders"),
])
def test_flags_that_contradict_each_other_or_are_out_of_range(params, more, says):
    with pytest.raises(UserError, match=re.escape(says)):
        command.main(flags(params, *more))


@pytest.mark.slow
def test_a_mistake_is_one_sentence_and_exit_code_2(params):
    done = run(*flags(params, "--rec-dir", "nowhere"), check=2)
    assert done.stderr == ("python -m gluon_tricks evaluate: error: --rec-val nowhere/val.rec: does not "
                           "exist; make it with data_prep/imagenet.py\n")


# --- The 160 photographs ------------------------------------------------------------------------------------

@pytest.mark.shared
@pytest.mark.skipif(not PHOTOGRAPHS.exists(), reason=f"the photographs are not at {PHOTOGRAPHS}")
@pytest.mark.slow
def test_photographs_are_counted_alike_in_batches_of_all_sizes(tmp_path):
    with tarfile.open(PHOTOGRAPHS) as archive:
        archive.extractall(tmp_path / "photographs")
    [folder] = {path.parent.parent for path in (tmp_path / "photographs").rglob("*.JPEG")}
    net = get_model("resnet18_v1b", classes=160)
    mx.random.seed(0)
    net.initialize(mx.init.Xavier())
    net.save_parameters(str(tmp_path / "net.params"))
    results = [evaluate(tmp_path, *flags(tmp_path / "net.params", "--data-dir", folder, "--input-size", 64,
                                         "--batch-size", size)) for size in (3, 32, 160)]
    least = min(result["top5"]["correct"] for result in results)
    assert all(result["images"] == 160 for result in results)
    assert all(result["top5"]["correct"]
               - least <= results[0]["top5"]["within_rounding"] for result in results)
