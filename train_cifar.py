"""Train on CIFAR, MNIST, Fashion-MNIST or KMNIST as GluonCV's train_cifar10.py and train_mixup_cifar10.py do.

    python train_cifar.py --dataset cifar10-excerpt --model cifar_resnet20_v1 --mode hybrid --num-epochs 3
    python train_cifar.py --num-epochs 200 --mode hybrid --num-gpus 1 -j 2 --batch-size 128 --wd 0.0001 --lr 0.1 \\
        --lr-decay 0.1 --lr-decay-epoch 100,150 --model cifar_resnet20_v1
    python train_cifar.py --mixup --num-epochs 220 --mode hybrid --num-gpus 1 -j 2 --batch-size 128 --wd 0.0001 --lr 0.1 \\
        --lr-decay 0.1 --lr-decay-epoch 100,150 --model cifar_resnet20_v1 --resume auto
    python train_cifar.py --dataset cifar100 --model cifar_resnet56_v1 --mode hybrid --batch-size 256 --num-epochs 200 \\
        --lr-mode cosine --warmup-epochs 5 --augment follow-up --label-smoothing --mix vertical --num-gpus 1

The first runs on the embedded excerpt, the next two are published commands, the last is a row of the CIFAR-100 follow-up
(its tables and other studies: `python -m gluon_tricks tables`). A stopped or killed run goes on with
--resume auto and ends with the same parameters, bit for bit. `python -m gluon_tricks compare LOG` judges the log.
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
from gluon_tricks.script.run_flags import add_record_flags, add_resume_flags


def main(argv=None):
    args = parse_args(argv)
    # MXNet takes seconds to import; --help and a wrong flag are answered before it
    from gluon_tricks.script import cifar as build
    from gluon_tricks.script.auto_dtype import choose_precision
    from gluon_tricks.script.opening import engine_of, finish, header, settings_of
    from gluon_tricks.script.targets import training_targets
    from gluon_tricks.training.evaluation import evaluate
    from gluon_tricks.training.loop import train_epoch
    from gluon_tricks.training.run import Run

    if args.dry_run:
        return build.plan.show(build.plan_of(args))
    engine = engine_of(args, args.accumulate)                                        # who computes
    data = build.open_data(args, engine)                                             # what it sees
    classes, paths = len(data.classes), build.run_paths(args)
    precision = choose_precision(args, classes, DATASETS[args.dataset].side, paths.resume,
                                 build.keywords_of(args))                            # in what numbers   (§3.2)
    run = Run(paths, build.facts(args, data, precision, engine), engine,
              settings_of(args, args.num_epochs, args.save_period), args.resume, args.overwrite)
    net = build.build_net(args, classes, precision, engine)                          # what learns
    schedule = build.learning_rate(args, data.train.batches_per_epoch)               # how fast
    trainer = engine.trainer(net, build.optimizer(args, precision.dtype))            # what moves it
    make_teacher = partial(build.build_teacher, args, classes, precision, engine)
    targets, loss, metric = training_targets(args, classes, precision.dtype, make_teacher)     # its targets (§5.2-5.4)
    namespace = header(args, engine, num_training_samples=data.train.records, **precision.flags)
    run.open(net, trainer, data.train, [namespace, *precision.lines, *build.opening_lines(args, data, engine)], CifarDialect)
    reseed_from = args.seed if build.draws(args) else None
    with run.sitting():
        while run.progress.epoch < args.num_epochs:
            run.begin_epoch()
            train_epoch(net, data.train, targets, loss, metric, trainer, schedule, engine, run.progress,
                        run.after_update, reseed_from=reseed_from, keep_going=run.keep_going)
            run.end_training()
            run.end_epoch(evaluate(net, data.val, engine, precision.dtype, run.keep_going, top=(1, 5)))
    return finish(run)


# --- flags --------------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ref = parser.add_argument_group("As in GluonCV's train_cifar10.py and train_mixup_cifar10.py")
    ref.add_argument("--batch-size", type=int, default=32, help="images per device and update (default 32)")
    ref.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    ref.add_argument("--model", default="resnet",
                     help="model name, as cifar_resnet20_v1; GluonCV's default, resnet, does not exist there either")
    ref.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                     help="threads that prepare batches (default 4)")
    ref.add_argument("--num-epochs", type=int, default=3, help="passes over the data (default 3)")
    ref.add_argument("--lr", type=float, default=0.1, help="learning rate of the global batch (default 0.1)")
    ref.add_argument("--momentum", type=float, default=0.9, help="NAG momentum (default 0.9)")
    ref.add_argument("--wd", type=float, default=0.0001, help="weight decay, on every parameter (default 0.0001)")
    ref.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    ref.add_argument("--lr-decay-period", type=int, default=0, help="has no effect, as in the original")
    ref.add_argument("--lr-decay-epoch", default="40,60", help="ascending epochs to step at (default 40,60)")
    ref.add_argument("--drop-rate", type=float, default=0.0,
                     help="dropout, for cifar_wideresnet* and cifar_densenet* only (default 0)")
    ref.add_argument("--mode", help="hybrid compiles the net; anything else is imperative")
    ref.add_argument("--save-period", type=int, default=10, help="save parameters every so many epochs (default 10)")
    ref.add_argument("--save-dir", default="params", help="folder for parameters and the resume file (default params)")
    ref.add_argument("--logging-dir", default="logs", help="folder for the log (default logs)")
    ref.add_argument("--resume-from", metavar="FILE", help="start from these parameters, at epoch 0")
    ref.add_argument("--save-plot-dir", default=".", help="folder for MODEL_history.png (default .)")

    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--mixup", action="store_true", help="train as train_mixup_cifar10.py does")
    ours.add_argument("--dataset", choices=tuple(DATASETS), default="cifar10",
                      help="cifar10-excerpt is embedded: 2,000 + 500 images")
    ours.add_argument("--data-dir", help="folder that data_prep/cifar.py or mnist.py wrote (default "
                                         "~/.mxnet/datasets/DATASET/rec)")
    ours.add_argument("--data-backend", choices=BACKENDS, default="ours",
                      help="ours: exact resume and order; mxnet: ImageRecordIter")
    ours.add_argument("--dry-run", action="store_true", help="print what the run would do; needs no data and no GPU")
    ours.add_argument("--seed", type=int, default=0, help="decides initialisation, order, augmentation, mixup (default 0)")
    ours.add_argument("--dtype", choices=("float32", "float16", "bfloat16", "auto"), default="float32",
                      help="float16 needs a GPU, bfloat16 a CPU; auto: the fastest on this CPU, by trying (default float32)")
    ours.set_defaults(use_amx=True)        # where there is AMX; --dtype auto may decide against it
    ours.add_argument("--model-kwargs", nargs="*", default=[], metavar="NAME=VALUE",
                      help="what the model takes besides, as last_bn=True preact_stages=[0,0,0] for cifar_preact*")
    ours.add_argument("--resume", metavar="auto|FILE", default="",
                      help="auto: go on where a run of this model in --save-dir stopped, else start")
    add_resume_flags(ours, 200)
    ours.add_argument("--log-interval", type=int, default=100, help="updates between records in metrics.jsonl (0: none)")
    add_record_flags(ours, "LOGGING_DIR/train_DATASET_MODEL/metrics.jsonl")
    cifar_flags.add_image_flags(parser.add_argument_group("Images (not in GluonCV)"))
    cifar_flags.add_target_flags(parser.add_argument_group("Targets (§5.2-5.4 and follow-ups; not in GluonCV's CIFAR scripts)"))
    cifar_flags.add_optimizer_flags(parser.add_argument_group("Optimizer and schedule (not in GluonCV's CIFAR scripts)"))
    add_engine_flags(parser.add_argument_group("Several devices and processes (not in GluonCV)"))
    return cifar_flags.settled(parser.parse_args(argv))


if __name__ == "__main__":
    run_main(main)
