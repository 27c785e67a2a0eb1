"""Tables 7 to 9: the paper's figures, the published log's, commands that the scripts understand."""

import json
import shlex

import pytest

import train_faster_rcnn
import train_fcn
import train_imagenet
from gluon_tricks.commands import tables
from gluon_tricks.errors import UserError
from gluon_tricks.studies.transfer_tables import our_figure, transfer_rows

# As printed in the paper
PAPER = {
    7: ["56.34 / 86.87, 57.18 / 87.28", "56.70 / 87.33, 57.63 / 87.82"],
    8: ["77.54", "78.30", "79.23", "80.71", "80.96", "81.10", "81.33"],
    9: ["78.08, 37.05", "78.88, 38.88", "79.25, 39.33", "78.64, 38.75", "78.97, 38.90", "78.47, 37.99",
        "78.72, 38.40"],
}


@pytest.mark.parametrize("number", PAPER)
def test_figures_are_the_papers(number):
    assert [row["paper"] for row in transfer_rows(number)] == PAPER[number]


def test_the_published_log_stands_beside_table_8():
    assert transfer_rows(8)[0]["log"] == "77.66 (faster_rcnn_resnet50_v1b_voc)"
    assert {row["here"] for number in PAPER for row in transfer_rows(number)} == {"not run"}


@pytest.mark.parametrize("number", PAPER)
def test_commands_are_understood(number, monkeypatch):
    monkeypatch.setattr("mxnet.context.num_gpus", lambda: 8)
    scripts = {"train_imagenet.py": train_imagenet, "train_faster_rcnn.py": train_faster_rcnn,
               "train_fcn.py": train_fcn}
    for row in transfer_rows(number):
        for command in row["command"].split(" && "):
            _, script, *words = shlex.split(command)
            args = scripts[script].parse_args(words)
            if script != "train_imagenet.py":
                assert args.backbone_params.endswith(".params") and args.batch_size % 8 == 0


def test_base_and_its_parameters_belong_together():
    for number in (8, 9):
        for row in transfer_rows(number):
            first, second = (shlex.split(command) for command in row["command"].split(" && "))
            classifier = train_imagenet.parse_args(first[2:])
            assert second[second.index("--backbone") + 1] == classifier.model
            assert second[second.index("--backbone-params") + 1] == (
                f"params/imagenet-{classifier.model}-{classifier.num_epochs - 1}.params")


def test_tables_prints_them(capsys):
    tables.main(["8"])
    said = capsys.readouterr().out
    assert "Faster R-CNN on Pascal VOC with these bases (§6.1); mAP" in said
    assert "81.33" in said and "not run" in said
    tables.main(["9", "--csv", "--rows", "2"])
    assert capsys.readouterr().out.splitlines()[1].startswith('2,D-efficient,"78.88, 38.88",none,none,not '
                                                              'run,"python')
    with pytest.raises(UserError, match="--run: is for tables 1 to 6"):
        tables.main(["7", "--run"])
    with pytest.raises(UserError, match="--as paper: is for tables 1 to 6"):
        tables.main(["7", "--as", "paper"])


def test_a_run_of_a_row_is_shown(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"row": "table9-2", "score": "miou"}))
    (tmp_path / "run" / "train.log").write_text("Epoch 0 validation pixAcc: 0.780, mIoU: 0.370\n")
    assert our_figure(9, 2, tmp_path) == "78.00, 37.00" and our_figure(9, 1, tmp_path) is None
