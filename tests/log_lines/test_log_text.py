"""Logs as other programs leave them: prefixes, colours, byte order marks, and text that must not reach a terminal.
"""

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.lines import CifarEpoch, ImagenetValidation, namespace_line, parse_line
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.log_lines.text import lines_of
from gluon_tricks.log_lines.transfer import read_transfer_log

EPOCH = "[Epoch 7] train=0.500000 val=0.250000 loss=1.234568 time: 16.000000"
VALIDATION = "[Epoch 7] validation: err-top1=0.223374 err-top5=0.062161"
PREFIXES = [
    "2026-11-28 06:54:49,123 INFO ", "2026-11-28 06:54:49,123 - root - INFO - ", "[2026-11-28T06:54:49Z] INFO:root:",
    "2026-11-28T06:54:49.123456789Z stdout F ", "2026/11/28 06:54:49 ", "06:54:49 ", "[06:54:49] ",
    "2026-11-28T06:54:49+01:00 ", "Nov 28 06:54:49 ", "Nov  8 06:54:49 node-1 python3[331]: INFO:root:",
    "[Sat Nov 28 06:54:49 2026] ", "[   12.345678] ", "3: ", "[0] ", "[rank 3] ", "worker-1  | ",
    "INFO ", "[INFO] ", "WARNING:root:", "[1,0]<stderr>:INFO:root:", "[0] 2026-11-28 06:54:49 INFO root: ",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_line_is_read_past_the_prefix_of_another_program(prefix):
    assert parse_line(prefix + EPOCH) == CifarEpoch(7, 0.5, 0.25, 1.234568, 16.0)
    assert parse_line(prefix + VALIDATION + "  ") == ImagenetValidation(7, 0.223374, 0.062161)
    assert parse_line(prefix + namespace_line({"lr": 0.1})).args == {"lr": 0.1}


@pytest.mark.parametrize("before", ["the log says: ", "train=0.5 ", "[Epoch 6] "])
def test_other_words_before_a_line_are_no_prefix(before):
    assert parse_line(before + EPOCH) is None


COLOURED = EPOCH.replace("0.250000", "\x1b[1;32m0.250000\x1b[0m") + "\x1b[K"
TEXT = f"{namespace_line({'model': 'x', 'lr': 0.1})}\n{EPOCH}\n"


@pytest.mark.parametrize("content", [
    b"\xef\xbb\xbf" + TEXT.encode(), TEXT.encode("utf-16"), b"\xfe\xff" + TEXT.encode("utf-16-be"),
    TEXT.replace("\n", "\r\n").encode(), TEXT.replace(EPOCH, COLOURED).encode(),
    ("\x1b]0;title\x07\x1b[33m" + TEXT).encode(),
], ids=["utf-8 mark", "utf-16", "utf-16 big-endian", "Windows", "colours", "title"])
def test_marks_line_ends_and_colours_do_not_matter(tmp_path, content):
    (tmp_path / "run.log").write_bytes(content)
    log = read_log(tmp_path / "run.log")
    assert (log.args, log.counts) == ({"model": "x", "lr": 0.1}, {"namespace": 1, "cifar_epoch": 1})
    assert log.epochs[0].train_metric == 0.5


def test_a_detection_log_with_timestamps_and_colours_is_read(tmp_path):
    lines = ["[Epoch 0] Training cost: 1326.142, RPN_Conf=0.045,RPN_SmoothL1=0.030", "[Epoch 0] Validation: ",
             "\x1b[1mmAP=0.7765967923775811\x1b[0m"]
    (tmp_path / "voc.log").write_bytes(
        b"\xef\xbb\xbf" + "".join(f"2026-11-28 06:54:49,1 INFO {line}\n" for line in lines).encode())
    epoch, = read_transfer_log(tmp_path / "voc.log").epochs
    assert (epoch.cost_s, epoch.scores) == (1326.142, {"mAP": 0.7765967923775811})


def test_no_text_of_a_log_has_control_characters(tmp_path):
    (tmp_path / "run.log").write_bytes(b"a\x07\x08b\tc \xc2\x9b2J \xe2\x80\xae \xff\n")
    (_, text, _), = lines_of(tmp_path / "run.log")
    assert text == r"a\x07\x08b" + "\tc  " + r"\u202e " + "\N{REPLACEMENT CHARACTER}"


def test_a_pipe_and_other_things_that_are_no_file_are_refused():
    with pytest.raises(UserError, match="/dev/null: no file; give a .log file"):
        list(lines_of("/dev/null"))


# --- headers ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, text", [
    ("batch_size", "'many'"), ("batch_size", "[128]"), ("batch_size", "True"), ("batch_size", "128.0"),
    ("batch_size", "10**400"), ("num_epochs", "nan"), ("num_epochs", "9" * 30), ("lr", "inf"), ("lr", "{}"),
    ("lr_decay_period", "-1"), ("num_gpus", "(1, 2)"), ("resume_epoch", "[1]"), ("mixup", "'False'"),
    ("classes", "1.5"), ("model", "3"), ("dataset", "b'x'"), ("lr_decay_epoch", "[40, 60]"), ("teacher", "7"),
    ("world_size", "'2'"),
])
def test_a_header_that_no_run_writes_is_refused_with_its_line(tmp_path, name, text):
    (tmp_path / "run.log").write_text(f"note\nNamespace({name}={text})\n{EPOCH}\n")
    with pytest.raises(UserError, match=rf"run.log: line 2, Namespace: {name}=.* must be .*no run writes this"):
        read_log(tmp_path / "run.log")


@pytest.mark.parametrize("text", ["{[]: 1}", "{1, []}", "-'a'", "(" * 150 + ")" * 150, "-" * 40_000 + "1",
                                  "'\\\\d'", "[" * 99 + "]" * 99])
def test_odd_values_of_other_flags_do_no_harm(tmp_path, text):
    (tmp_path / "run.log").write_text(f"Namespace(other={text})\n{EPOCH}\n")
    assert len(read_log(tmp_path / "run.log").epochs) == 1


def test_texts_of_a_header_are_safe_to_print(tmp_path):
    flags = {"model": "x\nverdict: INSIDE\x1b[2J", "model_kwargs": ["\u202e", ("\x07",)]}
    (tmp_path / "run.log").write_text(f"{namespace_line(flags)}\n{EPOCH}\n")
    assert read_log(tmp_path / "run.log").args == {"model": r"x\nverdict: INSIDE\x1b[2J",
                                                   "model_kwargs": [r"\u202e", (r"\x07",)]}
