"""Distilled rows under --run: the teacher is trained first, or taken; the student learns from it; a stopped
one goes on."""

import json
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mxnet import nd

import train_cifar
from gluon_tricks.commands import tables
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.models.registry import get_model
from gluon_tricks.recipes import STUDIES
from gluon_tricks.script import cifar as build
from gluon_tricks.script.auto_dtype import as_asked
from gluon_tricks.script.targets import training_targets
from gluon_tricks.script.teacher import build_teacher
from gluon_tricks.studies.runner import updates_done
from tests import processes
from tests.data.small_records import png, random_images
from tests.lab_runs import train, train_words, write_data

ROW, STUDENT = "6", "06-vert-spatial-mixup-with-distill"            # of the follow-up's Table V
EVERY_UPDATE = ["--checkpoint-period", "1", "--log-interval", "1", "--batch-size", "8"]


# `tables` with a small net for the teacher of Table 6: resnet34_v1 would write twice as much
SMALL_TEACHER = ["-c", """
import sys
from gluon_tricks.commands import tables
from gluon_tricks.errors import run_main
from gluon_tricks.studies import profiles
profiles.REPLACEMENTS["resnet152_v1d"] = "resnet18_v1"
run_main(lambda: tables.main(sys.argv[1:]))
"""]


def start(*argv, program=("-m", "gluon_tricks", "tables")):
    return processes.start([sys.executable, *program, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out, err


def wait_for(condition, process):
    deadline = time.time() + 300
    while not condition() and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    assert condition()


def arrays(folder):
    with np.load(next((folder / "params").glob("*.resume.npz"))) as archive:
        return {key: archive[key] for key in archive.files if key != "meta"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A row stopped in the student's middle, then gone on with.

    `(folder, data, what the first sitting said, what the second, updates done at the stop, the teacher's
    files then)`.
    """
    folder = tmp_path_factory.mktemp("study")
    # 10 updates of 8 images an epoch
    data = write_data(folder / "data", "cifar10", train=80, test=20)
    words = ["follow-up-V", "--run", "--rows", ROW, "--out", folder, "-j", "1", "--", "--data-dir", data,
             *EVERY_UPDATE]
    first = start(*words)
    wait_for(lambda: updates_done(folder / STUDENT / "metrics.jsonl") >= 2, first)
    first.send_signal(signal.SIGTERM)
    stopped = ended(first, code=2)
    stopped_at = updates_done(folder / STUDENT / "metrics.jsonl")
    assert 2 <= stopped_at < 20, "the student had ended before it was stopped"
    teacher = {path: path.read_bytes() for path in (folder / "teacher").rglob("*") if path.is_file()}
    went_on = ended(start(*words))
    return folder, data, stopped, went_on, stopped_at, teacher


@pytest.mark.slow
def test_the_teacher_is_trained_first(study):
    folder, _, (out, err), _, _, _ = study
    assert re.match(r"2 runs; results go to .*\n1 of 2: teacher: validation top-1 [\d.]+ %\n", out)
    assert "stopped in Vert. Spatial Mixup w/ Distill.; the same command goes on from there" in err
    flags = read_log(next((folder / "teacher").glob("train_*.log"))).args
    assert (flags["mixup"], flags["label_smoothing"], flags["lr_mode"], flags["teacher"]) == (False, True,
                                                                                              "cosine", None)


@pytest.mark.slow
def test_the_second_time_it_is_taken_and_the_student_goes_on(study):
    folder, _, _, (out, _), stopped_at, teacher = study
    assert {path: path.read_bytes() for path in teacher} == teacher                # not trained again
    log = next((folder / STUDENT).glob("train_*.log")).read_text()
    assert f"resumed at epoch {stopped_at // 10}, batch {stopped_at % 10}, update {stopped_at}, from " in log
    assert "2 of 2: Vert. Spatial Mixup w/ Distill.: validation top-1" in out
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "Stands in: a cifar_resnet20_v1 trained here for the teacher cifar_resnext29_16x64d." in report


def words_of_the_student(folder, data, out):
    """Those that the runner noted, with folders of their own."""
    noted = json.loads((folder / "rows.json").read_text())[STUDENT].split()
    return [*noted, "--save-dir", f"{out}/params", "--logging-dir", str(out), "--save-plot-dir", str(out)]


@pytest.mark.slow
def test_what_went_on_is_what_had_never_stopped_and_the_teacher_counts(study, tmp_path):
    folder, data, *_ = study
    words = words_of_the_student(folder, data, tmp_path / "straight")
    name, path = words[words.index("--teacher") + 1].split(":")
    assert Path(path).parent == folder / "teacher" / "params" and Path(
        path).name == f"cifar10-{name}-1.params"
    assert train_cifar.main(words) == 0
    went_on, straight = arrays(folder / STUDENT), arrays(tmp_path / "straight")
    assert {key: value.tobytes() for key, value in went_on.items()} == {
        key: v.tobytes() for key, v in straight.items()}

    # ... and another teacher, the same net before its training, makes another student
    other = get_model(name, classes=10)
    other.initialize()
    other.save_parameters(str(tmp_path / "other.params"))
    words = words_of_the_student(folder, data, tmp_path / "other")
    words[words.index("--teacher") + 1] = f"{name}:{tmp_path}/other.params"
    assert train_cifar.main(words) == 0
    assert (arrays(tmp_path / "other")["param/output.weight"] != straight["param/output.weight"]).any()


@pytest.mark.slow
def test_the_loss_is_made_of_the_teachers_outputs(study):
    """h CE(labels) + (1 - h) T^2 CE(softened teacher), the teacher loaded here once more; both see the mixed
    images."""
    folder, data, *_ = study
    # near 1/2
    args = train_cifar.parse_args([*words_of_the_student(folder, data, "unused"), "--mixup-alpha", "9"])
    engine = create_engine(0)
    student = build.net_facts(args, build.open_data(args, engine))
    targets, loss, _ = training_targets(args, 10, args.dtype,
                                        partial(build_teacher, args, student, as_asked(args), engine))
    name, path = args.teacher.split(":")
    teacher = get_model(name, classes=10)
    teacher.load_parameters(path)
    rng = np.random.default_rng(0)
    images = nd.array(rng.normal(size=(4, 3, 32, 32)))
    mixed, (target, seen), _ = targets(images, nd.array([1, 2, 3, 4]), 0, 0)
    assert (mixed != images).sum().asscalar() > 0
    np.testing.assert_allclose(seen.asnumpy(), teacher(mixed).asnumpy(), rtol=1e-4, atol=1e-5)

    def log_softmax(z):
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    output, t, h = rng.normal(size=(4, 10)), args.temperature, args.hard_weight
    # the follow-up's, GluonCV's
    assert (t, h) == (20, 0.5)
    soft = np.exp(log_softmax(seen.asnumpy().astype(float) / t))
    expected = -(h * target.asnumpy() * log_softmax(output)
                 + (1 - h) * t * t * soft * log_softmax(output / t)).sum(axis=1)
    np.testing.assert_allclose(loss(nd.array(output), (target, seen)).asnumpy(), expected, rtol=1e-4)


# --- The paper's Table 6 ------------------------------------------------------------------------------------

@pytest.mark.slow
def test_table_6s_distilled_row_has_its_teacher_first_and_goes_on(tmp_path):
    for name, count in (("train", 16), ("val", 8)):
        list(write_image_records(tmp_path / f"{name}.rec", tmp_path / f"{name}.idx",
                                 ((key, key % 2, 0, png(image)) for key, image in
                                  enumerate(random_images(count, 32, seed=count)))))
    [row] = [row.number for row in tables.TABLES[6].rows if row.title == "+ distill w/o mixup, MobileNet"]
    words = ["6", "--run", "--rows", row, "--rec-train", tmp_path / "train.rec", "--rec-val",
             tmp_path / "val.rec", "--classes", "2", "--out", tmp_path / "out", "-j", "1", "--",
             "--input-size", "16", "--batch-size", "16"]
    student = tmp_path / "out" / f"{row}-distill-without-mixup-mobilenet"
    first = start(*words, program=SMALL_TEACHER)
    wait_for(lambda: updates_done(student / "metrics.jsonl") >= 1, first)
    first.send_signal(signal.SIGTERM)
    out, err = ended(first, code=2)
    assert "1 of 2: teacher: validation top-1" in out and "stopped in + distill w/o mixup, MobileNet" in err
    parameters = tmp_path / "out" / "teacher" / "params" / "imagenet-resnet18_v1-5.params"
    trained = parameters.stat().st_mtime_ns
    out, _ = ended(start(*words, program=SMALL_TEACHER))
    assert "2 of 2: + distill w/o mixup, MobileNet: validation top-1" in out
    assert parameters.stat().st_mtime_ns == trained
    log = read_log(student / "train.log")
    assert log.epochs[-1].epoch == 5 and log.args["teacher"] == f"resnet18_v1:{parameters}"
    assert "resumed at epoch" in (student / "train.log").read_text()


# --- Teachers that are not there, or are others -------------------------------------------------------------

def test_a_missing_teacher_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="Interp. Mixup w/ Distill.: the teacher's parameters "
                                        "cifar_resnext29_16x64d.params do not exist"):
        tables.main(["follow-up-V", "--run", "--profile", "full", "--out", "out"])
    assert not [path for path in Path("out").rglob("*") if path.is_dir()]
    # the error's notes
    assert any("first row of follow-up-teachers" in note for note in STUDIES["follow-up-V"].notes)


@pytest.mark.slow
def test_a_teacher_is_made_as_its_run_made_it(tmp_path):
    data = write_data(tmp_path / "data", "cifar10")
    params, _ = train(tmp_path / "teacher", "--model-kwargs", "last_bn=True", "width=2", "--data-dir",
                      str(data))
    train(tmp_path / "student", "--teacher", f"cifar_preact20:{params}", "--data-dir", str(data))


def test_a_teacher_that_saw_other_images_is_refused(tmp_path):
    data = write_data(tmp_path / "data", "cifar10")
    params, _ = train(tmp_path / "teacher", "--augment", "follow-up", "--data-dir", str(data))
    words = train_words(tmp_path / "student", "--teacher", f"cifar_preact20:{params}", "--data-dir",
                        str(data))
    with pytest.raises(UserError, match="was trained with mean 123.675,116.28,103.53 and deviation .* \\(see "
                                        ".*-0.json\\), not with mean 125.307,122.961,113.8575 and "):
        train_cifar.main(words)
    other_net = [word.replace("cifar_preact20:", "cifar_preact56:") for word in words]
    with pytest.raises(UserError, match="was trained as a cifar_preact20 \\(see .*-0.json\\), not as a "
                                        "cifar_preact56"):
        train_cifar.main(other_net)
