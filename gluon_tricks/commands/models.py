"""How large the nets are: parameters, and multiply-adds for one image, compared with the paper's Table 5.

    python -m gluon_tricks models                              all nets of this kit
    python -m gluon_tricks models 'resnet*d' 'cifar_vgg*'      those of them, patterns in quotes
    python -m gluon_tricks models resnet50_v1d                 one net, stage by stage
    python -m gluon_tricks models resnet50_v1d --layers        ... layer by layer
    python -m gluon_tricks models inceptionv3 --classes 10     a net of GluonCV's zoo

Multiply-adds are those of convolutions and dense layers, which the papers call FLOPs. Parameters are counted
without BatchNorm's running statistics and with them, as in a .params file. One net is built and its shapes
are inferred; the list of all nets comes from models/sizes.csv, which the tests compare with the nets.
"""

import argparse
import csv
import math
from typing import NamedTuple

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import PACKAGE, atomic_write
from gluon_tricks.program import is_pattern, matching
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.script.flags import check_numbers

SIZES = PACKAGE / "models" / "sizes.csv"


class PaperRow(NamedTuple):
    """A row of the paper's Table 5."""

    model: str
    parameters: str
    flops: str
    top1_pct: str


TABLE_5 = {row.flags["model"]: PaperRow(row.name, *row.extra.split(", "), row.paper.top1)
           for row in TABLES[5].rows}


def main(argv=None):
    args = parse_args(argv)
    is_one = len(args.patterns) == 1 and not is_pattern(args.patterns[0])
    if not is_one and (args.layers or args.input_size or args.classes):
        raise UserError("--layers, --input-size and --classes are for one net: give its name")
    if args.recount:
        count_again()
    if is_one:
        lines = one_model(args.patterns[0].lower(), args.input_size, args.classes, args.layers)
    else:
        lines = list_of(args.patterns)
    for line in lines:
        print(line)
    return 0


# --- All nets -----------------------------------------------------------------------------------------------

def list_of(patterns):
    """A line per net of this kit that a pattern fits. MXNet is not imported: that takes two seconds."""
    with open(SIZES, newline="", encoding="utf-8") as file:
        sizes = {name: Size(name, *map(int, numbers)) for name, *numbers in list(csv.reader(file))[1:]}
    rows = [sizes[name] for name in matching(patterns, sizes, "net of this kit",
                                             "python -m gluon_tricks models lists them")]
    width = max(len(row.model) for row in rows)
    yield f"{'':{width + 28}}{'with':>13}{'multiply-':>12}   {'Table 5 of the paper':^32}"
    yield (f"{'':{width}}{'image':>13}{'trainable':>15}{'statistics':>13}{'adds':>12}"
           f"   {'params':>19}{'FLOPs':>7}{'top-1':>7}")
    for row in rows:
        image, multiply_adds = f"3x{row.side}x{row.side}", f"{row.multiply_adds / 1e9:.4g} G"
        parameters = f"{row.trainable:15,}{row.with_statistics:13,}"
        yield f"{row.model:<{width}}{image:>13}{parameters}{multiply_adds:>12}{_in_table_5(row.model)}"
    yield ""
    yield "Every other name of GluonCV's zoo is known too, if GluonCV is installed."


class Size(NamedTuple):
    """A row of models/sizes.csv."""

    model: str
    side: int             # height and width of the image
    trainable: int        # parameters
    with_statistics: int  # ... with BatchNorm's running statistics
    multiply_adds: int    # for one image


def size_of(name):
    """Build a net of this kit and count."""
    from gluon_tricks.models.registry import get_model
    from gluon_tricks.models.sizes import count_multiply_adds, count_parameters, natural_size

    net, side = get_model(name), natural_size(name)
    return Size(name, side, *count_parameters(net), count_multiply_adds(net, (3, side, side)))


def count_again():
    """Write models/sizes.csv, after a net was added or changed."""
    from gluon_tricks.models.registry import list_models

    rows = [Size._fields, *map(size_of, list_models())]
    atomic_write(SIZES, "".join(",".join(map(str, row)) + "\n" for row in rows))


def _in_table_5(name):
    if name not in TABLE_5:
        return ""
    row = TABLE_5[name]
    return f"   {row.model:<13}{row.parameters:>6}{row.flops:>7}{row.top1_pct:>7}"


# --- One net ------------------------------------------------------------------------------------------------

class Part(NamedTuple):
    """A stage of a net, or a single layer."""

    name: str        # as in a .params file
    layers: list     # of LayerSize: its convolutions and dense layers
    parameters: int  # with statistics


def one_model(name, size=None, classes=None, by_layer=False):
    """The lines about one net.

    Parameters
    ----------
    name : str
    size : int
        Height and width of the image; None takes the net's own.
    classes : int
        None takes the net's own.
    by_layer : bool
        A line per layer instead of one per stage.
    """
    from gluon_tricks.models.registry import get_model
    from gluon_tricks.models.sizes import count_parameters, giga, natural_size, sizes_of

    size = size or natural_size(name)
    net = get_model(name, classes=classes)
    layers = sizes_of(net, name, size)
    trainable, with_statistics = count_parameters(net)
    multiply_adds = sum(layer.multiply_adds for layer in layers)
    yield f"{name}, images of 3x{size}x{size}"
    yield (f"{trainable:,} trainable parameters, {with_statistics:,} with statistics, "
           f"{giga(multiply_adds)} multiply-adds")
    if name in TABLE_5:
        row = TABLE_5[name]
        yield f"Table 5, {row.model}: {row.parameters} parameters, {row.flops} FLOPs, top-1 {row.top1_pct} %"
    yield ""
    table = parts(net, layers, by_layer)
    width = max(len(part.name) for part in table)
    yield f"{'':{width}}  {'':30}{'last output':>12}{'parameters':>14}{'multiply-adds':>16}"
    for part in table:
        if not part.layers:
            yield f"{part.name:<{width}}  {'normalization':<42}{part.parameters:14,}"
            continue
        kind = part.layers[0].kind if len(part.layers) == 1 else f"{len(part.layers)} layers"
        output = "x".join(map(str, part.layers[-1].output_shape))
        multiply_adds = giga(sum(layer.multiply_adds for layer in part.layers))
        yield f"{part.name:<{width}}  {kind:<30}{output:>12}{part.parameters:14,}{multiply_adds:>16}"


def parts(net, layers, by_layer):
    """What has parameters in a net: its stages, or its layers.

    Parameters
    ----------
    net : HybridBlock
    layers : list of LayerSize
        All its convolutions and dense layers.
    by_layer : bool

    Returns
    -------
    list of Part
    """
    parameters_of = {}  # part -> its parameters
    for key, parameter in net._collect_params_with_prefix().items():  # names as in a .params file
        owner = key.rpartition(".")[0]
        parameters_of.setdefault(owner if by_layer else stage_of(owner), []).append(parameter)
    found = []
    for name, parameters in parameters_of.items():
        names = {parameter.name for parameter in parameters}
        found.append(Part(name, [layer for layer in layers if layer.weight in names],
                          sum(math.prod(parameter.shape) for parameter in parameters)))
    return found


def stage_of(owner):
    """`layer1` for `layer1.0.conv1`, `features.4` for `features.4.0.body.0`."""
    return ".".join(owner.split(".")[:2 if owner.startswith("features.") else 1])


# --- Both ---------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="NAME",
                        help="a classifier of this kit or of GluonCV's zoo; or several of this kit, also as "
                             "patterns in quotes")
    parser.add_argument("--layers", action="store_true", help="a line per layer instead of one per stage")
    parser.add_argument("--input-size", type=int, metavar="N",
                        help="height and width of the image (default: the net's)")
    parser.add_argument("--classes", type=int, metavar="N",
                        help="width of the classifier (default: the net's)")
    parser.add_argument("--recount", action="store_true",
                        help="for developers: count all nets again, write models/sizes.csv")
    args = parser.parse_intermixed_args(argv)
    check_numbers(args, COMMAND_FLAGS)
    return args


if __name__ == "__main__":
    run_main(main, prog="models")
