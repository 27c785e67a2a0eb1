"""Train Faster R-CNN as GluonCV's train_faster_rcnn.py does, on any ResNet of this kit.

    python train_faster_rcnn.py --network resnet18_v1b --synthetic --gpus '' --batch-size 2 --epochs 1 \\
        --no-pretrained-base --image-short 128 --rpn-train-post-nms 100 --rpn-test-post-nms 50 \\
        --rpn-channel 64 --rcnn-num-samples 16
    python train_faster_rcnn.py --network resnet50_v1b --gpus 0,1,2,3 --batch-size 4
    python train_faster_rcnn.py --backbone resnet50_v1d \\
        --backbone-params params/imagenet-resnet50_v1d-119.params --gpus 0,1,2,3,4,5,6,7 --batch-size 8 \\
        --lr 0.002 --lr-warmup 1000 --epochs 30 --lr-decay-epoch 20,26

The first command needs no data. The second is the published run on VOC (data_prep/voc.py prepares the data).
The third starts from your own classifier, as Table 8 does. `python -m gluon_tricks compare LOG` compares a
log with the published one.
"""

import argparse
import functools

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
from gluon_tricks.engines.launcher import KVSTORES
from gluon_tricks.errors import run_main
from gluon_tricks.script import faster_rcnn_flags
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.faster_rcnn_flags import step_epochs
from gluon_tricks.script.run_flags import add_resume_flags, add_tensorboard_flag
from gluon_tricks.script.transfer_flags import resume_flag
from gluon_tricks.training import status


def main(argv=None):
    args = parse_args(argv)
    status.announce("loading MXNet, images and net ...")
    # Imported here: MXNet takes seconds, and --help and errors in flags do not need it
    from gluon_tricks.log_lines.transfer import DetectionDialect
    from gluon_tricks.script import faster_rcnn as build
    from gluon_tricks.script.opening import finish, header, settings_of, table_of
    from gluon_tricks.script.transfer import check_batch, engine_of, opening_lines, skip_epochs
    from gluon_tricks.transfer.detection import training_loader
    from gluon_tricks.transfer.faster_rcnn import Losses
    from gluon_tricks.transfer.loop import train_epoch
    from gluon_tricks.transfer.run import TransferRun

    if args.dry_run:
        return build.plan.show(build.plan_of(args))
    engine = engine_of(args, "--gpus", args.gpu_ids)                       # devices and processes
    train_set, val_set = build.open_data(args)                             # images and boxes
    check_batch(args.batch_size, len(train_set), engine.world_size)
    run = TransferRun(build.run_paths(args), build.facts(args, train_set, engine), engine,
                      settings_of(args, args.epochs, args.save_interval),
                      resume_flag(args), args.overwrite)                   # files, resuming
    net, weights = build.build_net(args, train_set.classes, engine,
                                   run.resumed)                            # model
    updates_per_epoch = len(train_set) // (args.batch_size * engine.world_size)
    schedule = build.learning_rate(args, updates_per_epoch)                # learning rate
    trainer = engine.trainer(net, build.sgd(args))                         # optimizer
    losses = Losses(net, args.rpn_smoothl1_rho, args.rcnn_smoothl1_rho)    # losses
    mixed_epochs = build.mixed_epochs(args)
    train_data = training_loader(train_set, net, args.batch_size, engine, args.seed, args.num_workers,
                                 mixed_epochs)                             # batches
    skip_epochs(run, args.start_epoch, train_data.batches_per_epoch)
    lines = [weights, *opening_lines(args, train_set, val_set, engine), *build.trained_names(args, net)]
    table = table_of(run, net, schedule, (len(train_set), len(val_set)), train_data.batches_in, [weights])
    run.open(net, trainer, train_data, [header(build.shown(args), engine), *lines], DetectionDialect,
             table=table)
    with run.sitting():
        while run.progress.epoch < args.epochs:
            epoch = run.progress.epoch
            build.compile_net(args, net)
            run.begin_epoch()
            if epoch in step_epochs(args.lr_decay_epochs) and not run.progress.batch:
                run.log.info(DetectionDialect.rate_line(epoch, schedule(run.progress.num_update)))
            weighted = functools.partial(losses, weight=0.5 if epoch < mixed_epochs else 1.0)
            train_epoch(weighted, train_data, trainer, schedule, engine, run.progress, run.after_update,
                        args.seed, run.keep_going)
            run.end_training()
            due = (epoch + 1) % args.val_interval == 0 or epoch + 1 == args.epochs
            run.end_epoch(build.validation(args, net, val_set, engine, run) if due else {})
    return finish(run)


# --- flags --------------------------------------------------------------------------------------------------

def parse_args(argv=None):
    parser = argparse.ArgumentParser(usage="%(prog)s [flags] [custom-model [flags of the net]]",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("custom-model",), metavar="custom-model",
                        help="as in GluonCV: the variant with FPN, which has its own defaults for the net")
    data = parser.add_argument_group("Data")
    data.add_argument("--dataset", default="voc",
                      help="voc: a folder in VOC's layout; GluonCV's coco is not supported (default voc)")
    data.add_argument("-j", "--num-workers", type=int, default=4, help="loader processes (default 4)")
    model = parser.add_argument_group("Model")
    model.add_argument("--network", "--backbone", default="resnet50_v1b", metavar="NAME",
                       help="base: any ResNet of this kit; --backbone is a synonym (default resnet50_v1b)")
    model.add_argument("--use-fpn", action="store_true", help="feature pyramid")
    model.add_argument("--norm-layer", choices=("syncbn",),
                       help="train BatchNorm, with statistics per device (default: frozen BatchNorm)")
    model.add_argument("--disable-hybridization", action="store_true", help="do not compile the net")
    model.add_argument("--static-alloc", action="store_true", help="compile with static_alloc")
    train = parser.add_argument_group("Training")
    train.add_argument("--batch-size", type=int, default=1,
                       help="images per update over all devices of a process (default 1)")
    train.add_argument("--gpus", default="0", help="GPU ids separated by commas; '': the CPU (default 0)")
    train.add_argument("--epochs", default="", help="passes over the data (default 20)")
    train.add_argument("--lr", default="", help="learning rate (default 0.001)")
    train.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    train.add_argument("--lr-decay-epoch", default="", help="epochs at which the rate steps (default 14,20)")
    train.add_argument("--lr-warmup", default="",
                       help="updates of linear warm-up, in the first epoch only (default -1: none)")
    train.add_argument("--lr-warmup-factor", type=float, default=1 / 3,
                       help="factor of the rate at the first update (default 1/3)")
    train.add_argument("--momentum", type=float, default=0.9, help="SGD momentum (default 0.9)")
    train.add_argument("--wd", default="", help="weight decay (default 5e-4)")
    train.add_argument("--mixup", action="store_true",
                       help="mix two images with equal weights; the loss is halved")
    train.add_argument("--no-mixup-epochs", type=int, default=20,
                       help="final epochs without mixup (default 20)")
    train.add_argument("--rpn-smoothl1-rho", type=float, default=1 / 9,
                       help="Huber threshold of the proposals' loss (default 1/9)")
    train.add_argument("--rcnn-smoothl1-rho", type=float, default=1.0,
                       help="Huber threshold of the boxes' loss (default 1)")
    train.add_argument("--amp", action="store_true",
                       help="not supported: float16 needs a GPU, and none was available for tests")
    train.add_argument("--horovod", action="store_true", help="several processes with Horovod")
    train.add_argument("--executor-threads", type=int, default=1,
                       help="no effect: MXNet's engine drives all devices")
    train.add_argument("--kv-store", default="nccl", choices=KVSTORES,
                       help="what sums the gradients; on the CPU nccl means device (default nccl)")
    files = parser.add_argument_group("Files")
    files.add_argument("--resume", default="", metavar="FILE|auto",
                       help="a .params file: start from it; auto (not in GluonCV): continue a stopped run "
                            "exactly")
    files.add_argument("--start-epoch", type=int, default=0, help="first epoch (default 0)")
    files.add_argument("--log-interval", type=int, default=100,
                       help="updates between log lines (default 100)")
    files.add_argument("--save-prefix", default="",
                       help="prefix of the names of all files written; may contain folders")
    files.add_argument("--save-interval", type=int, default=1, help="epochs between saves (default 1)")
    files.add_argument("--val-interval", type=int, default=1, help="epochs between validations (default 1)")
    files.add_argument("--seed", type=int, default=233, help="seed of all random numbers (default 233)")
    files.add_argument("--verbose", action="store_true", help="log the names of the trained parameters")
    net = parser.add_argument_group("Numbers of the net (GluonCV: after custom-model; in brackets: the "
                                    "default, or the defaults without and with FPN)")
    faster_rcnn_flags.add_shape_flags(net)
    net.add_argument("--no-pretrained-base", dest="pretrained_base", action="store_false",
                     help="random weights for the base, not the zoo's")
    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--backbone-params", metavar="FILE", default="",
                      help="weights of the base: .params of a classifier")
    ours.add_argument("--init", choices=("gluoncv", "horovod", "paper"), default="gluoncv",
                      help="initialisation of a random base (default gluoncv)")
    ours.add_argument("--data-dir", default=faster_rcnn_flags.DATA_DIR,
                      help="folder with VOC2007 and VOC2012 (default: GluonCV's)")
    ours.add_argument("--train-splits", default="2007_trainval,2012_trainval",
                      help="splits to train on (default %(default)s)")
    ours.add_argument("--val-splits", default="2007_test", help="splits to validate on (default 2007_test)")
    ours.add_argument("--zero-based", action="store_true",
                      help="corners of boxes in --data-dir count pixels from 0, not from 1 as in VOC "
                           "(default: as data_prep/voc.py was told)")
    ours.add_argument("--iou-thresh", type=float, default=0.5,
                      help="least IoU of a correct detection in validation (default 0.5)")
    ours.add_argument("--clip-gradient", type=float, default=0.0,
                      help="clip each gradient element to this magnitude (default: no)")
    ours.add_argument("--synthetic", action="store_true", help="random rectangles; needs no data")
    add_resume_flags(ours, 1000)
    add_tensorboard_flag(ours)
    ours.add_argument("--dry-run", action="store_true",
                      help="print the plan of the run; needs no GPU, and for VOC no data")
    title = "Several devices and processes (not in GluonCV; the devices share --batch-size)"
    add_engine_flags(parser.add_argument_group(title))
    return faster_rcnn_flags.settled(parser.parse_args(argv))


if __name__ == "__main__":
    run_main(main)
