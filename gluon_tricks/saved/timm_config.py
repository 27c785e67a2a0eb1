"""What config.json, timm's record of weights, says about the weights next to it."""

from pathlib import Path

from gluon_tricks.bridge.architectures import ARCHITECTURES
from gluon_tricks.bridge.tables import AS_HERE
from gluon_tricks.errors import UserError
from gluon_tricks.files import open_file, parse_json

NAME, SUFFIXES = "config.json", (".safetensors", ".bin", ".pth", ".pt")


def config_of(params_file, model):
    """`(given, normalisation, class names)` of PyTorch's weights with timm's config.json next to them.

    Parameters
    ----------
    params_file : path
    model : str or None
        --model, which must be the architecture of config.json.

    Returns
    -------
    given : dict
        `model`, `classes`, `input_size`, `crop_ratio`: the flags' values where none are given. {} without a
        config.json of timm.
    normalisation : (mean, deviation) or None
    class_names : list of str or None

    Raises
    ------
    UserError
        If config.json is damaged, or its architecture is no net of this kit, or another one than `model`.
    """
    path = Path(params_file).with_name(NAME)
    if Path(params_file).suffix not in SUFFIXES or not path.is_file():
        return {}, None, None
    with open_file("", path) as stream:
        try:
            config = parse_json(stream.read())
            if "architecture" not in config:             # another program's
                return {}, None, None
            prepared, names = config["pretrained_cfg"], config.get("label_names")
            _, size, _ = prepared["input_size"]
            given = {"classes": config["num_classes"], "input_size": size, "crop_ratio": prepared["crop_pct"]}
            normalisation = [tuple(255 * value for value in prepared[key]) for key in ("mean", "std")]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: is no config.json of timm ({error!r}); move it away, or give "
                            "--run-json none and --model") from error
    given["model"] = model_of(path, config["architecture"], config.get("model_args") or {}, model)
    has_names = isinstance(names, list) and len(names) == given["classes"] and all(
        isinstance(name, str) for name in names)
    return given, normalisation, names if has_names else None


def model_of(path, architecture, keywords, model):
    """This kit's name of a net of timm; of two for the same net, `model` or the one with timm's names."""
    ours = [name for name, one in ARCHITECTURES.items() if one.name == architecture and one.args == keywords]
    words = "".join(f" {key}={value}" for key, value in keywords.items())
    if not ours:
        raise UserError(f"{path}: is of timm's {architecture}{words}, which is no net of this kit; python -m "
                        "gluon_tricks bridge lists those that are")
    if model and model.lower() not in ours:
        raise UserError(f"--model {model}: {path} says timm's {architecture}{words}, which is "
                        f"{' or '.join(ours)} here; leave the flag out")
    return model or next((name for name in ours if ARCHITECTURES[name].table == AS_HERE), ours[0])
