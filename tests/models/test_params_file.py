"""`.params` files without MXNet: byte for byte its own, every version of the format, nothing believed."""

import struct

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

from gluon_tricks.errors import UserError
from gluon_tricks.files import TRAILER_BYTES
from gluon_tricks.models.loading import load_params
from gluon_tricks.models.params_file import read_params, write_params
from gluon_tricks.models.registry import get_model
from tests.file_limits import files_of_at_most

ARRAYS = {"0.weight": np.arange(6, dtype="f4").reshape(2, 3), "0.bias": np.array([1.5], "f2"),
          "steps": np.array([[7]], "i8")}


def dense(units=3, **more):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(units, in_units=4, **more), gluon.nn.BatchNorm(in_channels=units))
    net.initialize(mx.init.Uniform(1))
    return net


def values_of(net):
    return {name: param.data().asnumpy() for name, param in net._collect_params_with_prefix().items()}


def equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_our_file_is_that_of_mxnet_and_a_line_with_its_hash(tmp_path):
    write_params(tmp_path / "ours.params", ARRAYS)
    nd.save(str(tmp_path / "theirs.params"),
            {name: nd.array(value, dtype=value.dtype) for name, value in ARRAYS.items()})
    ours, theirs = ((tmp_path / f"{name}.params").read_bytes() for name in ("ours", "theirs"))
    assert ours[:-TRAILER_BYTES] == theirs and ours[-TRAILER_BYTES:].startswith(b"\nsha256 ")
    equal({name: value.asnumpy() for name, value in nd.load(str(tmp_path / "ours.params")).items()}, ARRAYS)
    for name in ("ours", "theirs"):
        equal(read_params("--params-file", tmp_path / f"{name}.params"), ARRAYS)


def list_of(array):
    """A file with one array, given as bytes, of the name `a`."""
    return struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<QQ", 1, 1) + b"a"


VALUES = np.arange(6, dtype="f4")
VERSIONS = {  # the oldest first
    "0": struct.pack("<III", 2, 2, 3) + struct.pack("<iii", 1, 0, 0),
    "1": struct.pack("<Ii2q", 0xF993FAC8, 2, 2, 3) + struct.pack("<iii", 1, 0, 0),
    "2 on a GPU": struct.pack("<Iii2q", 0xF993FAC9, 0, 2, 2, 3) + struct.pack("<iii", 2, 3, 0)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_the_format_is_read_as_mxnet_reads_it(tmp_path, version):
    path = tmp_path / "a.params"
    path.write_bytes(list_of(VERSIONS[version] + VALUES.tobytes()))
    if "GPU" not in version:               # for which MXNet wants a GPU
        equal({"a": nd.load(str(path))["a"].asnumpy()}, {"a": VALUES.reshape(2, 3)})
    equal(read_params("--params-file", path), {"a": VALUES.reshape(2, 3)})


def test_numpy_semantics_and_bfloat16_are_read(tmp_path):
    halves = (VALUES.view("u4") >> 16).astype("u2")        # these values are exact in bfloat16
    header = struct.pack("<Iii2q", 0xF993FACA, 0, 2, 2, 3) + struct.pack("<iii", 1, 0, 12)
    (tmp_path / "a.params").write_bytes(list_of(header + halves.tobytes()))
    found = read_params("--params-file", tmp_path / "a.params")
    assert found["a"].dtype == np.float32
    equal(found, {"a": VALUES.reshape(2, 3)})


WHOLE = VERSIONS["2 on a GPU"]
BAD = {
    "a bit in a shape": struct.pack("<Iii2q", 0xF993FAC9, 0, 2, 2 | 1 << 31, 3) + WHOLE[-12:] + VALUES.tobytes(),
    "a negative shape": struct.pack("<Iii2q", 0xF993FAC9, 0, 2, -2, -3) + WHOLE[-12:] + VALUES.tobytes(),
    "no dimension": struct.pack("<Iii", 0xF993FAC9, 0, 0),
    "a sparse array": struct.pack("<Iii2q", 0xF993FAC9, 1, 2, 2, 3) + WHOLE[-12:] + VALUES.tobytes(),
    "an unknown type": WHOLE[:-4] + struct.pack("<i", 13) + VALUES.tobytes(),
    "too few values": WHOLE + VALUES.tobytes()[:-4],
    "too many values": WHOLE + VALUES.tobytes() + bytes(4)}


@pytest.mark.parametrize("what", BAD)
def test_a_damaged_header_is_one_sentence_without_a_traceback(tmp_path, what):
    path = tmp_path / "a.params"
    path.write_bytes(list_of(BAD[what]))
    with pytest.raises(UserError, match="--params-file .*a.params: is no parameter file, or a damaged one") as caught:
        read_params("--params-file", path)
    assert "Traceback" not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("content", [b"", b"params", struct.pack("<QQQ", 0x112, 0, 1 << 60),
                                     struct.pack("<QQQQ", 0x112, 0, 0, 0)], ids=range(4))
def test_what_is_no_list_of_named_arrays_is_refused(tmp_path, content):
    (tmp_path / "a.params").write_bytes(content)
    with pytest.raises(UserError, match="is no parameter file"):
        read_params("--params-file", tmp_path / "a.params")
    with pytest.raises(UserError, match="is a folder"):
        read_params("--params-file", tmp_path)


def test_a_changed_value_is_found_by_the_hash(tmp_path):
    path = tmp_path / "a.params"
    write_params(path, ARRAYS)
    content = bytearray(path.read_bytes())
    content[content.index(ARRAYS["0.weight"].tobytes()) + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="SHA-256"):
        read_params("--params-file", path)


def test_a_file_whose_end_does_not_fit_does_not_replace_the_whole_one(tmp_path):
    from gluon_tricks.training import checkpoint

    path, net = tmp_path / "net.params", dense(3000)
    checkpoint.save_params(net, path)
    whole, before = path.read_bytes(), values_of(net)
    net[0].weight.data()[:] = 0
    with pytest.raises(OSError), files_of_at_most(len(whole) - 4000):
        checkpoint.save_params(net, path)
    assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]
    equal(read_params("--params-file", path), before)


@pytest.mark.parametrize("way", ["save_parameters", "collect_params().save", "without the prefix", "export"])
def test_parameters_of_all_writers_of_gluon_load(tmp_path, way):
    get_model("cifar_resnet20_v1")         # so that the writer's prefix has another number than the reader's
    source, target = get_model("cifar_resnet20_v1"), get_model("cifar_resnet20_v1")
    source.initialize(mx.init.Uniform(1))
    source.hybridize()
    source(nd.zeros((1, 3, 32, 32)))
    path = tmp_path / "net-0000.params"
    {"save_parameters": lambda: source.save_parameters(str(path)),
     "collect_params().save": lambda: source.collect_params().save(str(path)),
     "without the prefix": lambda: source.collect_params().save(str(path), strip_prefix=source.prefix),
     "export": lambda: source.export(str(tmp_path / "net"))}[way]()
    load_params(target, "--params-file", path, mx.cpu())
    equal(values_of(target), values_of(source))


@pytest.mark.parametrize("source, says", [
    (dense(4), r"0.weight has shape \(4, 4\), the model's has \(3, 4\)"),
    (dense(3, use_bias=False), "it has no 0.bias")])
def test_another_nets_file_is_refused_before_anything_is_assigned(tmp_path, source, says):
    source.save_parameters(str(tmp_path / "a.params"))
    net = dense()
    before = values_of(net)
    with pytest.raises(UserError, match=f"does not load into this model \\({says}\\)"):
        load_params(net, "--params-file", tmp_path / "a.params", mx.cpu())
    equal(values_of(net), before)


def test_whole_numbers_are_not_taken_for_parameters_and_float16_is_cast(tmp_path):
    net = dense()
    values = values_of(net)
    write_params(tmp_path / "half.params", {name: value.astype("f2") for name, value in values.items()})
    write_params(tmp_path / "whole.params", {name: value.view("i4") for name, value in values.items()})
    load_params(net, "--params-file", tmp_path / "half.params", mx.cpu())
    equal(values_of(net), {name: value.astype("f2").astype("f4") for name, value in values.items()})
    with pytest.raises(UserError, match="is int32, the model's is float32"):
        load_params(net, "--params-file", tmp_path / "whole.params", mx.cpu())


def test_one_float64_array_among_others_is_a_damaged_header(tmp_path):
    """Eight bytes repeated in a header turn 4 float32 values into 4 float64 ones, and the file stays well-formed."""
    net = dense()
    before = values_of(net)
    write_params(tmp_path / "all.params", {name: value.astype("f8") for name, value in before.items()})
    write_params(tmp_path / "one.params", {**before, "0.bias": before["0.bias"].astype("f8")})
    load_params(net, "--params-file", tmp_path / "all.params", mx.cpu())
    with pytest.raises(UserError, match=r"0\.bias is float64 and other arrays are not"):
        load_params(net, "--params-file", tmp_path / "one.params", mx.cpu())
    equal(values_of(net), before)
