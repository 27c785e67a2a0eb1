"""Train an FCN as GluonCV's segmentation/train.py does, on any dilated ResNet of this kit.

    python train_fcn.py --synthetic --no-cuda --no-pretrained-base --backbone resnet18 --aux --epochs 1 --base-size 64 \\
        --crop-size 64 --batch-size 2
    python train_fcn.py --dataset ade20k --backbone resnet50 --aux --lr 0.01 --epochs 120 --ngpus 8
    python train_fcn.py --dataset ade20k --backbone resnet50_v1d --backbone-params params/imagenet-resnet50_v1d-119.params \\
        --aux --lr 0.01 --epochs 120 --ngpus 8

The first needs no data. The second is GluonCV's recipe on ADE20K (data_prep/ade20k.py prepares it), the third answers
Table 9's question for a base of yours.
"""

import argparse
from pathlib import Path

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx

from gluon_tricks.data.scenes import open_scenes
from gluon_tricks.engines.launcher import devices_per_process
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.log_lines.transfer import SegmentationDialect
from gluon_tricks.machine import operator_threads
from gluon_tricks.randomness import net_seed
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.opening import header
from gluon_tricks.transfer.backbone import base_network
from gluon_tricks.transfer.draw import draw_masks, palette, spread
from gluon_tricks.transfer.fcn import Losses, fcn, prepare
from gluon_tricks.transfer.loop import train_epoch
from gluon_tricks.transfer.run import TransferRun
from gluon_tricks.transfer.schedule import segmentation_schedule
from gluon_tricks.transfer.script import (
    check_batch,
    check_devices,
    check_numbers,
    engine_of,
    finish,
    first_weights,
    opening,
    paths_beside_log,
    resume_flag,
    start_params,
)
from gluon_tricks.transfer.segmentation import Synthetic, training_loader, validate
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay


def main(argv=None):
    args = parse_args(argv)
    engine = engine_of(args, "--ngpus", args.num_gpus)                      # who computes
    train_set, val_set = open_data(args)                                    # what it sees
    if args.eval:
        return evaluate(args, val_set, engine)
    check_batch(args, len(train_set), engine.world_size)
    run = TransferRun(run_paths(args), facts(args, train_set, engine), engine, resume_flag(args), args.overwrite)
    net, said = build_net(args, train_set.num_class, engine, run.resumed)   # what learns, and from where
    train_data = training_loader(train_set, args.base_size, args.crop_size, args.batch_size, engine, args.seed, args.workers)
    schedule = segmentation_schedule(args.lr, args.epochs, train_data.batches_per_epoch, args.warmup_epochs)
    trainer = engine.trainer(net, optimizer(args))
    losses = Losses(net, args.aux_weight)
    if args.start_epoch and not run.resumed:
        run.progress.epoch, run.progress.num_update = args.start_epoch, args.start_epoch * train_data.batches_per_epoch
    run.open(net, trainer, header(args, engine), [said, *opening(args, train_set, val_set, engine)],
             SegmentationDialect(train_data.batches_per_epoch), args.epochs, train_data.batches_in,
             checkpoint_period=args.checkpoint_period, save_period=args.save_period, log_interval=args.log_interval,
             max_updates=args.max_updates, check_sync=args.check_sync, resumes_anywhere=True)
    with run.sitting():
        while run.progress.epoch < args.epochs:
            epoch = run.progress.epoch
            run.begin_epoch()
            train_epoch(losses, train_data, trainer, schedule, engine, run.progress, run.after_update, args.seed,
                        run.keep_going)
            run.end_training()
            wanted = not args.no_val and ((epoch + 1) % args.val_interval == 0 or epoch + 1 == args.epochs)
            run.end_epoch(validation(args, net, val_set, engine, run) if wanted else {})
    return finish(run)


# --- builders -----------------------------------------------------------------------------------------------------

def open_data(args):
    """Training and validation scenes."""
    if args.synthetic:
        return Synthetic(8, args.seed), Synthetic(4, args.seed + 1)
    dataset = {"pascal": "voc", "pascal_voc": "voc"}.get(args.dataset, args.dataset)
    folder = args.data_dir or {"voc": "~/.mxnet/datasets/voc", "ade20k": "~/.mxnet/datasets/ade"}.get(dataset)
    if folder is None:
        raise UserError("--dataset folder: name the folder with --data-dir")
    train, val = (open_scenes(dataset, folder, split, args.classes) for split in (args.train_split, "val"))
    return train, val


def build_net(args, classes, engine, resumed=False):
    """`(net, sentence)`: the FCN as it starts, and where its weights are from."""
    mx.random.seed(net_seed(args.seed, -1))
    base = base_network("--backbone", args.backbone, dilated=True)
    said = first_weights(args, base, args.backbone, resumed)
    net = fcn(base, classes, args.aux)
    prepare(net, engine, args.crop_size)
    start_params(args, net, engine)
    if args.mode == "hybrid":
        net.hybridize(static_alloc=True)
    if args.no_wd:
        exempt_from_decay(net)
    return net, said


def optimizer(args):
    """SGD or Adam, as in GluonCV's script."""
    if args.optimizer == "adam":
        return mx.optimizer.Adam(learning_rate=args.lr, wd=args.weight_decay)
    return mx.optimizer.SGD(learning_rate=args.lr, momentum=args.momentum, wd=args.weight_decay)


def validation(args, net, val_set, engine, run):
    """Scores over every image once, and a picture."""
    keep = spread(len(val_set), 5)
    scores, kept = validate(net, val_set, args.crop_size, engine, run.keep_going, keep)
    if engine.is_writer and kept:
        draw_masks(run.paths.metrics.with_name(f"predictions-{run.progress.epoch:04d}.png"), [kept[i] for i in sorted(kept)],
                   palette(val_set.num_class))
    return scores


def evaluate(args, val_set, engine):
    """--eval: print the scores of --resume."""
    net, said = build_net(args, val_set.num_class, engine)
    scores, _ = validate(net, val_set, args.crop_size, engine)
    if engine.is_writer:
        print(f"{said}\nvalidation pixAcc: {scores['pix_acc']:.3f}, mIoU: {scores['miou']:.3f} over {len(val_set)} images")
    return 0


def run_paths(args):
    """GluonCV's names for log and parameters."""
    folder = Path(args.save_dir or f"runs/{args.dataset}/{args.model}/{args.backbone}").expanduser()
    return paths_beside_log("--save-dir", folder / args.logging_file, folder, best="best.params",
                            periodic="epoch_{epoch:04d}_mIoU_{val:2.4f}.params", resume="resume.npz")


def facts(args, train_set, engine):
    """What run.json and the resume file say of this run."""
    return {"network": args.backbone, "dataset": args.dataset, "classes": train_set.num_class, "seed": args.seed,
            "dtype": "float32", "mixup": False, "data_root_hash": train_set.root_hash, "devices": len(engine.ctx),
            "world_size": engine.world_size, "global_batch_size": args.batch_size * engine.world_size,
            "threads": operator_threads(), "title": f"FCN, {args.backbone}", "train_metric": "training_loss",
            "score": "miou", "args": vars(args)}


# --- flags --------------------------------------------------------------------------------------------------------

def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("Model and data")
    model.add_argument("--model", default="fcn", help="only fcn is done here (default fcn)")
    model.add_argument("--backbone", default="resnet50", metavar="NAME", help="base: any ResNet of this kit but *_v1; "
                       "resnet18 and resnet34 are v1b, resnet50 to resnet152 v1s, as in GluonCV (default resnet50)")
    model.add_argument("--dataset", default="pascal", choices=("pascal", "pascal_voc", "ade20k", "folder"),
                       help="folder (not in GluonCV): images/ and annotations/ with train/ and val/ (default pascal)")
    model.add_argument("--workers", type=int, default=16, help="loader processes (default 16)")
    model.add_argument("--base-size", type=int, default=520, help="the longer side is scaled to 0.5 to 2 times this "
                       "(default 520)")
    model.add_argument("--crop-size", type=int, default=480, help="side of the crop (default 480)")
    model.add_argument("--train-split", default="train", help="split to train on (default train)")
    train = parser.add_argument_group("Training")
    train.add_argument("--aux", action="store_true", help="auxiliary loss on stage 3")
    train.add_argument("--aux-weight", type=float, default=0.5, help="its weight (default 0.5)")
    train.add_argument("--epochs", type=int, default=50, help="passes over the data (default 50)")
    train.add_argument("--start_epoch", "--start-epoch", type=int, default=0, help="first epoch (default 0)")
    train.add_argument("--batch-size", type=int, default=16, help="images per update over all devices of a process "
                       "(default 16)")
    train.add_argument("--test-batch-size", type=int, default=16, help="has no effect: images are validated one by one")
    train.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd", help="(default sgd)")
    train.add_argument("--lr", type=float, default=1e-3, help="peak rate; heads learn at ten times this (default 0.001)")
    train.add_argument("--warmup-epochs", type=int, default=0, help="epochs of linear warm-up (default 0)")
    train.add_argument("--momentum", type=float, default=0.9, help="SGD momentum (default 0.9)")
    train.add_argument("--weight-decay", type=float, default=1e-4, help="(default 0.0001)")
    train.add_argument("--no-wd", action="store_true", help="no decay on biases, gammas and betas")
    train.add_argument("--mode", help="hybrid compiles the net; GluonCV's script never looks at it")
    train.add_argument("--no-cuda", action="store_true", help="train on the CPU")
    train.add_argument("--ngpus", type=int, default=None, help="GPUs (default: all that MXNet sees)")
    train.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="float16 is not done here")
    train.add_argument("--syncbn", action="store_true", help="for one device only, where it is BatchNorm")
    files = parser.add_argument_group("Files")
    files.add_argument("--resume", default="", metavar="FILE|auto",
                       help="start from this .params file; auto (not in GluonCV): go on exactly where a run stopped")
    files.add_argument("--checkname", default="default", help="has no effect, as in GluonCV")
    files.add_argument("--save-dir", default=None, help="(default runs/DATASET/MODEL/BACKBONE)")
    files.add_argument("--log-interval", type=int, default=20, help="updates between log lines (default 20)")
    files.add_argument("--logging-file", default="train.log", help="log file in --save-dir (default train.log)")
    files.add_argument("--eval", action="store_true", help="validate only, with --resume FILE.params")
    files.add_argument("--no-val", action="store_true", help="do not validate")
    files.add_argument("--model-zoo", help="not done here")
    files.add_argument("--pretrained", action="store_true", help="not done here")
    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--backbone-params", metavar="FILE", default="", help="weights of the base: a classifier's .params")
    ours.add_argument("--no-pretrained-base", dest="pretrained_base", action="store_false",
                      help="draw the base instead of loading the zoo's weights")
    ours.add_argument("--init", choices=("gluoncv", "horovod", "paper"), default="gluoncv", help="how a base is drawn")
    ours.add_argument("--data-dir", default="", help="(default: GluonCV's folder of the data set)")
    ours.add_argument("--classes", type=int, help="with --dataset folder; the index after the last class means none")
    ours.add_argument("--seed", type=int, default=0, help="decides everything drawn (default 0)")
    ours.add_argument("--val-interval", type=int, default=1, help="epochs between validations (default 1)")
    ours.add_argument("--save-period", type=int, default=1, help="epochs between saves (default 1, as in GluonCV)")
    ours.add_argument("--synthetic", action="store_true", help="random scenes, no data needed")
    ours.add_argument("--overwrite", action="store_true", help="start again over an earlier run's files")
    ours.add_argument("--checkpoint-period", type=int, default=1000, help="updates between resume files (default 1000)")
    ours.add_argument("--max-updates", type=int, default=0, help="stop after so many updates in all")
    title = "Several devices and processes (--kvstore is GluonCV's, too; the devices share --batch-size)"
    add_engine_flags(parser.add_argument_group(title))
    args = parser.parse_args(argv)
    check_args(args)
    return args


def check_args(args):
    """Everything that can be wrong with a value by itself, before anything is opened."""
    for name, done in (("model", args.model == "fcn"), ("model_zoo", not args.model_zoo),
                       ("pretrained", not args.pretrained), ("dtype", args.dtype == "float32")):
        if not done:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: is not done here; train_fcn.py has FCNs in "
                            "float32")
    if args.dataset == "folder" and not args.synthetic and (args.classes or 0) < 2:
        raise UserError(f"--classes {args.classes}: --dataset folder needs the number of classes, at least 2")
    check_numbers(args, {"batch_size": 1, "epochs": 1, "workers": 0, "start_epoch": 0, "log_interval": 0, "seed": 0,
                         "base_size": 2, "crop_size": 8, "val_interval": 1, "save_period": 0, "checkpoint_period": 0,
                         "max_updates": 0, "momentum": 0, "weight_decay": 0, "aux_weight": 0, "warmup_epochs": 0})
    if args.warmup_epochs >= args.epochs:
        raise UserError(f"--warmup-epochs {args.warmup_epochs}: must be fewer than --epochs {args.epochs}")
    args.num_workers = args.workers
    if args.ngpus is None:
        args.ngpus = 0 if args.no_cuda else mx.context.num_gpus()
    check_devices(args, 0 if args.no_cuda else args.ngpus, args.kvstore or "device")
    if args.syncbn and devices_per_process(args.num_gpus, args.num_cpus) > 1:
        raise UserError("--syncbn: statistics over several devices are not done here; use one device, or leave it out")
    if args.eval and not args.resume.endswith(".params"):
        raise UserError("--eval: needs the parameters of an FCN, --resume FILE.params")


if __name__ == "__main__":
    run_main(main)
