"""Train on ImageNet as GluonCV's train_imagenet.py does.

    python train_imagenet.py --model resnet18_v1b --synthetic --classes 10 --num-training-samples 64 \\
        --input-size 64 --batch-size 16 --num-epochs 1 --mode hybrid
    python train_imagenet.py --model resnet50_v1d --mode hybrid --lr 0.4 --lr-mode cosine --num-epochs 120 \\
        --batch-size 128 --num-gpus 8 -j 60 --use-rec --dtype float16 --warmup-epochs 5 --last-gamma \\
        --no-wd --label-smoothing
    python train_imagenet.py --model resnet50_v1d --mode hybrid --lr 0.4 --lr-mode cosine --num-epochs 200 \\
        --batch-size 128 --num-gpus 8 -j 60 --use-rec --dtype float16 --warmup-epochs 5 --last-gamma \\
        --no-wd --label-smoothing --mixup

The first command needs no data. The second is the row "+ label smoothing" of Table 6, the third the row
"+ mixup without distillation": the published commands without the paths of the record files.
`python -m gluon_tricks compare LOG` compares a log with the published one.
"""

import argparse
import sys
from functools import partial

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
from gluon_tricks.errors import run_main
from gluon_tricks.optim.lr_schedule import MODES
from gluon_tricks.script import imagenet_flags
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.training import status


def main(argv=None):
    args = parse_args(argv)
    status.announce("loading MXNet, images and net ...")
    # Imported here: MXNet takes seconds, and --help and errors in flags do not need it
    from gluon_tricks.models.ready import hybridize
    from gluon_tricks.optim.parameter_average import ParameterAverage
    from gluon_tricks.script import imagenet as build
    from gluon_tricks.script.auto_dtype import choose_precision
    from gluon_tricks.script.imagenet_data import open_data
    from gluon_tricks.script.opening import engine_of, finish, header, settings_of, table_of
    from gluon_tricks.script.targets import training_targets
    from gluon_tricks.script.teacher import build_teacher
    from gluon_tricks.training.classifier import ClassifierRun
    from gluon_tricks.training.evaluation import evaluate
    from gluon_tricks.training.loop import train_epoch
    from gluon_tricks.tricks.drop_block import DropBlocks
    from gluon_tricks.tricks.low_precision import create_loss_scale

    if args.dry_run:
        return build.plan.show(build.plan_of(args))
    engine = engine_of(args, build.parts_per_device(args))                 # devices and processes
    data = open_data(args, engine)                                         # images              (§2.1)
    paths = build.run_paths(args)
    precision = choose_precision(args, data.classes, args.input_size, paths.resume,
                                 build.model_keywords(args))               # type of the numbers (§3.2)
    run = ClassifierRun(paths, build.facts(args, data, precision, engine), engine,
                        settings_of(args, args.num_epochs, args.save_frequency),
                        args.resume, args.overwrite)                       # files, resuming
    net = build.build_net(args, data.classes, precision, engine)           # model               (§4.2, §3.1)
    start = build.start(args, net, data, engine, run.resumed)              # fine-tuning (--init-params)
    schedule = build.learning_rate(args)                                   # learning rate       (§3.1, §5.1)
    trainer = engine.trainer(net, build.nag(args, precision.dtype))        # optimizer           (§3.1, §3.2)
    make_teacher = partial(build_teacher, args, build.net_facts(args, data), precision, engine)
    targets, loss, metric = training_targets(args, data.classes, precision.dtype,
                                             make_teacher)                 # targets and loss    (§5.2-5.4)
    loss_scale = create_loss_scale(args.loss_scale)                        # for float16         (§3.2)
    average = ParameterAverage(net, args.ema) if args.ema else None        # moving average (--ema)
    drop_epochs = args.num_epochs if args.flags == "horovod" else None
    drop_blocks = DropBlocks(net, lambda: hybridize(net, args.mode),
                             drop_epochs)                                  # DropBlock (ResNeSt)
    if args.resume_epoch and not run.resumed:
        build.resume_from_gluoncv(args, run, trainer, data)
    lines = [*build.opening_lines(args, data, net, precision.dtype, engine), *start]
    table = table_of(run, net, schedule, (data.train.records, data.val.records), data.train.batches_in,
                     [*precision.lines, *start])
    run.open(net, trainer, data.train,
             [header(args, engine, classes=data.classes, **precision.flags), *precision.lines, *lines],
             build.dialect_of(args), average, table)
    with run.sitting():
        while run.progress.epoch < args.num_epochs:
            run.begin_epoch()
            drop_blocks.train(run.progress.epoch)
            train_epoch(net, data.train, targets, loss, metric, trainer, schedule, engine, run.progress,
                        run.after_update, args.seed, loss_scale, run.keep_going)
            run.end_training()
            drop_blocks.evaluate()
            accuracies = evaluate(net, data.val, engine, precision.dtype, run.keep_going, top=(1, 5))
            of_average = average and build.evaluate_average(average, data, engine, precision.dtype, run)
            run.end_epoch(accuracies, of_average)
        run.log.info(build.both_protocols(args, net, data, engine, precision.dtype, run.keep_going))
    return finish(run)


# --- flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    rec = imagenet_flags.RECORD_SETS["imagenet"].folder
    parser = argparse.ArgumentParser(usage="%(prog)s --model NAME [flags]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_argument_group("Data (§2.1)")
    data.add_argument("--data-backend", default="ours", choices=("ours", "mxnet", "dali-gpu", "dali-cpu"),
                      help="reader of record files. ours (not in GluonCV): the same crops and colours, "
                           "reproducible order, exact resuming; mxnet: ImageRecordIter, which made the "
                           "published logs (default ours)")
    data.add_argument("--data-dir", default="~/.mxnet/datasets/imagenet/",
                      help="folder with train/ and val/ class folders")
    data.add_argument("--rec-train", default=f"{rec}/train.rec", help="record file of the training images")
    data.add_argument("--rec-train-idx", help="index of --rec-train (default: next to it)")
    data.add_argument("--rec-val", default=f"{rec}/val.rec", help="record file of the validation images")
    data.add_argument("--rec-val-idx", help="index of --rec-val (default: next to it)")
    data.add_argument("--use-rec", action="store_true", help="read record files instead of folders")
    data.add_argument("--input-size", type=int, default=224, help="side of the crop (default 224)")
    data.add_argument("--crop-ratio", type=float, default=0.875,
                      help="validation resizes to size / ratio (default 0.875)")
    data.add_argument("--rgb-mean",
                      help="channel means, 0..255 (default: 123.68,116.779,103.939 for record files, "
                           "123.675,116.28,103.53 for folders)")
    data.add_argument("--rgb-std",
                      help="channel deviations, 0..255 (default: 58.393,57.12,57.375 for record files, "
                           "58.395,57.12,57.375 for folders)")
    data.add_argument("--num-training-samples", type=int, default=1281167,
                      help="images per epoch in the learning-rate schedule (default 1281167)")
    data.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                      help="decoding threads (default 4)")
    model = parser.add_argument_group("Model (§4)")
    model.add_argument("--model", help="name of the model, such as resnet50_v1d (default: of --init-params)")
    model.add_argument("--mode", help="hybrid: compile the net; other values: imperative")
    model.add_argument("--use-pretrained", action="store_true",
                       help="start from the zoo's weights (downloaded)")
    model.add_argument("--use_se", action="store_true", help="no effect in GluonCV: give --fix-use-se too")
    model.add_argument("--batch-norm", action="store_true", help="BatchNorm in vgg models")
    model.add_argument("--use-gn", action="store_true", help="GroupNorm instead of BatchNorm")
    train = parser.add_argument_group("Training (§2.1, §3)")
    train.add_argument("--batch-size", type=int, default=32, help="images per device and update (default 32)")
    train.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    train.add_argument("--num-epochs", type=int, default=3, help="passes over the data (default 3)")
    train.add_argument("--dtype", choices=("float32", "float16", "bfloat16", "auto"), default="float32",
                       help="float16 is emulated on CPUs, and slow; auto (not in GluonCV): the fastest type "
                            "on this CPU, measured first (default float32)")
    train.set_defaults(use_amx=True)       # if the CPU has AMX; --dtype auto can switch it off
    train.add_argument("--lr", type=float, default=0.1,
                       help="peak learning rate, for the global batch (default 0.1)")
    train.add_argument("--momentum", type=float, default=0.9, help="NAG momentum (default 0.9)")
    train.add_argument("--wd", type=float, default=0.0001, help="weight decay (default 0.0001)")
    train.add_argument("--no-wd", action="store_true", help="no weight decay on biases, gammas and betas")
    train.add_argument("--last-gamma", action="store_true",
                       help="start the last gamma of each residual block at 0")
    train.add_argument("--warmup-lr", type=float, default=0.0, help="no effect, as in GluonCV")
    train.add_argument("--warmup-epochs", type=int, default=0, help="epochs of linear warm-up (default 0)")
    train.add_argument("--lr-mode", choices=MODES, default="step",
                       help="shape of the decay after warm-up (default step)")
    train.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    train.add_argument("--lr-decay-period", type=int, default=0,
                       help="epochs between steps; 0: use --lr-decay-epoch (default 0)")
    train.add_argument("--lr-decay-epoch", default="40,60",
                       help="epochs at which the rate steps (default 40,60)")
    tricks = parser.add_argument_group("Refinements (§5)")
    tricks.add_argument("--label-smoothing", action="store_true", help="label smoothing with eta 0.1")
    tricks.add_argument("--mixup", action="store_true", help="mix images and labels")
    tricks.add_argument("--mixup-alpha", type=float, default=0.2,
                        help="parameter of the Beta distribution (default 0.2)")
    tricks.add_argument("--mixup-off-epoch", type=int, default=0,
                        help="final epochs without mixup (default 0)")
    tricks.add_argument("--teacher",
                        help="distil from this zoo model, from NAME:FILE, a model with its parameters, or "
                             "from FILE.params next to the record of its training")
    tricks.add_argument("--temperature", type=float, default=20,
                        help="temperature of the distillation (default 20)")
    tricks.add_argument("--hard-weight", type=float, default=0.5,
                        help="weight of the labels in the loss; 1: no teacher (default 0.5)")
    dali = parser.add_argument_group("NVIDIA DALI (never run here: it needs a GPU)")
    dali.add_argument("--dali-threads", type=int, default=3, help="threads per GPU in training (default 3)")
    dali.add_argument("--dali-validation-threads", type=int, default=10,
                      help="threads per GPU in validation (default 10)")
    dali.add_argument("--dali-prefetch-queue", type=int, default=2,
                      help="batches prepared in advance (default 2)")
    dali.add_argument("--dali-nvjpeg-memory-padding", type=int, default=64,
                      help="memory for decoding, in MB (default 64)")
    dali.add_argument("--dali-fuse-decoder", type=int, choices=(0, 1), default=1,
                      help="1: decode only the crop (default 1)")
    files = parser.add_argument_group("Files")
    files.add_argument("--save-frequency", type=int, default=10,
                       help="epochs between saves; 0: the last epoch only (default 10)")
    files.add_argument("--save-dir", default="params",
                       help="folder for parameters and states (default params)")
    files.add_argument("--resume-epoch", type=int, default=0,
                       help="continue at this epoch; needs the next two flags")
    files.add_argument("--resume-params", default="", help="parameters to start from")
    files.add_argument("--resume-states", default="",
                       help="momentum to start from: a .states file of GluonCV's script")
    files.add_argument("--log-interval", type=int, default=50,
                       help="batches between log lines; 0: none (default 50)")
    files.add_argument("--logging-file", default="train_imagenet.log",
                       help="log file; lines are appended (default train_imagenet.log)")
    imagenet_flags.add_own_flags(parser.add_argument_group("Not in GluonCV"))
    add_engine_flags(parser.add_argument_group("Several devices and processes (not in GluonCV)"))
    title = "Paper or GluonCV (set by --as, with --hard-weight)"
    imagenet_flags.add_choice_flags(parser.add_argument_group(title))
    return imagenet_flags.parsed(parser, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    run_main(main)
