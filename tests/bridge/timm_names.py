"""Write timm_names.txt.xz: names and shapes of timm's parameters, for each net of `ARCHITECTURES`.

    .venv-torch/bin/python -m tests.bridge.timm_names
"""

import lzma
from pathlib import Path

FILE = Path(__file__).with_name("timm_names.txt.xz")


def main():
    import timm
    import torch

    from gluon_tricks.bridge.architectures import ARCHITECTURES

    lines = []
    for model, there in ARCHITECTURES.items():
        with torch.device("meta"):                         # shapes without values
            state = timm.create_model(there.name, num_classes=1000, **there.args).state_dict()
        lines += [f"{model} {name} {'x'.join(map(str, value.shape))}" for name, value in state.items()]
    FILE.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9 | lzma.PRESET_EXTREME))
    print(timm.__version__, len(lines), FILE.stat().st_size)


def read_names():
    """{net: {name: shape}}."""
    found = {}
    for line in lzma.decompress(FILE.read_bytes()).decode().splitlines():
        model, name, shape = line.split(" ")
        found.setdefault(model, {})[name] = tuple(map(int, filter(None, shape.split("x"))))
    return found


if __name__ == "__main__":
    main()
