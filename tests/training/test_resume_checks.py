"""A resume file that is well formed and wrong: refused in one sentence, before anything is assigned."""

import io
import json
import zipfile

import numpy as np
import pytest
from test_checkpoint import FACTS, make, state_of, train

from gluon_tricks.errors import UserError
from gluon_tricks.training import checkpoint
from gluon_tricks.training.archive import read_archive, sealed
from gluon_tricks.training.progress import Progress

WEIGHT = "state/0/0.weight"
PROGRESS = Progress(epoch=1, batch=2, num_update=5, history=[{"epoch": 0, "val": 0.5, "loss": 1.0, "lr": 0.1}])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The arrays of a whole resume file."""
    path = tmp_path_factory.mktemp("whole") / "r.npz"
    net, trainer, engine = make(0)
    train(net, trainer, engine, 2)
    checkpoint.save_resume(path, net, trainer, PROGRESS, FACTS)
    return read_archive("", path)[0]


def meta(arrays, part, **values):
    content = json.loads(arrays["meta"].tobytes())
    content[part].update(values)
    return {**arrays, "meta": np.frombuffer(json.dumps(content).encode(), np.uint8)}


def with_array(name, change):
    return lambda arrays: {**arrays, name: change(arrays[name])}


def with_progress(**values):
    return lambda arrays: meta(arrays, "progress", **values)


CHANGES = {
    "momentum missing": (lambda arrays: {name: value for name, value in arrays.items() if name != WEIGHT}, WEIGHT),
    "all momenta missing": (lambda arrays: {name: value for name, value in arrays.items() if name[:5] != "state"},
                            "state/0"),
    "a state of shape (1,)": (with_array(WEIGHT, lambda value: np.ones(1, "f4")), r"0.weight has shape \(1,\)"),
    "a parameter of another shape": (with_array("param/0.bias", lambda value: value[:2]), "0.bias has shape"),
    "nan": (with_array(WEIGHT, lambda value: np.full_like(value, np.nan)), "0.weight is not finite"),
    "an infinite parameter": (with_array("param/0.bias", lambda value: value + np.inf), "0.bias is not finite"),
    "another type": (with_array(WEIGHT, lambda value: value.astype("f8")), "0.weight has type float64"),
    "whole numbers": (with_array("param/0.bias", lambda value: value.astype("i4")), "0.bias has type int32"),
    "one array more": (lambda arrays: {**arrays, "state/1/0.weight": arrays[WEIGHT]}, "only it has state/1"),
    "half an average": (lambda arrays: {**arrays, "ema/0.bias": arrays["param/0.bias"]}, "only this run has ema"),
    "batch -5": (with_progress(batch=-5), "batch is -5"),
    "1e9 batches": (with_progress(batch=10**9, num_update=10**9 + 3), "update 1000000003, in epoch 1"),
    "epoch 1e30": (with_progress(epoch=1e30), r"epoch is 1e\+30"),
    "epoch 1e9": (with_progress(epoch=10**9, num_update=10**10), "in epoch 1000000000, this run has 10 epochs"),
    "another update": (with_progress(num_update=4), "at update 4, in epoch 1, batch 2"),
    "an update that is true": (with_progress(num_update=True), "num_update is True"),
    "a loss that is nan": (with_progress(loss_sum=float("nan")), "loss_sum is nan"),
    "a best accuracy that is text": (with_progress(best_val="x"), "best_val is 'x'"),
    "an unknown number": (with_progress(more=1), "progress is not that of a run"),
    "a history of a later epoch": (with_progress(history=[{"epoch": 3, "val": 0, "loss": 0, "lr": 0}]),
                                   "history has epoch 3"),
    "a history of nothing": (with_progress(history=[{}]), "history has a row"),
    "a loss scale of text": (with_progress(loss_scale={"scale": "x", "good_updates": 0, "skipped": 0}), "loss scale"),
    "an attribute of the optimizer": (lambda arrays: meta(arrays, "optimizer", lr=100.0), "sets attributes"),
    "a number of another optimizer": (lambda arrays: meta(arrays, "optimizer", m_schedule=0.5), "has m_schedule"),
    "facts of other types": (lambda arrays: meta(arrays, "facts", devices="two"), "devices is 'two', no int"),
    "no arguments": (lambda arrays: meta(arrays, "facts", args=3), "no facts of a run"),
    "pickles": (with_array(WEIGHT, lambda value: value.astype(object)), "is no array of numbers"),
}


def write(path, arrays, is_sealed):
    """An archive with or without the right hash."""
    if is_sealed and not any(value.dtype == object for value in arrays.values()):
        arrays = sealed(arrays)
    np.savez(path, **arrays)


@pytest.mark.parametrize("is_sealed", [False, True], ids=["without hash", "with its hash"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_file_is_refused_before_anything_is_assigned(tmp_path, written, what, is_sealed):
    change, says = CHANGES[what]
    path = tmp_path / "r.npz"
    write(path, change(written), is_sealed)
    net, trainer, _ = make(1)
    before = state_of(net)
    with pytest.raises(UserError, match=says) as caught:
        facts, progress = checkpoint.read_meta(path)
        checkpoint.check_position(path, facts, FACTS, progress, lambda epoch: 3, 10)
        checkpoint.load_resume(path, net, trainer)
    assert str(caught.value).startswith(f"--resume {path}: ") and str(caught.value).isprintable()
    assert not trainer._updaters[0].states and trainer._optimizer.num_update == 0
    for name, value in state_of(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_one_changed_value_is_found_by_the_hash_and_noted_without_one(tmp_path, written):
    path = tmp_path / "r.npz"
    changed = with_array("param/0.bias", lambda value: value + np.float32(1e-3))(written)
    np.savez(path, **{**changed, "meta": sealed(written)["meta"]})         # with the hash of the whole file
    net, trainer, _ = make(1)
    with pytest.raises(UserError, match="SHA-256"):
        checkpoint.load_resume(path, net, trainer)
    write(path, written, is_sealed=False)
    note, = checkpoint.load_resume(path, net, trainer)
    assert "without a hash" in note


def archive_of(member, content, way=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", way) as archive:
        archive.writestr(member, content)
    return stream.getvalue()


HEADER = b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little") + b"{"


@pytest.mark.parametrize("content, says", [
    (archive_of("meta.npy", bytes(1 << 22), zipfile.ZIP_DEFLATED), "is compressed"),
    (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "is no archive"),
    (HEADER, "is no archive"), (archive_of("meta.npy", HEADER), "'meta' is no array of numbers"),
    (archive_of("meta", b"{}"), "'meta' stands there twice or is no array"),
    (archive_of("x.npy", b""), "no member 'meta'")], ids=range(6))
def test_archives_of_other_kinds_are_refused(tmp_path, content, says):
    (tmp_path / "r.npz").write_bytes(content)
    with pytest.raises(UserError, match=says):
        checkpoint.read_meta(tmp_path / "r.npz")


@pytest.mark.parametrize("content", [b"[" * 100000, b"[]", b"3", b'"x"', b"\xff\xfe", b'{"format": 1}', b'{"format": []}',
                                     b'{"format": 1, "format": 1}', b'{"format": 1, "facts": [], "progress": {}}'],
                                     ids=range(9))
def test_a_meta_of_another_type_is_refused(tmp_path, content):
    np.savez(tmp_path / "r.npz", meta=np.frombuffer(content, np.uint8))
    with pytest.raises(UserError, match="--resume .*r.npz: cannot be used"):
        checkpoint.read_meta(tmp_path / "r.npz")


# --- The previous file --------------------------------------------------------------------------------------

def test_the_previous_file_is_kept_and_offered_when_the_newest_is_damaged(tmp_path):
    path, previous = tmp_path / "r.npz", tmp_path / "r.previous.npz"
    net, trainer, engine = make(0)
    for updates in range(3):
        train(net, trainer, engine, 1)
        checkpoint.save_resume(path, net, trainer, Progress(num_update=updates), FACTS)
    assert checkpoint.read_meta(path)[1].num_update == 2
    assert checkpoint.read_meta(previous)[1].num_update == 1
    damaged = path.read_bytes()[:-50]
    path.write_bytes(damaged)
    for read in (checkpoint.read_meta, lambda path: checkpoint.load_resume(path, net, trainer)):
        with pytest.raises(UserError, match=f"--resume {previous} continues from update 1"):
            read(path)
    checkpoint.load_resume(previous, net, trainer)
    checkpoint.save_resume(path, net, trainer, Progress(num_update=7), FACTS)
    assert checkpoint.read_meta(path)[1].num_update == 7
    assert checkpoint.read_meta(previous)[1].num_update == 1               # a damaged file does not replace it
    assert (tmp_path / "r.npz.damaged").read_bytes() == damaged


def test_auto_takes_the_previous_file_where_the_newest_was_deleted(tmp_path):
    path = tmp_path / "r.npz"
    net, trainer, _ = make(0)
    assert checkpoint.newest(path) is None
    for updates in (0, 1):
        checkpoint.save_resume(path, net, trainer, Progress(num_update=updates), FACTS)
    assert checkpoint.newest(path) == path
    path.unlink()
    assert checkpoint.newest(path) == tmp_path / "r.previous.npz"
    checkpoint.remove_resume(path)
    assert not list(tmp_path.iterdir())


def test_a_file_of_an_earlier_version_loads(tmp_path, written):
    """Without hash, numbers of the optimizer, loss scale and figures."""
    content = json.loads(written["meta"].tobytes())
    del content["optimizer"], content["progress"]["loss_scale"], content["progress"]["figures"]
    write(tmp_path / "r.npz", {**written, "meta": np.frombuffer(json.dumps(content).encode(), np.uint8)}, False)
    net, trainer, _ = make(1)
    assert checkpoint.read_meta(tmp_path / "r.npz") == (FACTS, PROGRESS)
    assert len(checkpoint.load_resume(tmp_path / "r.npz", net, trainer)) == 1
    for name, param in net._collect_params_with_prefix().items():
        np.testing.assert_array_equal(param.data().asnumpy(), written[f"param/{name}"])
    assert trainer._optimizer.num_update == 5
    found = {name: state for name, state in checkpoint._optimizer_states(net, trainer).items() if state}
    assert len(found) == 6
    for name, (momentum,) in found.items():
        np.testing.assert_array_equal(momentum.asnumpy(), written[f"state/0/{name}"])
