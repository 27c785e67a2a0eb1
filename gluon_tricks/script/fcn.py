"""The parts of train_fcn.py, built from its flags: scenes, net, optimizer, validation, paths."""

from pathlib import Path

import mxnet as mx

from gluon_tricks.data.scenes import open_scenes
from gluon_tricks.data.voc import CLASSES
from gluon_tricks.errors import UserError
from gluon_tricks.randomness import net_seed
from gluon_tricks.script.opening import tensorboard_dir
from gluon_tricks.script.transfer import (
    first_weights,
    paths_with_log,
    start_params,
    transfer_facts,
    transfer_net,
)
from gluon_tricks.transfer.backbone import base_network
from gluon_tricks.transfer.draw import draw_masks, spread
from gluon_tricks.transfer.fcn import fcn, prepare
from gluon_tricks.transfer.segmentation import Synthetic, validate
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay


def open_data(args):
    """Training and validation set: scenes with their masks."""
    if args.synthetic:
        return Synthetic(8, args.seed), Synthetic(4, args.seed + 1)
    dataset = {"pascal": "voc", "pascal_voc": "voc"}.get(args.dataset, args.dataset)
    folder = args.data_dir or {"voc": "~/.mxnet/datasets/voc", "ade20k": "~/.mxnet/datasets/ade"}.get(dataset)
    if folder is None:
        raise UserError("--dataset folder: give --data-dir, the folder of the data")
    train, val = (open_scenes(dataset, folder, split, args.classes) for split in (args.train_split, "val"))
    return train, val


def build_net(args, classes, engine, resumed=False):
    """`(net, line)`: the FCN with its first weights, and the log line on their source."""
    mx.random.seed(net_seed(args.seed, -1))
    base = base_network("--backbone", args.backbone, dilated=True)
    source = first_weights(args, base, args.backbone, resumed)
    net = fcn(base, classes, args.aux)
    prepare(net, engine, args.crop_size)
    start_params(args, net, engine)
    if args.mode == "hybrid":
        net.hybridize(static_alloc=True)
    if args.no_wd:
        exempt_from_decay(net)
    return net, source


def optimizer(args):
    """SGD or Adam, as in GluonCV's script."""
    if args.optimizer == "adam":
        return mx.optimizer.Adam(learning_rate=args.lr, wd=args.weight_decay)
    return mx.optimizer.SGD(learning_rate=args.lr, momentum=args.momentum, wd=args.weight_decay)


def validation(args, net, val_set, engine, run):
    """Scores, each image counted once: dict. Also writes a picture of predictions."""
    keep = spread(len(val_set), 5)
    scores, kept = validate(net, val_set, args.crop_size, engine, run.keep_going, keep)
    if engine.is_writer and kept:
        title = (f"{run.facts['title']}, epoch {run.progress.epoch}: mean IoU {100 * scores['miou']:.1f} %, "
                 f"pixel accuracy {100 * scores['pix_acc']:.1f} %")
        run.draw(draw_masks, run.paths.metrics.with_name(f"predictions-{run.progress.epoch:04d}.png"),
                 [kept[i] for i in sorted(kept)], class_names(args, val_set), title)
    return scores


def class_names(args, scenes):
    """The names of the classes in label order; `class 7` where no name is known."""
    if args.dataset.startswith("pascal") and not args.synthetic:
        return ["background", *CLASSES]
    return [name if isinstance(name, str) else f"class {name}" for name in scenes.classes]


def print_scores(args, val_set, engine):
    """Validate the parameters of --resume and print the scores (--eval); returns the exit code."""
    net, source = build_net(args, val_set.num_class, engine)
    scores, _ = validate(net, val_set, args.crop_size, engine)
    if engine.is_writer:
        print(f"{source}\nvalidation pixAcc: {scores['pix_acc']:.3f}, mIoU: {scores['miou']:.3f} over "
              f"{len(val_set)} images")
    return 0


def run_paths(args):
    """`RunPaths` with GluonCV's names for log and parameters."""
    folder = Path(args.save_dir or f"runs/{args.dataset}/{args.model}/{args.backbone}").expanduser()
    return paths_with_log("--save-dir", folder / args.logging_file, folder, best="best.params",
                          periodic="epoch_{epoch:04d}_mIoU_{val:2.4f}.params", resume="resume.npz",
                          tensorboard=tensorboard_dir(args))


def facts(args, train_set, engine):
    """The facts for run.json and the resume file: dict."""
    switches = {"backbone": args.backbone, "aux": args.aux}
    net = transfer_net("segmentation", "fcn", switches, train_set, args.dataset, args.crop_size)
    return transfer_facts(args, net, train_set, engine, network=args.backbone, mixup=False,
                          title=f"FCN, {args.backbone}", train_metric="training_loss", score="miou")
