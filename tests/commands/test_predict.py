"""`python -m gluon_tricks predict`: the probabilities of `evaluate`'s images, names, files, and exit codes."""

import csv
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mxnet import nd
from PIL import Image

from gluon_tricks.commands import evaluate, predict
from gluon_tricks.data.classes import CIFAR10_CLASSES, imagenet_synsets
from gluon_tricks.data.images import PhotographLoader
from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.data.recordio import RecordReader, write_image_records
from gluon_tricks.errors import UserError
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved import load_net
from gluon_tricks.saved.described import transform_of
from gluon_tricks.saved.record import NetFacts
from gluon_tricks.saved.sources import FileImages, find_sources
from tests.saved_nets import softmax, write_params

NAMES = ["apple", "leaf", "sea", "sun"]
FRUIT = NetFacts("cifar_resnet20_v1", {}, 4, NAMES, "imagenet", 24, 3, "center", 0.8, (100.0, 110.0, 90.0),
                 (50.0, 60.0, 70.0))


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return write_params(tmp_path_factory.mktemp("params") / "fruit.params", FRUIT)


def pixels(seed, height=40, width=56, channels=3, kind=np.uint8):
    """An image with structure that no rotation or crop leaves unchanged."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, np.iinfo(kind).max, (5, 7, channels)).astype(np.float32)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return image.reshape(height, width, channels).astype(kind)


def write_photographs(folder):
    """Photographs of every kind that is not plain, by name."""
    folder.mkdir()
    cv2.imwrite(str(folder / "plain.jpg"), pixels(0))
    cv2.imwrite(str(folder / "plain.png"), pixels(1))
    cv2.imwrite(str(folder / "grey.jpg"), pixels(2, channels=1))
    cv2.imwrite(str(folder / "grey.png"), pixels(3, channels=1))
    cv2.imwrite(str(folder / "16bit.png"), pixels(4, kind=np.uint16))
    cv2.imwrite(str(folder / "alpha.png"), pixels(5, channels=4))
    cv2.imwrite(str(folder / "small.bmp"), pixels(6, height=9, width=11))
    cv2.imwrite(str(folder / "web.webp"), pixels(7))
    cv2.imwrite(str(folder / "tag.tiff"), pixels(8))
    Image.fromarray(pixels(9, channels=4), "CMYK").save(folder / "cmyk.jpg", quality=95)
    Image.fromarray(pixels(10)).quantize(16).save(folder / "palette.png")
    Image.fromarray(pixels(11)).save(folder / "progressive.jpg", progressive=True)
    exif = Image.Exif()
    for orientation in (3, 6, 7):
        exif[0x0112] = orientation
        Image.fromarray(pixels(12)).save(folder / f"turned{orientation}.jpg", exif=exif, quality=95)
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("photographs") / "all")


def answered(tmp_path, *flags, code=0):
    """What --json says, from one call in this process."""
    assert predict.main([*map(str, flags), "-j", "1", "--json", str(tmp_path / "answers.json")]) == code
    return json.loads((tmp_path / "answers.json").read_text())


def by_name(result):
    """{file name: {class: probability}}"""
    return {Path(one["image"]).name: {answer["name"]: answer["probability"] for answer in one["answers"]}
            for one in result["answers"]}


def of_evaluate(params, *data_flags):
    """`(pixels, probabilities)` of the first batch of `evaluate`'s own loader, by a net of the test's own."""
    args = evaluate.parse_args(["--params-file", str(params), "-j", "0", *map(str, data_flags)])
    batch, facts = next(iter(evaluate.open_data(args).loader.epoch(0))), args.saved.facts
    net = get_model(facts.model, classes=facts.classes, **facts.switches)
    net.load_parameters(str(params))
    net.hybridize()
    return batch.data.asnumpy(), softmax(net(batch.data).asnumpy().astype(np.float64))


def pixels_of_predict(params, folder):
    """The images of a folder as the net of `predict` gets them."""
    images, facts = FileImages(find_sources([str(folder)], None).images), predict.parse_args(
        [str(folder), "--params-file", str(params)]).saved.facts
    [batch] = PhotographLoader(images, transform_of(facts), len(images), None, "keep", 0).epoch(0)
    return batch.data.asnumpy()


# --- The same probabilities as `evaluate` -------------------------------------------------------------------

def test_each_kind_of_image_gets_the_probabilities_of_evaluates_records(photographs, params, tmp_path):
    files = sorted(photographs.iterdir())
    (tmp_path / "rec").mkdir()
    list(write_image_records(tmp_path / "rec" / "val.rec", tmp_path / "rec" / "val.idx",
                             [(key, 0, 0, file.read_bytes()) for key, file in enumerate(files)]))
    seen, expected = of_evaluate(params, "--rec-dir", tmp_path / "rec", "--batch-size", 15)
    np.testing.assert_array_equal(pixels_of_predict(params, photographs), seen)
    found = by_name(answered(tmp_path, photographs, "--params-file", params, "--batch-size", 5))
    assert len(found) == len(files) == 15
    for file, row in zip(files, expected):
        assert [found[file.name][name] for name in NAMES] == pytest.approx(row, abs=1e-6), file.name
    turned = [found[f"turned{orientation}.jpg"]["leaf"] for orientation in (3, 6, 7)]
    assert len({f"{value:.4f}" for value in turned}) == 3          # orientation is obeyed
    # EXIF 3 is half a turn
    upright = tmp_path / "upright.png"
    cv2.imwrite(str(upright), cv2.imread(str(photographs / "turned3.jpg")))
    assert by_name(answered(tmp_path, upright, "--params-file", params))["upright.png"] == pytest.approx(
        found["turned3.jpg"], abs=1e-6)


def test_images_of_cifar_get_the_probabilities_of_evaluates_test_set(tmp_path):
    facts = NetFacts("cifar_resnet20_v1", {}, 10, list(CIFAR10_CLASSES), "cifar10-excerpt", 32, 3, "center", 1.0,
                     tuple(255 * x for x in (0.4914, 0.4822, 0.4465)),
                     tuple(255 * x for x in (0.2023, 0.1994, 0.2010)))
    params = write_params(tmp_path / "net.params", facts)
    reader = RecordReader(EXCERPT_DIR / "test.rec")
    for key in range(12):
        (tmp_path / f"{key:02d}.png").write_bytes(reader.read_image(key)[1])
    seen, expected = of_evaluate(params, "--batch-size", 12)
    np.testing.assert_array_equal(pixels_of_predict(params, tmp_path), seen)
    found = by_name(answered(tmp_path, tmp_path, "--params-file", params, "--top", 10))
    rows = [[found[f"{key:02d}.png"][name] for name in CIFAR10_CLASSES] for key in range(12)]
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_grey_net_sees_grey_images(tmp_path):
    facts = NetFacts("cifar_preact20", {"in_channels": 1}, 4, NAMES, "mnist", 28, 1, "center", 1.0, (33.0,), (78.0,))
    params = write_params(tmp_path / "net.params", facts)
    image = pixels(1, 28, 28, 1)
    cv2.imwrite(str(tmp_path / "grey.png"), image)
    cv2.imwrite(str(tmp_path / "same.png"), cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    found = by_name(answered(tmp_path, tmp_path, "--params-file", params))
    net = get_model("cifar_preact20", classes=4, in_channels=1)
    net.load_parameters(str(params))
    expected = softmax(net(nd.array((image[..., 0].astype(np.float32) - 33) / 78).reshape((1, 1, 28, 28))).asnumpy())
    for name in ("grey.png", "same.png"):
        assert [found[name][one] for one in NAMES] == pytest.approx(expected[0], abs=1e-5)


# --- Output -------------------------------------------------------------------------------------------------

def test_lines_csv_json_and_sheet_say_the_same(photographs, params, tmp_path, capsys):
    table, sheet = tmp_path / "new" / "answers.csv", tmp_path / "sheet.png"
    files = [photographs / "plain.jpg", photographs / "grey.png"]
    result = answered(tmp_path, *files, "--params-file", params, "--top", 2, "--csv", table, "--sheet", sheet)
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert err == "" and len(out.splitlines()) == 2 and len(rows) == 4
    for line, file, one in zip(out.splitlines(), files, result["answers"]):
        first, second = one["answers"]
        assert line == (f"{file}: {first['name']} {first['probability']:.4f}, "
                        f"{second['name']} {second['probability']:.4f}")
        assert first["probability"] >= second["probability"] and first["name"] == NAMES[first["label"]]
    assert [(row["rank"], row["name"]) for row in rows] == [
        (str(rank), answer["name"]) for one in result["answers"]
        for rank, answer in enumerate(one["answers"], start=1)]
    assert float(rows[0]["probability"]) == pytest.approx(result["answers"][0]["answers"][0]["probability"])
    assert result["net"]["class_names"] == NAMES and cv2.imread(str(sheet)).shape[1] > 300


def test_damaged_files_are_named_counted_and_leave_the_others_answered(photographs, params, tmp_path, capsys):
    good = (photographs / "plain.jpg").read_bytes()
    for name, content in {"a.jpg": good, "b.jpg": b"", "c.jpg": b"text", "d.png": good}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("no image")
    table = tmp_path / "answers.csv"
    result = answered(tmp_path, tmp_path, "--params-file", params, "--csv", table, "--sheet",
                      tmp_path / "sheet.png", code=1)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert re.search(r"predict: .*b.jpg: the image does not decode", err) and "c.jpg: the image" in err
    assert "predict: 2 of 4 images were not answered" in err and "1 other files in the folders" in err
    assert [one["image"][-5:] for one in result["answers"] if "error" in one] == ["b.jpg", "c.jpg"]
    assert [row["error"] != "" for row in csv.DictReader(io.StringIO(table.read_text()))].count(True) == 2
    answers = [one["answers"] for one in result["answers"] if "answers" in one]
    assert answers[0] == answers[1]


def test_names_of_files_and_classes_cannot_write_to_the_terminal(tmp_path, capsys):
    facts = FRUIT._replace(class_names=["red\x1b[31m", "two\nlines", "$x^$", "d"])
    params = write_params(tmp_path / "net.params", facts)
    (tmp_path / "a\nb\udcff.png").write_bytes(cv2.imencode(".png", pixels(0))[1].tobytes())
    answered(tmp_path, tmp_path, "--params-file", params, "--csv", tmp_path / "answers.csv", "--sheet",
             tmp_path / "sheet.png")
    out, _ = capsys.readouterr()
    assert len(out.splitlines()) == 1 and "\x1b" not in out and r"red\x1b[31m" in out and r"a\nb" in out


# --- Names --------------------------------------------------------------------------------------------------

def test_a_net_of_1000_classes_answers_with_imagenets_names(tmp_path, capsys):
    facts = NetFacts("cifar_resnet20_v1", {}, 1000, None, "imagenet", 24, 3, "center", 1.0, (0.0,) * 3, (1.0,) * 3)
    params = write_params(tmp_path / "net.params", facts)
    cv2.imwrite(str(tmp_path / "a.png"), pixels(0))
    [one] = answered(tmp_path, tmp_path / "a.png", "--params-file", params)["answers"]
    wnid, name = imagenet_synsets()[one["answers"][0]["label"]]
    assert one["answers"][0]["name"] == f"{wnid} {name}" and len(one["answers"]) == 5
    assert "no record names the classes" in capsys.readouterr().err


def test_without_names_there_are_numbers(tmp_path, capsys):
    params = write_params(tmp_path / "net.params", FRUIT._replace(class_names=None))
    cv2.imwrite(str(tmp_path / "a.png"), pixels(0))
    [one] = answered(tmp_path, tmp_path / "a.png", "--params-file", params)["answers"]
    out, err = capsys.readouterr()
    assert {answer["name"] for answer in one["answers"]} == {None} and "the classes have no names" in err
    assert re.search(r"a.png: \d 0\.\d{4}, \d 0\.", out)


# --- What is asked ------------------------------------------------------------------------------------------

def find(*words, stdin=b""):
    found = find_sources([str(word) for word in words], io.BytesIO(stdin))
    return [source.name for source in found.images], found.left_out


def test_files_folders_patterns_and_standard_input(tmp_path):
    for name in ("b.JPG", "a.png", "x.txt", ".hidden.png", "sub/c.webp", ".git/d.png", "sub/.e.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    whole = [f"{tmp_path}/{name}" for name in ("a.png", "b.JPG", "sub/c.webp")]
    assert find(tmp_path) == (whole, 1)
    assert find(tmp_path / "x.txt", tmp_path / "sub") == ([f"{tmp_path}/x.txt", whole[2]], 0)
    assert find(f"{tmp_path}/*.[jJp][pPn][gG]") == (whole[:2], 0)
    assert find(f"{tmp_path}/**/*.webp") == (whole[2:], 0)
    assert find("-", stdin=f"{whole[1]}\n{whole[0]}\n".encode()) == ([whole[1], whole[0]], 0)
    [image] = find_sources(["-"], io.BytesIO(b"\xff\xd8\xff")).images
    assert image.name == "-" and image.content == b"\xff\xd8\xff"


@pytest.mark.parametrize("word, says", [
    ("nowhere.jpg", "nowhere.jpg: is neither a file nor a folder"),
    ("*.nothing", "as a pattern it matches no file"), ("-", "-: standard input is empty")])
def test_what_names_no_image_is_refused(word, says):
    with pytest.raises(UserError, match=re.escape(says)):
        find(word)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="the folder has no images"):
        find(tmp_path)


def test_an_image_from_standard_input_is_answered(photographs, params, tmp_path, monkeypatch):
    content = (photographs / "plain.jpg").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    [piped] = answered(tmp_path, "-", "--params-file", params)["answers"]
    [named] = answered(tmp_path, photographs / "plain.jpg", "--params-file", params)["answers"]
    assert piped["image"] == "-" and piped["answers"] == named["answers"]


def test_files_that_vanish_are_not_answered(tmp_path):
    images = FileImages(find_sources(["-"], io.BytesIO(f"{tmp_path}/gone.png\n".encode())).images)
    images.read([0])
    assert images.bad == {0: "cannot be read (No such file or directory)"}


@pytest.mark.parametrize("flags, says", [
    (["--top", "0"], "--top 0: must be at least 1"),
    (["--sheet", "x.jpg"], "--sheet x.jpg: is a PNG"),
    (["--csv", "/"], "--csv /: is a folder"),
    (["--input-size", "32"], "--input-size 32: the run that left"),
    (["--json", "RECORD"], "is the record of the net")])
def test_what_is_wrong_with_a_flag_is_said(params, flags, says):
    words = [word.replace("RECORD", str(params.with_suffix(".json"))) for word in flags]
    with pytest.raises(UserError, match=re.escape(says)):
        predict.parse_args(["a.png", "--params-file", str(params), *words])


# --- In a notebook ------------------------------------------------------------------------------------------

def test_load_net_answers_with_names(photographs, params, tmp_path):
    net = load_net(params)
    file = photographs / "plain.jpg"
    expected = by_name(answered(tmp_path, file, "--params-file", params))["plain.jpg"]
    from_path = net.predict(file)
    assert from_path[0][0] in NAMES and dict(from_path) == pytest.approx(expected, abs=1e-9)
    array = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    [first, second] = net.predict([file.read_bytes(), array], top=1)
    assert dict(first) == pytest.approx(dict(from_path[:1]), abs=1e-6) and second[0][0] == first[0][0]
    with pytest.raises(UserError, match="image 0: the image does not decode"):
        net.predict(b"no image")


def test_load_net_takes_flags_where_there_is_no_record(params, tmp_path):
    (tmp_path / "alone.params").write_bytes(params.read_bytes())
    with pytest.raises(UserError, match="alone.params has no record"):
        load_net(tmp_path / "alone.params")
    net = load_net(tmp_path / "alone.params", model="cifar_resnet20_v1", dataset="imagenet", input_size=24)
    assert net.facts.classes == 4 and net.names is None
    with pytest.raises(UserError, match="colour: is no such flag"):
        load_net(params, colour=3)
