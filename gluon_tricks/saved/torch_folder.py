"""Saved parameters as a folder for PyTorch.

    model.safetensors    the weights: under timm's names, or under this kit's for a net that timm lacks
    config.json          architecture, classes, and how images are prepared, in the layout of timm's hub
    net.py               only for a net that timm lacks: its modules in plain PyTorch
    model.json           the record of the training, for this kit

timm opens the first two by `timm.create_model("local-dir:FOLDER", pretrained=True)`; net.py has `load()`.
"""

import hashlib
import json
from typing import NamedTuple

import numpy as np

from gluon_tricks.bridge.architectures import ARCHITECTURES, Architecture
from gluon_tricks.errors import UserError
from gluon_tricks.files import PACKAGE
from gluon_tricks.models.names import MODELS
from gluon_tricks.models.safetensors_file import safetensors_pieces
from gluon_tricks.parameters import batch_norms, named_parameters

WEIGHTS, CONFIG, NET, RECORD = "model.safetensors", "config.json", "net.py", "model.json"
TRAINING_ONLY = ("last_gamma", "final_drop", "use_global_stats", "fix_last_gamma")   # same net in prediction
PLAIN = PACKAGE / "bridge" / "plain"

LOADING = '''

def make_net():
    """{model} for {classes} classes: (N, {channels}, {size}, {size}) -> (N, {classes}) logits."""
    return {call}


def load(path=None):
    """The net with its weights, in evaluation mode; by default those next to this file."""
    from pathlib import Path

    from safetensors.torch import load_file

    net = make_net()
    net.load_state_dict(load_file(path or Path(__file__).with_name("{weights}")))
    return net.eval()
'''


class Destination(NamedTuple):
    """What a net is in PyTorch.

    Attributes
    ----------
    architecture : Architecture
        With this kit's name and names of parameters for a net that timm lacks.
    source : str
        Of net.py; "" for a net of timm.
    """
    architecture: Architecture
    source: str = ""


def destination_of(facts):
    """The `Destination` of a net, given its `NetFacts`.

    Raises
    ------
    UserError
        If neither timm nor this kit has the net in PyTorch.
    """
    name = facts.model.lower()
    switches = {key: value for key, value in facts.switches.items()
                if key not in TRAINING_ONLY and (key, value) != ("drop_rate", 0)}
    with_groups, timms = switches.pop("use_gn", False), ARCHITECTURES.get(name)
    if timms and not switches and (not with_groups or name in MODELS):
        args = {**timms.args, "norm_layer": "groupnorm"} if with_groups else timms.args
        return Destination(timms._replace(args=args))
    entry = MODELS.get(name)
    source = PLAIN / f"{entry.file}.py" if entry else None
    if entry and not with_groups and source.exists() and f"class {entry.name}(" in source.read_text():
        keywords = {**entry.kwargs, "classes": facts.classes, **switches}
        words = [*map(repr, entry.args), *(f"{key}={value!r}" for key, value in keywords.items())]
        return Destination(Architecture(name), source.read_text() + LOADING.format(
            model=name, classes=facts.classes, channels=facts.channels, size=facts.input_size,
            call=f"{entry.name}({', '.join(words)})", weights=WEIGHTS))
    words = "".join(f" {key}={value}" for key, value in facts.switches.items())
    raise UserError(f"--format torch: timm has no {facts.model}{words}, and this kit has no such net in "
                    "PyTorch; --format onnx or symbol can export it")


def torch_files(net, facts, record):
    """The files of the folder: {name: bytes, or pieces of bytes}.

    Parameters
    ----------
    net : HybridBlock
        In float32.
    facts : NetFacts
        With its number of classes.
    record : callable, dict of facts -> dict
        As `run_record`.
    """
    destination = destination_of(facts)
    table = destination.architecture.table
    arrays = weights_of(net)
    provenance = {"dataset": facts.dataset, "data_root_hash": facts.data_root_hash, "model": facts.model}
    pieces = safetensors_pieces(table.there(arrays), {"format": "pt", **provenance})
    digest = hashlib.sha256(b"".join(pieces)).hexdigest()
    facts_there = record({"net": facts._asdict(), "params_sha256": digest})
    files = {WEIGHTS: b"".join(pieces), RECORD: as_json(facts_there),
             CONFIG: as_json(config_of(destination.architecture, facts, arrays, {
                 **provenance, "params_sha256": digest, "versions": facts_there["versions"],
                 "commit": facts_there["commit"]}))}
    return {**files, NET: destination.source.encode()} if destination.source else files


def weights_of(net):
    """{structural name: float32 array}; ones for the gammas that a BatchNorm without scale ignores."""
    ignored = {id(layer.gamma) for layer in batch_norms(net) if layer._kwargs["fix_gamma"]}
    arrays = {}
    for name, param in named_parameters(net).items():
        value = param.list_data()[0].asnumpy()
        arrays[name] = np.ones_like(value) if id(param) in ignored else value
    return arrays


def config_of(architecture, facts, arrays, provenance):
    """The content of config.json: timm's fields, and `gluon_tricks` with the origin of the weights."""
    table, size = architecture.table, facts.input_size
    weights = [name for name in arrays if name.endswith(".weight")]
    first, head = (table.name(name).removesuffix(".weight") for name in (weights[0], weights[-1]))
    config = {"architecture": architecture.name, "num_classes": facts.classes,
              "num_features": arrays[weights[-1]].shape[1]}
    if facts.class_names:
        config["label_names"] = facts.class_names
    if architecture.args:
        config["model_args"] = architecture.args
    config["pretrained_cfg"] = {
        "input_size": [facts.channels, size, size], "num_classes": facts.classes,
        "crop_pct": facts.crop_ratio, "crop_mode": "center", "interpolation": "bilinear",
        "mean": [value / 255 for value in facts.rgb_mean], "std": [value / 255 for value in facts.rgb_std],
        "first_conv": first, "classifier": head,
        "custom_load": False}
    return {**config, "gluon_tricks": provenance}


def as_json(value):
    return (json.dumps(value, indent=1) + "\n").encode()
