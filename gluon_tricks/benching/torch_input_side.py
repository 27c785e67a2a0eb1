"""PyTorch's side of `bench input`: a DataLoader with torchvision's transforms over Pillow.

    .venv-torch/bin/python -m gluon_tricks.benching.torch_input_side --rec train.rec -j 2 < /dev/null

Runs with an interpreter that has torch, torchvision, Pillow and NumPy, and needs no MXNet. Torchvision has no
PCA noise; `pca_noise` adds it.
"""

import argparse
import io
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from gluon_tricks.data.recordio import RecordReader

# as in gluon_tricks.data.imagenet_augment, which imports OpenCV; on the 0..1 scale
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
EIGENVECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140],
                             [-0.5836, -0.6948, 0.4203]])


class Photographs(torch.utils.data.Dataset):
    """Images and labels of a record file."""

    def __init__(self, rec, transform):
        self.reader, self.transform = RecordReader(rec), transform

    def __len__(self):
        return len(self.reader)

    def __getitem__(self, position):
        label, encoded, _, _ = self.reader.read_image(position)
        return self.transform(Image.open(io.BytesIO(encoded)).convert("RGB")), int(label)


def pca_noise(image):
    """Three draws of N(0, 0.1), one per eigenvector of ImageNet's colours."""
    return image + (EIGENVECTORS @ (0.1 * torch.randn(3) * EIGENVALUES))[:, None, None]


def main():
    args = parse_args()
    transform = transforms.Compose([
        transforms.RandomResizedCrop(args.input_size, (0.08, 1.0), (3 / 4, 4 / 3)),
        transforms.RandomHorizontalFlip(), transforms.ColorJitter(0.4, 0.4, 0.4), transforms.ToTensor(),
        pca_noise, transforms.Normalize(MEAN, STD)])
    loader = torch.utils.data.DataLoader(Photographs(args.rec, transform), args.batch_size, shuffle=True,
                                         drop_last=True, num_workers=args.num_workers,
                                         persistent_workers=True)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__}
    print(json.dumps({"versions": versions}), flush=True)
    # as `worker.serve`, which imports what this environment may not have
    for _ in sys.stdin:
        start, used = time.perf_counter(), cpu_seconds()
        images = sum(len(labels) for _, labels in loader)
        elapsed = time.perf_counter() - start
        print(json.dumps({"rate": images / elapsed, "cpu_ms": 1000 * (cpu_seconds() - used) / images}),
              flush=True)


def cpu_seconds():
    """Processor time of this process and of the DataLoader's processes."""
    ticks = 0
    for worker in multiprocessing.active_children():
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])                      # in user and in kernel mode
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rec", type=Path, required=True)
    parser.add_argument("--num-workers", "-j", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--input-size", type=int, default=224)
    return parser.parse_args()


if __name__ == "__main__":
    main()
