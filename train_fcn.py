"""Train an FCN as GluonCV's segmentation/train.py does, on any dilated ResNet of this kit.

    python train_fcn.py --synthetic --no-cuda --no-pretrained-base --backbone resnet18 --aux --epochs 1 \\
        --base-size 64 --crop-size 64 --batch-size 2
    python train_fcn.py --dataset ade20k --backbone resnet50 --aux --lr 0.01 --epochs 120 --ngpus 8
    python train_fcn.py --dataset ade20k --backbone resnet50_v1d \\
        --backbone-params params/imagenet-resnet50_v1d-119.params --aux --lr 0.01 --epochs 120 --ngpus 8

The first command needs no data. The second is GluonCV's recipe on ADE20K (data_prep/ade20k.py prepares the
data). The third starts from your own classifier, as Table 9 does.
"""

import argparse

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
from gluon_tricks.engines.launcher import devices_per_process
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.flags import completed
from gluon_tricks.script.run_flags import add_resume_flags, add_tensorboard_flag
from gluon_tricks.script.transfer_flags import check_limits, resume_flag, with_devices
from gluon_tricks.training import status


def main(argv=None):
    args = parse_args(argv)
    status.announce("loading MXNet, images and net ...")
    # Imported here: MXNet takes seconds, and --help and errors in flags do not need it
    from gluon_tricks.log_lines.transfer import SegmentationDialect
    from gluon_tricks.script import fcn as build
    from gluon_tricks.script.opening import finish, header, settings_of, table_of
    from gluon_tricks.script.transfer import check_batch, engine_of, opening_lines, skip_epochs
    from gluon_tricks.transfer.fcn import Losses
    from gluon_tricks.transfer.loop import train_epoch
    from gluon_tricks.transfer.run import TransferRun
    from gluon_tricks.transfer.schedule import segmentation_schedule
    from gluon_tricks.transfer.segmentation import training_loader

    engine = engine_of(args, "--ngpus", args.num_gpus)                     # devices and processes
    train_set, val_set = build.open_data(args)                             # images and masks
    if args.eval:
        return build.print_scores(args, val_set, engine)
    check_batch(args.batch_size, len(train_set), engine.world_size)
    run = TransferRun(build.run_paths(args), build.facts(args, train_set, engine), engine,
                      settings_of(args, args.epochs, args.save_period),
                      resume_flag(args), args.overwrite)                   # files, resuming
    net, weights = build.build_net(args, train_set.num_class, engine,
                                   run.resumed)                            # model
    train_data = training_loader(train_set, args.base_size, args.crop_size, args.batch_size, engine,
                                 args.seed, args.workers)                  # batches
    schedule = segmentation_schedule(args.lr, args.epochs, train_data.batches_per_epoch,
                                     args.warmup_epochs)                   # learning rate
    trainer = engine.trainer(net, build.optimizer(args))                   # optimizer
    losses = Losses(net, args.aux_weight)                                  # loss
    skip_epochs(run, args.start_epoch, train_data.batches_per_epoch)
    table = table_of(run, net, schedule, (len(train_set), len(val_set)), train_data.batches_in, [weights])
    run.open(net, trainer, train_data,
             [header(args, engine), weights, *opening_lines(args, train_set, val_set, engine)],
             SegmentationDialect(train_data.batches_per_epoch), table=table)
    with run.sitting():
        while run.progress.epoch < args.epochs:
            epoch = run.progress.epoch
            run.begin_epoch()
            train_epoch(losses, train_data, trainer, schedule, engine, run.progress, run.after_update,
                        args.seed, run.keep_going)
            run.end_training()
            due = not args.no_val and ((epoch + 1) % args.val_interval == 0 or epoch + 1 == args.epochs)
            run.end_epoch(build.validation(args, net, val_set, engine, run) if due else {})
    return finish(run)


# --- flags --------------------------------------------------------------------------------------------------

def parse_args(argv=None):
    parser = argparse.ArgumentParser(usage="%(prog)s [flags]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("Model and data")
    model.add_argument("--model", default="fcn", help="only fcn is supported (default fcn)")
    model.add_argument("--backbone", default="resnet50", metavar="NAME",
                       help="base: any ResNet of this kit except *_v1; resnet18 and resnet34 mean v1b, "
                            "resnet50 to resnet152 mean v1s, as in GluonCV (default resnet50)")
    model.add_argument("--dataset", default="pascal", choices=("pascal", "pascal_voc", "ade20k", "folder"),
                       help="folder (not in GluonCV): images/ and annotations/, each with train/ and val/ "
                            "(default pascal)")
    model.add_argument("--workers", type=int, default=16, help="loader processes (default 16)")
    model.add_argument("--base-size", type=int, default=520,
                       help="the longer side is scaled to 0.5 to 2 times this (default 520)")
    model.add_argument("--crop-size", type=int, default=480, help="side of the crop (default 480)")
    model.add_argument("--train-split", default="train", help="split to train on (default train)")
    train = parser.add_argument_group("Training")
    train.add_argument("--aux", action="store_true", help="auxiliary loss on stage 3")
    train.add_argument("--aux-weight", type=float, default=0.5,
                       help="weight of the auxiliary loss (default 0.5)")
    train.add_argument("--epochs", type=int, default=50, help="passes over the data (default 50)")
    train.add_argument("--start_epoch", "--start-epoch", type=int, default=0, help="first epoch (default 0)")
    train.add_argument("--batch-size", type=int, default=16,
                       help="images per update over all devices of a process (default 16)")
    train.add_argument("--test-batch-size", type=int, default=16,
                       help="no effect: validation takes one image at a time")
    train.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd", help="optimizer (default sgd)")
    train.add_argument("--lr", type=float, default=1e-3,
                       help="peak learning rate; heads have ten times this rate (default 0.001)")
    train.add_argument("--warmup-epochs", type=int, default=0, help="epochs of linear warm-up (default 0)")
    train.add_argument("--momentum", type=float, default=0.9, help="SGD momentum (default 0.9)")
    train.add_argument("--weight-decay", type=float, default=1e-4, help="weight decay (default 0.0001)")
    train.add_argument("--no-wd", action="store_true", help="no weight decay on biases, gammas and betas")
    train.add_argument("--mode", help="hybrid: compile the net (no effect in GluonCV)")
    train.add_argument("--no-cuda", action="store_true", help="train on the CPU")
    train.add_argument("--ngpus", type=int, default=None,
                       help="number of GPUs (default: all that MXNet sees)")
    train.add_argument("--dtype", choices=("float32", "float16"), default="float32",
                       help="float16 is not supported (default float32)")
    train.add_argument("--syncbn", action="store_true", help="one device only, where it equals BatchNorm")
    files = parser.add_argument_group("Files")
    files.add_argument("--resume", default="", metavar="FILE|auto",
                       help="a .params file: start from it; auto (not in GluonCV): continue a stopped run "
                            "exactly")
    files.add_argument("--checkname", default="default", help="no effect, as in GluonCV")
    files.add_argument("--save-dir", default=None,
                       help="folder of the results (default runs/DATASET/MODEL/BACKBONE)")
    files.add_argument("--log-interval", type=int, default=20, help="updates between log lines (default 20)")
    files.add_argument("--logging-file", default="train.log",
                       help="log file in --save-dir (default train.log)")
    files.add_argument("--eval", action="store_true", help="validate only, with --resume FILE.params")
    files.add_argument("--no-val", action="store_true", help="do not validate")
    files.add_argument("--model-zoo", help="not supported")
    files.add_argument("--pretrained", action="store_true", help="not supported")
    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--backbone-params", metavar="FILE", default="",
                      help="weights of the base: .params of a classifier")
    ours.add_argument("--no-pretrained-base", dest="pretrained_base", action="store_false",
                      help="random weights for the base, not the zoo's")
    ours.add_argument("--init", choices=("gluoncv", "horovod", "paper"), default="gluoncv",
                      help="initialisation of a random base (default gluoncv)")
    ours.add_argument("--data-dir", default="",
                      help="folder of the data (default: GluonCV's for the data set)")
    ours.add_argument("--classes", type=int,
                      help="with --dataset folder: number of classes; the next index means no class")
    ours.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default 0)")
    ours.add_argument("--val-interval", type=int, default=1, help="epochs between validations (default 1)")
    ours.add_argument("--save-period", type=int, default=1,
                      help="epochs between saves (default 1, as in GluonCV)")
    ours.add_argument("--synthetic", action="store_true", help="random scenes; needs no data")
    add_resume_flags(ours, 1000)
    add_tensorboard_flag(ours)
    title = "Several devices and processes (GluonCV has --kvstore too; the devices share --batch-size)"
    add_engine_flags(parser.add_argument_group(title))
    return settled(parser.parse_args(argv))


def settled(args):
    """The flags with the number of devices and the kvstore. Raises UserError for unusable values."""
    for name, done in (("model", args.model == "fcn"), ("model_zoo", not args.model_zoo),
                       ("pretrained", not args.pretrained), ("dtype", args.dtype == "float32")):
        if not done:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: is not supported; "
                            f"train_fcn.py trains FCNs " "in float32")
    if args.dataset == "folder" and not args.synthetic and (args.classes or 0) < 2:
        raise UserError(f"--classes {args.classes}: --dataset folder needs the number of classes, at least 2")
    check_limits(args)
    if args.warmup_epochs >= args.epochs:
        raise UserError(f"--warmup-epochs {args.warmup_epochs}: must be fewer than --epochs {args.epochs}")
    if args.eval and not args.resume.endswith(".params"):
        raise UserError("--eval: needs the parameters of an FCN; give --resume FILE.params")
    ngpus = args.ngpus
    if ngpus is None:
        ngpus = 0 if args.no_cuda else visible_gpus()
    args = completed(args, num_workers=args.workers, ngpus=ngpus)
    args = with_devices(args, 0 if args.no_cuda else ngpus, args.kvstore or "device")
    if args.syncbn and devices_per_process(args.num_gpus, args.num_cpus) > 1:
        raise UserError("--syncbn: statistics over several devices are not supported; use one device, or "
                        "leave it out")
    return args


def visible_gpus():
    import mxnet as mx

    return mx.context.num_gpus()


if __name__ == "__main__":
    run_main(main)
