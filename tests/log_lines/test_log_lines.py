"""GluonCV's log lines: what is written is read back, and real lines mean what they say."""

import dataclasses
import keyword
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines import lines as log_lines
from gluon_tricks.log_lines.lines import (
    CifarEpoch,
    HorovodBatch,
    HorovodLoss,
    HorovodSpeed,
    HorovodTrain,
    HorovodValidation,
    ImagenetBatch,
    ImagenetSpeed,
    ImagenetTrain,
    ImagenetValidation,
    Namespace,
    TotalTime,
    namespace_line,
    noise_kind,
    parse_line,
)
from gluon_tricks.log_lines.reading import read_log
from tests.epoch_lines import cifar_epoch_line

PREFIXES = ["", "INFO:root:", "[1,0]<stderr>:INFO:root:"]

# Lines of published logs, and of train_imagenet.py today, with what they say.
REAL_LINES = [
    # cifar_resnet20_v1
    ("INFO:root:[Epoch 0] train=0.467608 val=0.558900 loss=1.452417 time: 16.450441",
     CifarEpoch(0, train=0.467608, val=0.5589, loss=1.452417, time_s=16.450441)),
    # resnet101_v1
    ("INFO:root:Epoch[0] Batch [49]\tSpeed: 1171.107554 samples/sec\ttop1-err=0.998945\tlr=0.003133",
     ImagenetBatch(0, 49, 1171.107554, "top1-err", 0.998945, lr=0.003133)),
    # resnet50_v1b
    ("Epoch[0] Batch [49]\tSpeed: 1934.811369 samples/sec\taccuracy=0.868184\tlr=0.003133",
     ImagenetBatch(0, 49, 1934.811369, "accuracy", 0.868184, lr=0.003133)),
    ("[Epoch 119] training: accuracy=0.806293", ImagenetTrain(119, "accuracy", 0.806293)),
    # resnet101_v1
    ("INFO:root:[Epoch 0] training: err-top1=0.975747", ImagenetTrain(0, "err-top1", 0.975747)),
    ("[Epoch 119] speed: 5154 samples/sec\ttime cost: 257.641256", ImagenetSpeed(119, 5154, 257.641256)),
    ("[Epoch 119] validation: err-top1=0.223374 err-top5=0.062161",
     ImagenetValidation(119, 0.223374, 0.062161)),
    ("Training time for 120 epochs: 31122.500000 sec.", TotalTime(120, 31122.5)),
    # resnest14
    ("[1,0]<stderr>:INFO:root:Epoch[269] Rank[0] Batch[1251]\tTime cost=399.55\tTrain-metric=0.017193",
     HorovodTrain(269, 0, 1251, time_s=399.55, value=0.017193)),
    ("[1,0]<stderr>:INFO:root:Epoch[269]\tSpeed: 3206.17 samples/sec", HorovodSpeed(269, 3206.17)),
    ("[1,0]<stderr>:INFO:root:Epoch[269] "
     "Rank[0]\tValidation-accuracy=0.758760\tValidation-top_k_accuracy_5=0.927580",
     HorovodValidation(269, 0, 0.75876, 0.92758)),
    ("[1,0]<stderr>:INFO:root:Epoch[0] Rank[0] Batch[100]\trmse=0.026110\tlr=0.006390",
     HorovodBatch(0, 0, 100, "rmse", 0.02611, lr=0.00639)),
    ("[1,0]<stderr>:INFO:root:Epoch[0] Batch[100] Loss[6.968]", HorovodLoss(0, 100, 6.968)),
]

NOISE = [
    ("mxnet_native", "[04:56:42] src/operator/nn/./cudnn/./cudnn_algoreg-inl.h:107: Running performance "
     "tests"),
    ("command_echo", "python train_mixup_cifar10.py --num-epochs 220 --mode hybrid"),
    ("autoaugment_print", "[1,3]<stdout>:Using AutoAugment"),
    ("network_repr", "[1,0]<stderr>:  (relu): Activation(relu)"),
    ("mpi_banner", "  Local host: ip-172-31-29-212"),
    ("note", "INFO:root:global batch 128 = 128 per device x 1 device x 1 process; lr 0.1"),
    ("note", "WARNING:root:this machine is slow"),
    ("note", "warning: global batch 480 (96 x 5 GPUs) with --lr 0.4; the linear rule gives 0.1875."),
    ("note", "resumed at epoch 3, update 1173"),
    ("blank", ""),
]


# --- one line -----------------------------------------------------------------------------------------------

def numbers(decimals):
    """Floats that %.{decimals}f prints exactly."""
    finite = st.integers(-10**12, 10**12).map(lambda n: n / 10**decimals)
    return st.one_of(finite, st.sampled_from([float("inf"), float("-inf")]))


def lines_of(kind):
    """Any line of a kind, its fields as its template prints them."""
    specs = {name: spec for _, name, spec, _ in string.Formatter().parse(kind.template) if name}
    strategies = {"d": st.integers(0, 10**9), "f": numbers(6), ".3f": numbers(3), ".2f": numbers(2),
                  "": st.sampled_from(["accuracy", "rmse", "top1-err", "err-top1"])}
    return st.builds(kind,
                     **{field.name: strategies[specs[field.name]] for field in dataclasses.fields(kind)})


any_line = st.one_of([lines_of(kind) for kind in log_lines.KINDS if kind is not Namespace])
literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5)
namespaces = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True).filter(
    lambda key: not keyword.iskeyword(key)), literals, max_size=6)


@settings(deadline=None)
@given(any_line, st.sampled_from(PREFIXES))
def test_every_kind_of_line_reads_back_as_written(line, prefix):
    assert parse_line(prefix + str(line)) == line


@settings(deadline=None)
@given(any_line, st.data())
def test_a_line_cut_anywhere_is_no_line(line, data):
    text = str(line)
    assert parse_line(text[:data.draw(st.integers(0, len(text) - 1))]) is None


@settings(deadline=None)
@given(namespaces, st.sampled_from(PREFIXES))
@pytest.mark.slow
def test_a_namespace_reads_back_as_written(args, prefix):
    assert parse_line(prefix + namespace_line(args)) == Namespace(args)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_parsed_without_an_error(text):
    parse_line(text)
    noise_kind(text)
    Namespace.parse(f"Namespace({text})")


@pytest.mark.parametrize(("text", "line"), REAL_LINES)
def test_real_lines_mean_what_they_say(text, line):
    assert parse_line(text) == line
    assert text.endswith(str(line))


@pytest.mark.parametrize(("kind", "text"), NOISE)
def test_noise_is_told_apart_from_lines(kind, text):
    assert parse_line(text) is None
    assert noise_kind(text) == kind


def test_a_damaged_epoch_line_is_neither_a_line_nor_a_note():
    text = "INFO:root:[Epoch 3] train=0.5 val=0.4"
    assert parse_line(text) is None
    assert noise_kind(text) is None


def test_the_writers_print_as_gluoncv_does():
    args = {"model": "cifar_resnet20_v1", "batch_size": 128, "lr_decay_epoch": "100,150", "resume_from": None,
            "wd": 1e-4}
    assert namespace_line(args) == ("Namespace(batch_size=128, lr_decay_epoch='100,150', "
                                    "model='cifar_resnet20_v1', resume_from=None, wd=0.0001)")
    assert cifar_epoch_line(7, 0.5, 0.25, 1.23456789,
                            16) == ("[Epoch 7] train=0.500000 val=0.250000 loss=1.234568 "
                                                              "time: 16.000000")


def test_a_value_that_is_no_literal_comes_back_as_its_text():
    text = "Namespace(a=PosixPath('/data'), b=nan, c=-inf, d=<object at 0x1>)"
    assert parse_line(text) is None                                        # <...> is not Python
    read = parse_line(text.replace(", d=<object at 0x1>", "")).args
    assert read["a"] == "PosixPath('/data')"
    assert read["b"] != read["b"]
    assert read["c"] == float("-inf")


# --- whole logs ---------------------------------------------------------------------------------------------

def write(path, *lines, end="\n"):
    path.write_text("\n".join(lines) + end)
    return path


def epoch(number, train=0.5, val=0.4):
    return "INFO:root:" + cifar_epoch_line(number, train, val, 1.5, 16.0)


HEADER = "INFO:root:" + namespace_line({"model": "cifar_resnet20_v1", "lr": 0.1})


def test_a_cifar_log_is_read_as_accuracies_and_errors(tmp_path):
    log = read_log(write(tmp_path / "run.log", HEADER, epoch(0, 0.25, 0.5589), epoch(1)))
    assert (log.style, log.headers, log.args["lr"]) == ("cifar", 1, 0.1)
    assert log.epochs[0]._asdict() == {
        "epoch": 0, "train_metric_name": "accuracy", "train_metric": 0.25, "train_loss": 1.5,
        "val_err_top1": 0.4411, "val_err_top5": None, "samples_per_sec": None, "time_s": 16.0,
        "lr_last_logged": None, "last_batch_logged": None}


@pytest.mark.parametrize(("args", "metric"), [
    ({"lr": 0.1}, "accuracy"),                                             # train_cifar10.py
    ({"lr": 0.1, "logging_dir": "logs"}, "rmse"),                          # train_mixup_cifar10.py
    ({"logging_dir": "logs", "mixup": False}, "accuracy"),                 # this kit
    ({"logging_dir": "logs", "mixup": True}, "rmse"),
    ({"mixup": False, "label_smoothing": True}, "accuracy"),
])
def test_the_header_tells_what_train_means(tmp_path, args, metric):
    log = read_log(write(tmp_path / "run.log", namespace_line(args), epoch(0)))
    assert log.epochs[0].train_metric_name == metric


def test_an_imagenet_epoch_is_gathered_from_its_lines(tmp_path):
    log = read_log(write(
        tmp_path / "run.log", namespace_line({"log_interval": 50}),
        str(ImagenetBatch(0, 50, 100.0, "accuracy", 0.1, 0.2)),
        str(ImagenetBatch(0, 100, 100.0, "accuracy", 0.2, 0.3)),
        str(ImagenetTrain(0, "accuracy", 0.25)), str(ImagenetSpeed(0, 900, 8.5)),
        str(ImagenetValidation(0, 0.8, 0.6)), str(ImagenetBatch(1, 50, 100.0, "accuracy", 0.3, 0.4)),
        str(TotalTime(1, 10.0))))
    assert log.style == "imagenet-C"
    assert [tuple(record) for record in log.epochs] == [(0, "accuracy", 0.25, None, 0.8, 0.6, 900, 8.5, 0.3,
                                                         100)]


def test_a_resumed_run_reads_as_one_run(tmp_path):
    killed = [HEADER, epoch(0), epoch(1), epoch(2, val=0.9), "INFO:root:[Epoch 3] train=0."]
    resumed = [HEADER.replace("lr=0.1", "lr=0.1, resume='auto'"), "INFO:root:resumed at epoch 2, update 780",
               epoch(2, val=0.5), epoch(3)]
    log = read_log(write(tmp_path / "run.log", *killed, *resumed))
    assert [(record.epoch, record.val_err_top1) for record in log.epochs] == [(0, 0.6), (1, 0.6), (2, 0.5),
                                                                              (3, 0.6)]
    assert log.args["resume"] == "auto"
    assert log.headers == 2
    assert log.counts == {"namespace": 2, "cifar_epoch": 5, "note": 1, "unmatched": 1}
    assert log.unmatched == [(5, "INFO:root:[Epoch 3] train=0.")]


def test_a_restarted_run_replaces_all_it_had(tmp_path):
    log = read_log(write(tmp_path / "run.log", HEADER, epoch(0), epoch(1), HEADER.replace("0.1", "0.2"),
                         epoch(0)))
    assert [record.epoch for record in log.epochs] == [0]
    assert log.args["lr"] == 0.2


def test_a_restart_in_the_middle_of_an_epoch_drops_what_that_epoch_had(tmp_path):
    first = [namespace_line({"lr": 0.4}), str(ImagenetBatch(0, 49, 1.0, "accuracy", 0.1, 0.1)),
             str(ImagenetTrain(0, "accuracy", 0.9)), str(ImagenetValidation(0, 0.9, 0.9))]
    again = [namespace_line({"lr": 0.1}), str(ImagenetBatch(0, 49, 1.0, "accuracy", 0.1, 0.2)),
             str(ImagenetTrain(0, "accuracy", 0.3))]
    record, = read_log(write(tmp_path / "run.log", *first, *again)).epochs
    assert (record.train_metric, record.val_err_top1, record.lr_last_logged) == (0.3, None, 0.2)


def test_a_header_without_epochs_after_it_does_not_count_yet(tmp_path):
    log = read_log(write(tmp_path / "run.log", HEADER, epoch(0), HEADER.replace("0.1", "0.2")))
    assert log.args["lr"] == 0.1


def test_a_log_being_written_may_end_in_half_a_line(tmp_path):
    text = "\n".join([HEADER, epoch(0), epoch(1)]) + "\n"
    for length in range(len(HEADER) + len(epoch(0)) + 2, len(text)):
        (tmp_path / "run.log").write_text(text[:length])
        log = read_log(tmp_path / "run.log")
        assert len(log.epochs) in (1, 2)
        assert "unmatched" not in log.counts


@pytest.mark.parametrize(("content", "complaint"), [
    (b"", "no finished epoch"),
    (b"Namespace(lr=0.1)\nhello\n", "no finished epoch"),
    (b"Namespace(lr=0.1)\n[Epoch 0] train=0.5 val=0.4 loss=1.4 time: 16.45", "no finished epoch"),
    (b"\x89PNG\r\n\0\0\0", "not a text file"),
    (b"\xff\xfe\xfa" * 50, "no finished epoch"),
])
def test_an_unusable_file_is_named_with_a_remedy(tmp_path, content, complaint):
    path = tmp_path / "run.log"
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as error:
        read_log(path)
    assert str(path) in str(error.value)
    assert "give the" in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_log(tmp_path / "none.log")
    with pytest.raises(UserError, match="a directory"):
        read_log(tmp_path)
