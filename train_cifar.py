"""Train on CIFAR, MNIST, Fashion-MNIST or KMNIST as GluonCV's train_cifar10.py and train_mixup_cifar10.py do.

    python train_cifar.py --dataset cifar10-excerpt --model cifar_resnet20_v1 --mode hybrid --num-epochs 3
    python train_cifar.py --num-epochs 200 --mode hybrid --num-gpus 1 -j 2 --batch-size 128 --wd 0.0001 \\
        --lr 0.1 --lr-decay 0.1 --lr-decay-epoch 100,150 --model cifar_resnet20_v1
    python train_cifar.py --mixup --num-epochs 220 --mode hybrid --num-gpus 1 -j 2 --batch-size 128 \\
        --wd 0.0001 --lr 0.1 --lr-decay 0.1 --lr-decay-epoch 100,150 --model cifar_resnet20_v1 --resume auto
    python train_cifar.py --dataset cifar100 --model cifar_resnet56_v1 --mode hybrid --batch-size 256 \\
        --num-epochs 200 --lr-mode cosine --warmup-epochs 5 --augment follow-up --label-smoothing \\
        --mix vertical --num-gpus 1

The first command trains on the embedded excerpt. The next two are published commands. The last is a row of
the CIFAR-100 follow-up; `python -m gluon_tricks tables` has the others. With --resume auto, a stopped or
killed run continues and ends with the same parameters, bit for bit. `python -m gluon_tricks compare LOG`
compares a log with the published one.
"""

import argparse
from functools import partial

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
from gluon_tricks.data.cifar_sets import BACKENDS, DATASETS
from gluon_tricks.errors import run_main
from gluon_tricks.log_lines.dialects import CifarDialect
from gluon_tricks.script import cifar_flags
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.fine_tuning_flags import add_fine_tuning_flags
from gluon_tricks.script.run_flags import add_record_flags, add_resume_flags
from gluon_tricks.training import status


def main(argv=None):
    args = parse_args(argv)
    status.announce("loading MXNet, images and net ...")
    # Imported here: MXNet takes seconds, and --help and errors in flags do not need it
    from gluon_tricks.script import cifar as build
    from gluon_tricks.script.auto_dtype import choose_precision
    from gluon_tricks.script.opening import engine_of, finish, header, settings_of, table_of
    from gluon_tricks.script.targets import training_targets
    from gluon_tricks.script.teacher import build_teacher
    from gluon_tricks.training.classifier import ClassifierRun
    from gluon_tricks.training.evaluation import evaluate
    from gluon_tricks.training.loop import train_epoch
    from gluon_tricks.tricks.low_precision import create_loss_scale

    if args.dry_run:
        return build.plan.show(build.plan_of(args))
    engine = engine_of(args, args.accumulate)                              # devices and processes
    data = build.open_data(args, engine)                                   # images
    classes, paths = len(data.classes), build.run_paths(args)
    precision = choose_precision(args, classes, DATASETS[args.dataset].side, paths.resume,
                                 build.keywords_of(args))                  # type of the numbers  (§3.2)
    run = ClassifierRun(paths, build.facts(args, data, precision, engine), engine,
                        settings_of(args, args.num_epochs, args.save_period),
                        args.resume, args.overwrite)                       # files, resuming
    net = build.build_net(args, classes, precision, engine)                # model
    start = build.start(args, net, data, engine, run.resumed)              # fine-tuning
    schedule = build.learning_rate(args, data.train.batches_per_epoch)     # learning rate
    trainer = engine.trainer(net, build.optimizer(args, precision.dtype))  # optimizer
    make_teacher = partial(build_teacher, args, build.net_facts(args, data), precision, engine)
    targets, loss, metric = training_targets(args, classes, precision.dtype,
                                             make_teacher)                 # targets and loss     (§5.2-5.4)
    loss_scale = create_loss_scale(args.loss_scale)                        # for float16          (§3.2)
    namespace = header(args, engine, num_training_samples=data.train.records, **precision.flags)
    table = table_of(run, net, schedule, (data.train.records, data.val.records), data.train.batches_in,
                     [*precision.lines, *start])
    run.open(net, trainer, data.train,
             [namespace, *precision.lines, *build.opening_lines(args, data, engine), *start], CifarDialect,
             table=table)
    reseed_from = args.seed if build.draws(args) else None
    with run.sitting():
        while run.progress.epoch < args.num_epochs:
            run.begin_epoch()
            train_epoch(net, data.train, targets, loss, metric, trainer, schedule, engine, run.progress,
                        run.after_update, reseed_from, loss_scale, run.keep_going)
            run.end_training()
            run.end_epoch(evaluate(net, data.val, engine, precision.dtype, run.keep_going, top=(1, 5)))
    return finish(run)


# --- flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(usage="%(prog)s --model NAME [flags]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    ref = parser.add_argument_group("As in GluonCV's train_cifar10.py and train_mixup_cifar10.py")
    ref.add_argument("--batch-size", type=int, default=32, help="images per device and update (default 32)")
    ref.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    ref.add_argument("--model", default=cifar_flags.NO_MODEL,
                     help="name of the model, such as cifar_resnet20_v1 (GluonCV's default, resnet, is no "
                          "model)")
    ref.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                     help="threads that prepare batches (default 4)")
    ref.add_argument("--num-epochs", type=int, default=3, help="passes over the data (default 3)")
    ref.add_argument("--lr", type=float, default=0.1, help="learning rate of the global batch (default 0.1)")
    ref.add_argument("--momentum", type=float, default=0.9, help="NAG momentum (default 0.9)")
    ref.add_argument("--wd", type=float, default=0.0001,
                     help="weight decay, on every parameter (default 0.0001)")
    ref.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    ref.add_argument("--lr-decay-period", type=int, default=0, help="no effect, as in GluonCV")
    ref.add_argument("--lr-decay-epoch", default="40,60",
                     help="epochs at which the rate steps, ascending (default 40,60)")
    ref.add_argument("--drop-rate", type=float, default=0.0,
                     help="dropout, for cifar_wideresnet* and cifar_densenet* only (default 0)")
    ref.add_argument("--mode", help="hybrid: compile the net; other values: imperative")
    ref.add_argument("--save-period", type=int, default=10,
                     help="epochs between saves of the parameters (default 10)")
    ref.add_argument("--save-dir", default="params",
                     help="folder for parameters and the resume file (default params)")
    ref.add_argument("--logging-dir", default="logs", help="folder for the log (default logs)")
    ref.add_argument("--resume-from", metavar="FILE", help="parameters to start from, at epoch 0")
    ref.add_argument("--save-plot-dir", default=".", help="folder for MODEL_history.png (default .)")

    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--mixup", action="store_true", help="train as train_mixup_cifar10.py does")
    ours.add_argument("--dataset", choices=tuple(DATASETS), default="cifar10",
                      help="cifar10-excerpt is embedded: 2,000 + 500 images (default cifar10)")
    ours.add_argument("--data-dir", help="folder that data_prep/cifar.py or mnist.py wrote (default "
                                         "~/.mxnet/datasets/DATASET/rec)")
    ours.add_argument("--data-backend", choices=BACKENDS, default="ours",
                      help="ours: reproducible order, exact resuming; mxnet: ImageRecordIter (default ours)")
    ours.add_argument("--dry-run", action="store_true",
                      help="print the plan of the run; needs no data and no GPU")
    ours.add_argument("--seed", type=int, default=0,
                      help="seed of initialisation, order, augmentation and mixup (default 0)")
    ours.add_argument("--dtype", choices=("float32", "float16", "bfloat16", "auto"), default="float32",
                      help="float16 is emulated on CPUs, and slow; bfloat16 needs a CPU; auto: the fastest "
                           "type on this CPU, measured first (default float32)")
    ours.set_defaults(use_amx=True)        # if the CPU has AMX; --dtype auto can switch it off
    ours.add_argument("--model-kwargs", nargs="*", default=[], metavar="NAME=VALUE",
                      help="further arguments of the model, such as last_bn=True preact_stages=[0,0,0] for "
                           "cifar_preact*")
    ours.add_argument("--resume", metavar="auto|FILE", default="",
                      help="auto: continue the run of this model in --save-dir, or start one")
    add_fine_tuning_flags(ours)
    add_resume_flags(ours, 200)
    ours.add_argument("--log-interval", type=int, default=100,
                      help="updates between records in metrics.jsonl; 0: none (default 100)")
    add_record_flags(ours, "LOGGING_DIR/train_DATASET_MODEL/metrics.jsonl")
    cifar_flags.add_image_flags(parser.add_argument_group("Images (not in GluonCV)"))
    title = "Targets (§5.2-5.4 and follow-ups; not in GluonCV's CIFAR scripts)"
    cifar_flags.add_target_flags(parser.add_argument_group(title))
    title = "Optimizer and schedule (not in GluonCV's CIFAR scripts)"
    cifar_flags.add_optimizer_flags(parser.add_argument_group(title))
    add_engine_flags(parser.add_argument_group("Several devices and processes (not in GluonCV)"))
    return cifar_flags.settled(parser.parse_args(argv))


if __name__ == "__main__":
    run_main(main)
