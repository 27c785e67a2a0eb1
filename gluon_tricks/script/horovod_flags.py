"""Translate the flags of GluonCV's train_horovod.py into those of train_imagenet.py.

    python -m gluon_tricks launch -n 8 --engine horovod -- train_imagenet.py --flags horovod \\
        --model resnet50_v1d --rec-train train.rec --rec-val val.rec --lr 0.05 --warmup-epochs 5 \\
        --num-epochs 120 --last-gamma --no-wd

Differences of that script from train_imagenet.py, which `--flags horovod` reproduces:

    rate            --lr is the rate of one worker; the peak rate is --lr times the number of workers
    schedule        MXNet's CosineScheduler, with warm-up from --warmup-lr. It counts
                    ceil(floor(N / workers) / batch) updates per epoch, but incomplete batches are not
                    trained: the rate ends a little above 0
    initialisation  Xavier(gaussian, in, 2): normal, variance 2 / fan_in
    images          crops, colours and normalisation as for image folders; --auto_aug; EfficientNet's crops
                    from 320 pixels
    DropBlock       in nets that have it, its probability rises to 0.1 over the epochs
    defaults        batch 128, 90 epochs with 10 of warm-up, a log line every 40 batches
    log lines       in a format of its own, with accuracies instead of errors

This kit differs from that script: its loaders give each image once per epoch over all workers (there, each
worker always reads the same contiguous share, and the remainder is never read). Validation runs after each
epoch and counts each image once; its line is printed as often as --eval-frequency asks. Only one process
writes.
"""

import argparse
import math
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.recipes.data_paths import FOLDER_MEAN, FOLDER_STD

# Flags with the same name in train_imagenet.py: name -> default in train_horovod.py
SAME = {"batch_size": 128, "dtype": "float32", "num_epochs": 90, "momentum": 0.9, "wd": 0.0001,
        "warmup_lr": 0.0, "warmup_epochs": 10, "mixup_alpha": 0.2, "mixup_off_epoch": 0, "temperature": 20.0,
        "hard_weight": 0.5, "model": "resnet50_v1", "log_interval": 40, "save_frequency": 20,
        "save_dir": "params", "input_size": 224, "crop_ratio": 0.875, "resume_epoch": 0}
# No net of GluonCV 0.10.5 takes these from a flag; its ResNeSts set the first and the last themselves
NOT_HERE = {"--dropblock-prob": "a probability of DropBlock", "--use_sk": "selective kernels",
            "--use_avd": "AVD pooling"}
EFFICIENTNET_SIZE = 320
DATA = Path("~/.mxnet/datasets/imagenet/rec")


def is_asked_for(argv):
    """Whether a command line has `--flags horovod`."""
    known, _ = _quiet_parser().parse_known_args(argv)
    return known.flags == "horovod"


def translate(argv, workers):
    """The command line of train_imagenet.py that is equivalent to `argv` of train_horovod.py: list of str.

    Parameters
    ----------
    argv : list of str
        Flags of train_horovod.py, and flags that only train_imagenet.py has.
    workers : int

    Raises
    ------
    UserError
        For flags that this kit does not support.
    """
    theirs, ours = _parser().parse_known_args(argv)
    for flag, what in NOT_HERE.items():
        if getattr(theirs, flag.strip("-").replace("-", "_")):
            raise UserError(f"{flag}: no model takes {what} from a flag; leave it out")
    # Switches with the same meaning in both scripts are in `ours` already
    words = [f"--{name.replace('_', '-')}={getattr(theirs, name)}" for name in SAME]
    words += [f"--lr={theirs.lr * workers:.12g}", "--lr-mode=cosine", "--init=horovod", "--mode=hybrid",
              f"--crop-law={'efficientnet' if theirs.input_size >= EFFICIENTNET_SIZE else 'folder'}",
              f"--rgb-mean={','.join(map(str, FOLDER_MEAN))}", f"--rgb-std={','.join(map(str, FOLDER_STD))}",
              f"--num-gpus={int(not theirs.no_cuda)}", f"--num-data-workers={theirs.data_nthreads}",
              f"--eval-frequency={theirs.eval_frequency}"]
    if "--synthetic" not in ours:
        words += ["--use-rec", "--data-backend=ours"]
        for part in ("train", "val"):
            rec = Path(getattr(theirs, f"rec_{part}") or DATA / f"{part}.rec")
            words += [f"--rec-{part}={rec}", f"--rec-{part}-idx={rec.with_suffix('.idx')}"]
    return [*words, *ours]


def cosine_schedule(peak_lr, warmup_lr, num_epochs, warmup_epochs, records, batch_size, workers):
    """The schedule of train_horovod.py, MXNet's CosineScheduler: num_update (updates done so far) -> rate.

    Parameters
    ----------
    peak_lr : float
        Peak rate of the global batch.
    batch_size : int
        Images per worker and update.
    """
    from mxnet.lr_scheduler import CosineScheduler

    epoch_size = math.ceil(records // workers / batch_size)
    schedule = CosineScheduler(num_epochs * epoch_size, base_lr=peak_lr,
                               warmup_steps=warmup_epochs * epoch_size, warmup_begin_lr=warmup_lr)
    # the optimizer counts an update before it asks for the rate
    return lambda num_update: schedule(num_update + 1)


def _quiet_parser():
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--flags")
    return parser


def _parser():
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name, default in SAME.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--data-nthreads", type=int, default=8)
    parser.add_argument("--eval-frequency", type=int, default=0)
    parser.add_argument("--rec-train", default="")
    parser.add_argument("--rec-val", default="")
    parser.add_argument("--no-cuda", action="store_true")
    parser.add_argument("--use-rec", action="store_true")        # no effect there: data are always records
    parser.add_argument("--dropblock-prob", type=float, default=0.0)
    for flag in list(NOT_HERE)[1:]:
        parser.add_argument(flag, action="store_true")
    return parser
