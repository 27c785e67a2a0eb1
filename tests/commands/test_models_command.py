"""`python -m gluon_tricks models`: the figures that it prints are those of the nets, and the paper's."""

import csv
import subprocess
import sys
import zlib

import pytest

from gluon_tricks.commands import models
from gluon_tricks.commands.models import TABLE_5, main
from gluon_tricks.errors import UserError
from gluon_tricks.models.registry import get_model, list_models
from gluon_tricks.models.sizes import count_multiply_adds, count_parameters, giga


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


def columns(line):
    """What stands in a line, commas and units left out."""
    return line.replace(",", "").replace(" G", "").split()


def test_every_net_has_a_line_with_its_figures(capsys):
    lines = {line.split()[0]: columns(line) for line in printed(capsys) if "3x" in line}
    assert list(lines) == list_models()
    assert lines["resnet18_v1b"] == ["resnet18_v1b", "3x224x224", "11689512", "11699112", "1.814"]
    assert lines["cifar_resnet20_v1"] == ["cifar_resnet20_v1", "3x32x32", "272474", "274042", "0.04081"]


def stored():
    """Model -> its row of models/sizes.csv."""
    with open(models.SIZES, newline="") as file:
        return {name: models.Size(name, *map(int, numbers)) for name, *numbers in list(csv.reader(file))[1:]}


def test_the_stored_sizes_are_those_of_every_net():
    assert list(stored()) == list_models()


SAMPLE = [name for name in list_models() if zlib.crc32(name.encode()) % 16 == 0]
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in list_models() if name not in SAMPLE]


@pytest.mark.parametrize("name", SAMPLE + OTHERS)
def test_a_stored_size_is_that_of_the_net(name):
    assert stored()[name] == models.size_of(name), "python -m gluon_tricks models --recount"


def test_the_list_needs_no_mxnet():
    code = "import sys, gluon_tricks.commands.models as m; m.main([]); sys.exit('mxnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, timeout=60).returncode == 0


def test_table_5_stands_next_to_its_nets(capsys):
    lines = [line.split("G", 1)[1].split() for line in printed(capsys) if "ResNet-50" in line]
    assert lines == [["ResNet-50", "25", "M", "3.8", "G", "76.21"],
                     ["ResNet-50-B", "25", "M", "4.1", "G", "76.66"],
                     ["ResNet-50-C", "25", "M", "4.3", "G", "76.87"],
                     ["ResNet-50-D", "25", "M", "4.3", "G", "77.16"]]


@pytest.mark.parametrize("name", TABLE_5)
def test_the_papers_figures_are_ours_cut_off(name):
    net, row = get_model(name), TABLE_5[name]
    assert count_parameters(net)[0] // 1_000_000 == int(row.parameters.split()[0])
    flops = float(row.flops.split()[0])
    assert count_multiply_adds(net, (3, 224, 224)) / 1e9 == pytest.approx(flops, abs=0.06)


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet50_v1d", "cifar_wideresnet16_10"])
@pytest.mark.parametrize("flags", [[], ["--layers"]])
def test_the_parts_of_a_net_sum_up_to_it(name, flags, capsys):
    lines = printed(capsys, name, *flags)
    rows = [columns(line) for line in lines[lines.index("") + 2:]]
    parameters = [int(row[-1] if "normalization" in row else row[-2]) for row in rows]
    multiply_adds = [float(row[-1]) for row in rows if "normalization" not in row]
    net, size = get_model(name), 32 if name.startswith("cifar") else 224
    assert sum(parameters) == count_parameters(net)[1]
    assert sum(multiply_adds) * 1e9 == pytest.approx(count_multiply_adds(net, (3, size, size)), rel=1e-3)


def test_a_net_is_shown_by_stages(capsys):
    lines = printed(capsys, "ResNet50_v1d")
    assert lines[:3] == ["resnet50_v1d, images of 3x224x224",
                         "25,576,264 trainable parameters, 25,629,512 with statistics, 4.329 G multiply-adds",
                         "Table 5, ResNet-50-D: 25 M parameters, 4.3 G FLOPs, top-1 77.16 %"]
    assert [line.split()[0] for line in lines[5:]] == "conv1 bn1 layer1 layer2 layer3 layer4 fc".split()
    assert lines[7].split() == ["layer1", "10", "layers", "256x56x56", "218,624", "0.6679", "G"]


def test_a_net_is_shown_by_layers(capsys):
    lines = printed(capsys, "resnet50_v1d", "--layers")
    assert len(lines[5:]) == 55 + 55 + 1  # convolutions, BatchNorms, the classifier
    assert lines[5].split() == ["conv1.0", "conv", "3x3,", "stride", "2", "32x112x112", "864", "0.01084", "G"]


def test_classes_and_image_size_can_be_chosen(capsys):
    lines = printed(capsys, "resnet18_v1b", "--classes", "10", "--input-size", "64")
    assert lines[0] == "resnet18_v1b, images of 3x64x64"
    assert lines[-1].split() == ["fc", "dense", "10", "5,130", "5.12e-06", "G"]  # 512 x 10 weights, 10 biases


def test_gluoncvs_nets_are_shown_too(capsys):
    pytest.importorskip("gluoncv", reason="GluonCV is not installed; its names are unknown")
    assert printed(capsys, "inceptionv3")[:2] == [
        "inceptionv3, images of 3x299x299",
        "23,834,568 trainable parameters, 23,869,000 with statistics, 5.713 G multiply-adds"]


@pytest.mark.parametrize("patterns, names", [
    (["resnet*d"], ["resnet50_v1d", "resnet101_v1d", "resnet152_v1d"]),
    (["cifar_vgg*", "resnet18_v1B"], ["resnet18_v1b", "cifar_vgg15_bn"]),
    (["resnet18_v1b", "resnet18_v1"], ["resnet18_v1", "resnet18_v1b"]),
])
def test_patterns_choose_among_the_nets(capsys, patterns, names):
    assert sorted(line.split()[0] for line in printed(capsys, *patterns) if "3x" in line) == sorted(names)


@pytest.mark.parametrize(("arguments", "said"), [
    (["resnet9*"], "no net of this kit fits 'resnet9.'; there are resnet"),
    (["resnet18*", "--layers"], "are for one net: give its name"),
    (["resnet18_v1b", "--input-size", "0"], "--input-size 0: must be at least 1"),
    (["resnet18_v1b", "--classes", "0"], "--classes 0: must be at least 1"),
    (["--layers"], "are for one net: give its name"),
    (["cifar_resnet20"], "model cifar_resnet20 is .*nearest: "),
])
def test_what_cannot_be_shown_is_said(arguments, said):
    with pytest.raises(UserError, match=said):
        main(arguments)


def test_images_too_small_for_a_net_are_refused():
    pytest.importorskip("gluoncv", reason="GluonCV is not installed; its names are unknown")
    with pytest.raises(UserError,
                       match=r"--model inceptionv3: takes no images of 32x32 pixels \(.*\); it is made for 299x299"):
        main(["inceptionv3", "--input-size", "32"])


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "python -m gluon_tricks models resnet50_v1d" in capsys.readouterr().out


def test_multiply_adds_have_four_digits():
    numbers = (4_328_824_832, 11_513_626_624, 40_813_184)
    assert [giga(number) for number in numbers] == ["4.329 G", "11.51 G", "0.04081 G"]
