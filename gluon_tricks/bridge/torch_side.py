"""The PyTorch side of the bridge: what the nets in folders of `export --format torch` compute.

    .venv-torch/bin/python -m gluon_tricks.bridge.torch_side

Each line of standard input is a job, a JSON object:

    folder      with config.json and model.safetensors for timm, or with net.py and model.safetensors
    given       .npz with `images` and, for gradients, `weights`, one for each output
    out         .npz to write: `logits`; with weights also, in float64, `training`, the logits in training
                mode, `gradient NAME` of the sum of weights times logits, and `statistic NAME` after that step
    back        folder for the net's state dict, as .safetensors, .pth and the .pth of before PyTorch 1.6;
                optional

The answer to each is a JSON object. This file needs an interpreter with torch, timm and safetensors.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file


def main():
    print(json.dumps({"torch": torch.__version__, "timm": timm.__version__}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        net = open_net(Path(job["folder"]))
        if job.get("back"):
            save_back(net, Path(job["back"]))
        with np.load(job["given"]) as given:
            np.savez(job["out"], **answers(net, given))
        learned = sum(param.numel() for param in net.parameters() if param.requires_grad)
        print(json.dumps({"parameters": learned}), flush=True)


def open_net(folder):
    """The net of a folder with its weights, in evaluation mode."""
    if (folder / "net.py").exists():
        spec = importlib.util.spec_from_file_location("net", folder / "net.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.load()
    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


def save_back(net, folder):
    state = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(state, folder / "back.safetensors")
    torch.save(state, folder / "back.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)


def answers(net, given):
    """Arrays by name for `out`."""
    images = torch.from_numpy(given["images"])
    with torch.no_grad():
        found = {"logits": net(images).numpy()}
    if "weights" not in given:
        return found
    for module in net.modules():             # no dropout: some of timm's older nets have it by default
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "drop_rate"):
            module.drop_rate = 0.0
    net.double().train()
    logits = net(images.double())
    (torch.from_numpy(given["weights"]).double() * logits).sum().backward()
    found["training"] = logits.detach().numpy()
    found.update((f"gradient {name}", param.grad.numpy()) for name, param in net.named_parameters()
                 if param.requires_grad)
    found.update((f"statistic {name}", value.numpy()) for name, value in net.named_buffers()
                 if name.endswith(("running_mean", "running_var")))
    return found


if __name__ == "__main__":
    main()
