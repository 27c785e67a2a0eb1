"""What `predict` and `evaluate --report` cost, compared with `evaluate` on the same images.

    python benchmarks/answering.py --cifar10 cifar-10-batches-bin
    python benchmarks/answering.py --cifar10 cifar-10-batches-bin --photographs imagenet-sample

    evaluate --report / evaluate    time on all 10,000 test images of CIFAR-10, cifar_resnet20_v1; less than 2
    evaluate / predict              time on the first 2,000 of them as PNG files; 0.9 or more. With
                                    --photographs also on these files, resnet18_v1b

The commands run in one process, in turn, `--rounds` times. The ratios are taken
round by round, so that they hold when the machine's speed drifts. CPU time is that of all threads; other
processes change it less than wall time. Weights are drawn: they change no time.
"""

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx

from gluon_tricks.commands import evaluate, predict
from gluon_tricks.data.cifar_sets import Augmentation
from gluon_tricks.data.classes import CIFAR10_CLASSES
from gluon_tricks.data.folders import is_image
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.machine import environment
from gluon_tricks.models.registry import get_model
from gluon_tricks.recipes.data_paths import RGB_MEAN, RGB_STD
from gluon_tricks.saved.record import NetFacts, cifar_net
from gluon_tricks.training.record import write_params_record

PNGS = 2000
LIMITS = {"evaluate --report / evaluate": ("at most", 2.0), "evaluate / predict": ("at least", 0.9)}


def main():
    args = parse_args()
    mean, std = Augmentation().normalisation("cifar10")
    cifar = cifar_net("cifar10", "cifar_resnet20_v1", {}, 0.0, mean, std, list(CIFAR10_CLASSES), "")
    records, params = prepared(args), saved(args.out / "cifar.params", cifar, 32)
    words = ["--params-file", str(params), "-j", str(args.num_workers), "--batch-size", str(args.batch_size)]
    whole = [*words, "--data-dir", str(records)]
    compare("evaluate --report / evaluate", "10,000 images of CIFAR-10", args.rounds,
            lambda: evaluate.main([*whole, "--report", str(args.out / "report")]),
            lambda: evaluate.main(whole))
    pngs = unpacked(records, args.out / "png", PNGS)
    compare_predict(args, pngs, words)
    if args.photographs:
        classes = len([path for path in args.photographs.iterdir() if path.is_dir()])
        facts = NetFacts("resnet18_v1b", {}, classes, None, "imagenet", 224, 3, "center", 0.875, RGB_MEAN,
                         RGB_STD)
        params = saved(args.out / "photographs.params", facts, 224)
        compare_predict(args, args.photographs, ["--params-file", str(params), *words[2:]])
    facts = environment()
    print(f"{facts['processor']}, {facts['threads']} operator threads, {args.num_workers} loader threads, "
          f"batch {args.batch_size}, mxnet {mx.__version__}")


def compare_predict(args, folder, words):
    """Both commands on the images of class folders."""
    count = sum(is_image(path.name) for path in folder.rglob("*"))
    compare("evaluate / predict", f"{count} files of {folder.name}", args.rounds,
            lambda: evaluate.main([*words, "--dataset", "imagenet", "--data-dir", str(folder)]),
            lambda: predict.main([str(folder), *words]))


def compare(title, images, rounds, numerator, denominator):
    """Print the ratio of two commands' times: median, least and largest of the rounds, for CPU and wall."""
    found = [(cost(numerator), cost(denominator)) for _ in range(rounds)]
    word, limit = LIMITS[title]
    for number, kind in enumerate(("CPU", "wall")):
        ratios = [above[number] / below[number] for above, below in found]
        seconds = [statistics.median(pair[side][number] for pair in found) for side in (0, 1)]
        print(f"{title}, {images}, {kind}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to "
              f"{max(ratios):.3f}; {word} {limit}), {seconds[0]:.1f} s / {seconds[1]:.1f} s", flush=True)


def cost(run):
    """`(CPU seconds, wall seconds)` of a command, whose output is dropped."""
    cpu, wall = time.process_time(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        assert run() == 0
    return time.process_time() - cpu, time.perf_counter() - wall


# --- Nets and images ----------------------------------------------------------------------------------------

def saved(path, facts, side):
    """A file of drawn parameters and the record of a training; its path."""
    net = get_model(facts.model, classes=facts.classes)
    net.initialize(mx.init.Xavier())
    net(mx.nd.zeros((1, 3, side, side)))
    net.save_parameters(str(path))
    write_params_record(path, {"net": facts._asdict(), "args": {}, "dtype": "float32"})
    return path


def prepared(args):
    """The folder of CIFAR-10's records."""
    out = args.out / "rec"
    subprocess.run([sys.executable, ROOT / "data_prep/cifar.py", "--source", args.cifar10, "--out", out],
                   check=True, stdout=subprocess.DEVNULL)
    return out


def unpacked(records, folder, count):
    """The first test images as PNG files in class folders."""
    reader = RecordReader(records / "test.rec")
    for position in range(count):
        label, image, _, _ = reader.read_image(position)
        path = folder / CIFAR10_CLASSES[int(label)] / f"{position:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    return folder


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, required=True, help="the publisher's binary files")
    parser.add_argument("--photographs", type=Path, help="class folders of photographs")
    parser.add_argument("--out", type=Path, default=Path("answering"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--num-workers", "-j", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()
