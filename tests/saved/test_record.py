"""Records of parameters: what a training leaves next to them, and what reads it instead of flags."""

import json
import re
import shutil

import cv2
import mxnet as mx
import numpy as np
import pytest

import train_imagenet
from gluon_tricks.commands import evaluate, export
from gluon_tricks.data.manifest import Manifest, describe_split, record_row, write_manifest
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.saved.names import check_same_classes
from gluon_tricks.saved.record import NetFacts, checked, find_run, run_of
from gluon_tricks.script import imagenet as build
from gluon_tricks.script.auto_dtype import as_asked
from gluon_tricks.script.imagenet_data import open_data
from gluon_tricks.script.teacher import build_teacher, check_zoo_teacher, teacher_parts

COLOURS = np.array([[220, 40, 40], [40, 200, 40], [40, 40, 220], [200, 200, 60]])
NAMES = ["apple", "leaf", "sea", "sun"]
PIXELS = ["--rgb-mean", "0,0,0", "--rgb-std", "255,255,255", "--crop-ratio", "1"]


def write_records(folder, names=NAMES, parts=(("train", 8), ("val", 12)), labels=None):
    """Record files of images of one colour, label k in colour `labels[k]`, with a manifest of these names."""
    rng, splits = np.random.default_rng(1), {}
    folder.mkdir(parents=True)
    for part, count in parts:
        records = []
        for key in range(count):
            size = (int(rng.integers(40, 60)), int(rng.integers(40, 60)), 3)
            colour = COLOURS[(labels or range(4))[key % 4]]
            image = np.clip(colour + rng.normal(0, 20, size), 0, 255).astype(np.uint8)
            records.append((key, key % 4, 0, cv2.imencode(".png", image[..., ::-1])[1].tobytes()))
        rows = [record_row(*row) for row in write_image_records(folder / f"{part}.rec", folder / f"{part}.idx",
                                                                records)]
        splits[part] = describe_split(folder, part, names, rows)
    if names:
        write_manifest(folder, Manifest("imagenet", names, {}, splits, "test"))
    return folder


def words(data, *more):
    """Flags of train_imagenet.py."""
    paths = [word for part in ("train", "val") for word in (
        f"--rec-{part}", f"{data}/{part}.rec", f"--rec-{part}-idx", f"{data}/{part}.idx")]
    return ["--use-rec", *paths, "--data-backend", "ours", "--num-training-samples", "8", "--model",
            "cifar_resnet20_v1", "--input-size", "32", "--batch-size", "4", "-j", "1", "--num-epochs", "1",
            "--mode", "hybrid", "--lr", "0.02", *map(str, more)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`(folder of the parameters, data, parameter file, record of the last epoch)`."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_records(folder / "data")
    assert train_imagenet.main(words(data, *PIXELS, "--save-dir", folder / "params", "--logging-file",
                                     folder / "run.log")) == 0
    last = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()][-1]
    return folder / "params", data, folder / "params" / "imagenet-cifar_resnet20_v1-0.params", last


@pytest.fixture
def carried(trained, tmp_path):
    """The parameters and their record under another name in another folder: nothing else of the run."""
    for suffix in (".params", ".json"):
        shutil.copy(trained[2].with_suffix(suffix), tmp_path / f"fruit{suffix}")
    return tmp_path / "fruit.params"


def evaluated(tmp_path, *flags):
    assert evaluate.main([*map(str, flags), "-j", "0", "--json", str(tmp_path / "result.json")]) == 0
    return json.loads((tmp_path / "result.json").read_text())


# --- What a training leaves ---------------------------------------------------------------------------------

def test_each_parameter_file_has_a_record_of_its_own(trained):
    folder, data, params, _ = trained
    files = sorted(path.stem for path in folder.glob("*.params"))
    assert len(files) == 2 and files == sorted(path.stem for path in folder.glob("*.json"))
    content = json.loads(params.with_suffix(".json").read_text())
    root_hash = json.loads((data / "manifest.json").read_text())["root_hash"]
    assert content["net"] == {
        "model": "cifar_resnet20_v1", "switches": {}, "classes": 4, "class_names": NAMES, "dataset": "imagenet",
        "input_size": 32, "channels": 3, "crop": "center", "crop_ratio": 1.0, "rgb_mean": [0, 0, 0],
        "rgb_std": [255, 255, 255], "data_root_hash": root_hash, "task": "classification"}
    assert json.loads((folder.parent / "run" / "run.json").read_text())["net"] == content["net"]


def test_the_figure_is_the_trainings_without_a_flag_but_file_and_data(trained, carried, tmp_path):
    _, data, _, last = trained
    result = evaluated(tmp_path, "--params-file", carried, "--rec-dir", data)
    assert result["images"] == 12
    assert (result["top1"]["err"], result["top5"]["err"]) == (last["err_top1"], last["err_top5"])
    # where the run's data still are, not even these
    assert evaluated(tmp_path, "--params-file", carried)["data"]["path"] == str(data / "val.rec")


def test_the_images_are_prepared_as_recorded(trained, carried, tmp_path):
    batch = next(iter(evaluate.open_data(evaluate.parse_args(
        ["--params-file", str(carried), "--rec-dir", str(trained[1]), "-j", "0"])).loader.epoch(0)))
    engine = SingleProcess([mx.cpu()])
    own = next(iter(open_data(train_imagenet.parse_args(words(trained[1], *PIXELS)), engine).val.epoch(0)))
    np.testing.assert_array_equal(batch.data.asnumpy(), own.data.asnumpy())
    assert batch.data.asnumpy().min() >= 0 and batch.data.asnumpy().max() <= 1


@pytest.mark.parametrize("flags, says", [
    (["--model", "resnet18_v1b"], "--model resnet18_v1b: the run that left PARAMS had cifar_resnet20_v1"),
    (["--dataset", "cifar10"], "--dataset cifar10: the run that left PARAMS had imagenet"),
    (["--model-kwargs", "last_bn=True"], "--model-kwargs last_bn=true: the run that left PARAMS had none"),
    (["--use-gn"], "--use-gn GroupNorm: the run that left PARAMS had BatchNorm"),
    (["--classes", "5"], "--classes 5: the run that left PARAMS had 4"),
    (["--input-size", "64"], "--input-size 64: the run that left PARAMS had 32"),
    (["--crop-ratio", "0.875"], "--crop-ratio 0.875: the run that left PARAMS had 1.0"),
    (["--rgb-mean", "123.68,116.779,103.939"], "--rgb-mean 123.68,116.779,103.939: the run that left PARAMS "
                                               "had 0,0,0"),
    (["--rgb-std", "1,1,1"], "--rgb-std 1,1,1: the run that left PARAMS had 255,255,255"),
    (["--augment", "gluoncv"], "--augment gluoncv: is for the data sets of train_cifar.py")])
def test_a_flag_that_contradicts_the_record_is_refused(carried, flags, says):
    for parse, out in ((evaluate.parse_args, []), (export.parse_args, ["--out", "x.onnx"])):
        if parse is export.parse_args or flags[0] != "--dataset":
            with pytest.raises(UserError, match=re.escape(says.replace("PARAMS", str(carried)))):
                parse(["--params-file", str(carried), *flags, *out])


def test_flags_that_agree_may_be_given_and_none_uses_no_record(carried):
    args = evaluate.parse_args(["--params-file", str(carried), *PIXELS, "--input-size", "32", "--classes", "4"])
    assert args.saved.run and args.saved.facts.class_names == NAMES
    args = evaluate.parse_args(["--params-file", str(carried), "--run-json", "none", "--model", "resnet18_v1b"])
    assert args.saved.run is None and args.saved.facts.input_size == 224


# --- Classes ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("names, says", [
    (["apple", "leaf", "sky", "sun"], "label 2 is 'sea', but 'sky' in "),
    (["apple", "sea", "leaf", "sun"], "label 1 is 'leaf', but 'sea' in ")])
def test_data_with_other_class_names_are_refused(carried, tmp_path, names, says):
    other = write_records(tmp_path / "other", names, [("val", 4)])
    with pytest.raises(UserError, match=re.escape(f"{carried}: {says}{other / 'val.rec'}; both need the same")):
        evaluate.main(["--params-file", str(carried), "--rec-dir", str(other), "-j", "0"])


def test_class_folders_are_compared_too(carried, tmp_path):
    for name in ("apple", "leaf", "sky", "sun"):
        (tmp_path / "val" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "val" / name / "0.png"), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(UserError, match="label 2 is 'sea', but 'sky' in"):
        evaluate.main(["--params-file", str(carried), "--data-dir", str(tmp_path), "-j", "0"])
    (tmp_path / "val" / "sky").rename(tmp_path / "val" / "sea")
    assert evaluated(tmp_path, "--params-file", carried, "--data-dir", tmp_path)["images"] == 4


def test_records_without_names_are_compared_by_number_only(carried, tmp_path):
    other = write_records(tmp_path / "other", NAMES, [("val", 4)])
    (other / "manifest.json").unlink()
    assert evaluated(tmp_path, "--params-file", carried, "--rec-dir", other)["images"] == 4


def test_a_wnid_is_the_same_class_with_and_without_a_name():
    check_same_classes("x", ["n01440764 tench", "b"], "y", ["n01440764", "b"])
    check_same_classes("x", ["n01440764 tench"], "y", ["n01440764 Tinca tinca"])
    for other in (["n01443537 tench"], ["tench"], ["n014407640"]):
        with pytest.raises(UserError, match="x: label 0 is 'n01440764 tench', but"):
            check_same_classes("x", ["n01440764 tench"], "y", other)
    with pytest.raises(UserError, match="x: has 1 classes, y 2"):
        check_same_classes("x", ["a"], "y", ["a", "b"])


# --- The teacher --------------------------------------------------------------------------------------------

def teacher_of(data, teacher, *flags):
    args = train_imagenet.parse_args(words(data, "--teacher", teacher, *flags))
    engine = SingleProcess([mx.cpu()])
    return build_teacher(args, build.net_facts(args, open_data(args, engine)), as_asked(args), engine)


def test_a_teacher_needs_no_name_and_is_the_recorded_net(trained, carried):
    by_file, by_name = (teacher_of(trained[1], teacher, *PIXELS)
                        for teacher in (carried, f"cifar_resnet20_v1:{carried}"))
    images = mx.nd.random.uniform(shape=(2, 3, 32, 32))
    assert (by_file(images) == by_name(images)).asnumpy().all() and by_file(images).shape == (2, 4)


@pytest.mark.parametrize("teacher, flags, says", [
    ("FILE", [], "was trained with mean 0,0,0 and deviation 255,255,255 (see RECORD), not with mean 123.68,"),
    ("resnet18_v1b:FILE", PIXELS, "was trained as a cifar_resnet20_v1 (see RECORD), not as a resnet18_v1b")])
def test_a_teacher_that_saw_other_images_or_is_another_net_is_refused(trained, carried, teacher, flags, says):
    says = says.replace("RECORD", str(carried.with_suffix(".json")))
    with pytest.raises(UserError, match=re.escape(says)):
        teacher_of(trained[1], teacher.replace("FILE", str(carried)), *flags)


def test_a_teacher_of_other_classes_is_refused_by_name(carried, tmp_path):
    other = write_records(tmp_path / "other", ["apple", "leaf", "sky", "sun"])
    with pytest.raises(UserError, match=f"--teacher {carried}: label 2 is 'sea', but 'sky' in the training set"):
        teacher_of(other, carried, *PIXELS)


def test_the_zoos_weights_are_no_teacher_for_other_pixels():
    student = NetFacts("resnet18_v1b", {}, 1000, None, "imagenet", 32, 3, "center", 0.875, (0, 0, 0),
                       (58.393, 57.12, 57.375))
    with pytest.raises(UserError, match="the zoo's weights are for --rgb-mean 123.68,116.779,103.939"):
        check_zoo_teacher("resnet50_v1d", student)
    check_zoo_teacher("resnet50_v1d", student._replace(rgb_mean=(123.675, 116.28, 103.53)))


def test_name_and_file_of_a_teacher():
    assert [teacher_parts(word) for word in ("resnet50_v1d", "a:b.params", "b.params", "/x:y/b.params")] == [
        ("resnet50_v1d", ""), ("a", "b.params"), ("", "b.params"), ("", "/x:y/b.params")]


# --- Export -------------------------------------------------------------------------------------------------

def test_the_record_goes_into_the_metadata_of_an_onnx_model(trained, carried, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: make onnx")
    assert export.main(["--params-file", str(carried), "--out", str(tmp_path / "net.onnx")]) == 0
    says = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "net.onnx")).metadata_props}
    assert (says["mean"], says["std"], says["crop_ratio"], says["crop"]) == ("0,0,0", "255,255,255", "1.0",
                                                                             "center")
    assert json.loads(says["class_names"]) == NAMES and json.loads(says["switches"]) == {}
    assert says["data_root_hash"] == json.loads((trained[1] / "manifest.json").read_text())["root_hash"]


def test_the_record_goes_with_an_exported_symbol(trained, carried, tmp_path):
    out = tmp_path / "net"
    assert export.main(["--params-file", str(carried), "--format", "symbol", "--out", str(out)]) == 0
    deployed = evaluated(tmp_path, "--deploy", "--model-prefix", out, "--rec-dir", trained[1])
    assert deployed["top1"]["err"] == trained[3]["err_top1"]
    other = write_records(tmp_path / "other", ["apple", "leaf", "sky", "sun"], [("val", 4)])
    with pytest.raises(UserError, match="label 2 is 'sea', but 'sky' in"):
        evaluate.main(["--deploy", "--model-prefix", str(out), "--rec-dir", str(other), "-j", "0"])
    with pytest.raises(UserError, match="--crop-ratio 0.5: the run that left .*net-0000.params had 1.0"):
        evaluate.parse_args(["--deploy", "--model-prefix", str(out), "--crop-ratio", "0.5"])


# --- Records that are wrong ---------------------------------------------------------------------------------

def test_without_a_record_the_message_names_the_file_to_copy(carried):
    carried.with_suffix(".json").unlink()
    with pytest.raises(UserError, match="--model: .*fruit.params has no record .*, fruit.json; copy that with it"):
        evaluate.parse_args(["--params-file", str(carried)])


def test_the_record_of_other_parameters_is_refused(trained, carried):
    best = next(path for path in trained[0].glob("*best.params"))
    carried.write_bytes(best.read_bytes()[:-1] + bytes([best.read_bytes()[-1] ^ 1]))
    with pytest.raises(UserError, match="fruit.params: the record next to it, fruit.json, is of other "
                                        "parameters: their SHA-256 differs"):
        find_run(carried)


def test_a_result_may_not_overwrite_the_record(carried):
    with pytest.raises(UserError, match="--json .*fruit.json: is the record of the net"):
        evaluate.parse_args(["--params-file", str(carried), "--json", str(carried.with_suffix(".json"))])


@pytest.mark.parametrize("change", [
    {"model": 3}, {"model": "x\x1b[2J"}, {"switches": []}, {"classes": True}, {"classes": 1 << 40},
    {"class_names": NAMES[:3]}, {"class_names": "abcd"}, {"class_names": [1, 2, 3, 4]}, {"dataset": None},
    {"input_size": 0}, {"input_size": 32.0}, {"channels": 2}, {"crop": "none"}, {"crop_ratio": 0},
    {"crop_ratio": float("nan")}, {"rgb_mean": [0, 0]}, {"rgb_mean": 0}, {"rgb_mean": [0, 0, "0"]},
    {"rgb_std": [1, 1, 0]}, {"rgb_std": [1, 1, float("inf")]}, {"task": 1}, {"more": 1}])
def test_impossible_values_are_refused(trained, change):
    content = json.loads(trained[2].with_suffix(".json").read_text())["net"]
    assert checked(content).class_names == NAMES
    with pytest.raises(ValueError, match="^net: "):
        checked({**content, **change})


@pytest.mark.parametrize("content", [[], 3, {}, {"args": []}, {"args": {}}, {"net": {}}])
def test_a_file_of_another_kind_is_no_record(content, tmp_path):
    assert run_of(content, tmp_path) is None


def test_the_record_of_a_net_for_another_task_is_refused(carried):
    content = json.loads(carried.with_suffix(".json").read_text())
    content["net"]["task"] = "segmentation"
    carried.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="fruit.params: is a net for segmentation, as .*fruit.json says"):
        evaluate.parse_args(["--params-file", str(carried)])


@pytest.mark.parametrize("data", [["--rec-dir", "x"], ["--dataset", "imagenet"]])
def test_a_net_of_grey_images_is_not_shown_colours(carried, data):
    content = json.loads(carried.with_suffix(".json").read_text())
    content["net"].update(dataset="mnist", channels=1, rgb_mean=[33.3], rgb_std=[78.6], input_size=28)
    carried.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="fruit.params is of a net for the grey images of mnist"):
        evaluate.parse_args(["--params-file", str(carried), *data])
