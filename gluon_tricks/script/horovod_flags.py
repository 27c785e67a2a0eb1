"""The flags of GluonCV's train_horovod.py, put into those of train_imagenet.py.

    python -m gluon_tricks launch -n 8 --engine horovod -- train_imagenet.py --flags horovod --model resnet50_v1d \\
        --rec-train train.rec --rec-val val.rec --lr 0.05 --warmup-epochs 5 --num-epochs 120 --last-gamma --no-wd

What that script does otherwise than train_imagenet.py, and so does `--flags horovod`:

    rate            --lr is one worker's; the peak is that times the number of workers
    schedule        MXNet's CosineScheduler, warm-up from --warmup-lr. It counts ceil(floor(N / workers) / batch) updates an
                    epoch, while the last part of a batch is left out: the rate ends a little above 0
    initialisation  Xavier(gaussian, in, 2): normal, variance 2 / fan_in
    images          crops, colours and normalisation as in image folders, from 320 pixels on EfficientNet's crops; --auto_aug
    DropBlock       in nets that have it, the share rises to 0.1 over the epochs
    defaults        batch 128, 90 epochs, 10 of them warm-up, a log line every 40 batches
    log lines       of its own; accuracies instead of errors

Otherwise than there: images come through this kit's loaders, each once per epoch over all workers (there, each worker keeps
its own contiguous share for ever, and the remainder is never seen); validation counts every image once and runs each epoch,
though its line is printed only as often as --eval-frequency says; one process writes.
"""

import argparse
import math
from pathlib import Path

from gluon_tricks.errors import UserError

# Kept as they are by train_imagenet.py: name -> default here
SAME = {"batch_size": 128, "dtype": "float32", "num_epochs": 90, "momentum": 0.9, "wd": 0.0001, "warmup_lr": 0.0,
        "warmup_epochs": 10, "mixup_alpha": 0.2, "mixup_off_epoch": 0, "temperature": 20.0, "hard_weight": 0.5,
        "model": "resnet50_v1", "log_interval": 40, "save_frequency": 20, "save_dir": "params", "input_size": 224,
        "crop_ratio": 0.875, "resume_epoch": 0}
# No net of GluonCV 0.10.5 takes these from a flag: its ResNeSts set the first and the last themselves
NOT_HERE = {"--dropblock-prob": "a share of DropBlock", "--use_sk": "selective kernels", "--use_avd": "AVD pooling"}
EFFICIENTNET_SIZE = 320
DATA = Path("~/.mxnet/datasets/imagenet/rec")


def is_asked_for(argv):
    """Whether a command line has `--flags horovod`."""
    known, _ = _quiet_parser().parse_known_args(argv)
    return known.flags == "horovod"


def translate(argv, workers):
    """The words of train_imagenet.py that mean what `argv` means to train_horovod.py.

    Parameters
    ----------
    argv : list of str
        Flags of train_horovod.py, and of train_imagenet.py where it has no such flag.
    workers : int

    Raises
    ------
    UserError
        For what this kit does not have.
    """
    from gluon_tricks.data.imagenet import FOLDER_MEAN, FOLDER_STD  # imports MXNet, and is needed here only

    theirs, ours = _parser().parse_known_args(argv)
    for flag, what in NOT_HERE.items():
        if getattr(theirs, flag.strip("-").replace("-", "_")):
            raise UserError(f"{flag}: no model takes {what} from a flag; leave it out")
    # What has the same name is passed on in the one form; switches that train_imagenet.py shares are in `ours` as they stand
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
    """MXNet's CosineScheduler as train_horovod.py sets it up, as a function of `num_update`, the updates done so far.

    Parameters
    ----------
    peak_lr : float
        Of all workers together.
    batch_size : int
        Images per worker and update.
    """
    from mxnet.lr_scheduler import CosineScheduler

    epoch_size = math.ceil(records // workers / batch_size)
    schedule = CosineScheduler(num_epochs * epoch_size, base_lr=peak_lr, warmup_steps=warmup_epochs * epoch_size,
                               warmup_begin_lr=warmup_lr)
    return lambda num_update: schedule(num_update + 1)       # the optimizer counts an update before it asks


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
    parser.add_argument("--use-rec", action="store_true")        # never looked at there: data are always records
    parser.add_argument("--dropblock-prob", type=float, default=0.0)
    for flag in list(NOT_HERE)[1:]:
        parser.add_argument(flag, action="store_true")
    return parser
