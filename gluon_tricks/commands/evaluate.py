"""The accuracy of saved parameters on a validation set: every image counted once.

    python -m gluon_tricks evaluate --params-file demo/params/cifar10-cifar_resnet20_v1-11.params
    python -m gluon_tricks evaluate --params-file params/imagenet-resnet50_v1d-119.params \\
        --rec-dir ~/.mxnet/datasets/imagenet/rec --json result.json
    python -m gluon_tricks evaluate --model resnet50_v1d --data-dir ~/.mxnet/datasets/imagenet -j 8
    python -m gluon_tricks evaluate --params-file params/imagenet-resnet18_v1b-29.params --report report
    python -m gluon_tricks evaluate --params-file params/places365-resnet50_v1d-119.params \\
        --rec-val ~/.mxnet/datasets/places365/rec/test.rec --predictions submission.txt
    python -m gluon_tricks evaluate --params-file params/imagenet-resnet50_v1d-119.params \\
        --data-dir ~/imagenet --real-labels real.json --tta flip

The first evaluates what `make demo` trained. Next to its parameters, a training leaves a record, which names
the net, its classes, the size and normalisation of its images, and the data; flags that contradict it are
refused, and so are data with other classes. Without a record, --model and the other flags do. The third uses
GluonCV's published weights, as its verify_pretrained.py does without --params-file. The fourth
writes a confusion matrix, figures of each class and the surest mistakes; the fifth has images without labels
and writes the five best classes of each. The sixth also counts by ImageNet's reassessed labels, and answers
with the mean probabilities of each image and its mirror image.

An answer counts as top-k if fewer than k classes come before the label's: those with a higher output, and
those with an equal output and a lower index. MXNet adds numbers in another order for another batch size, so
the last bits of outputs differ; the number of answers so close to a tie that this could change them is
printed next to the count.
"""

import argparse
import json
import shlex
from pathlib import Path

from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.manifest import classes_sha256
from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder, sha256_of
from gluon_tricks.machine import environment, operator_threads
from gluon_tricks.models.ready import start_precision
from gluon_tricks.recipes.data_paths import FOLDER_MEAN, FOLDER_STD, RGB_MEAN, RGB_STD
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.saved.answers import AnswerKeeper
from gluon_tricks.saved.averaging import VIEWS, averaged
from gluon_tricks.saved.counting import count_answers
from gluon_tricks.saved.names import check_same_classes
from gluon_tricks.saved.net import import_symbol, open_net, run_once
from gluon_tricks.saved.predictions import best_classes, lines_of
from gluon_tricks.saved.real_labels import RealTally
from gluon_tricks.saved.record import find_run
from gluon_tricks.saved.report import write_report
from gluon_tricks.saved.tally import TOP
from gluon_tricks.script.flags import check_numbers, completed
from gluon_tricks.script.saved_flags import (
    add_machine_flags,
    add_model_flags,
    saved_net_of,
    with_machine,
    with_outputs,
)
from gluon_tricks.script.validation_data import add_data_flags, complete_data, open_data, rec_file


def main(argv=None):
    args = parse_args(argv)
    engine = create_engine(args.num_gpus)
    data = open_data(args)
    start_precision(args.dtype, args.use_amx)
    net = ready_net(args, engine, data)
    best, kept, keep = [], AnswerKeeper(), []
    if args.predictions:
        keep.append(lambda positions, output, label: best.extend(best_classes(output)))
    if args.report:
        keep.append(kept.add)
    real = args.real_labels and RealTally(args.real_labels, data)
    if real:
        keep.append(real.add)
    tally, speed = count_answers(averaged(net, args.tta), data, engine, args.dtype, keep)
    if args.predictions:
        atomic_write(args.predictions, "\n".join(lines_of(data.names, best)) + "\n")
    if args.report:
        write_report(args.report, f"{args.saved.facts.model}, {len(data.names)} images", data,
                     class_names(args, data, kept), kept.answers())
    for line in report(args, net, data, tally, speed, real):
        print(line)
    if args.json:
        atomic_write(args.json, json.dumps(result(args, argv, data, tally, speed, real), indent=1) + "\n")
    return 0


# --- Net ----------------------------------------------------------------------------------------------------

def ready_net(args, engine, data):
    """The net that the flags name, or the exported symbol of --deploy; its classes are those of the data."""
    saved, data_classes = args.saved, None if data.classes is None else len(data.classes)
    if args.deploy:
        net = import_symbol(args.model_prefix, engine.ctx)
        classes = run_once(net, saved, args.dtype, engine)
        says = f"{saved.run.path} says" if saved.run else "--classes says"
        for count, source in ((data_classes, "the data have"), (saved.facts.classes, says)):
            if count not in (None, classes):
                raise UserError(f"--model-prefix {args.model_prefix}: has {classes} outputs, {source} "
                                f"{count}")
    else:
        net, classes = open_net(saved, engine, args.dtype, data_classes)
    check_same_classes(saved.source, saved.certain_names(classes), data.path, data.classes)
    return net


def class_names(args, data, kept):
    """Names of the classes in label order: those of the data, else of the net, else the labels as text."""
    return data.classes or args.saved.names(kept.classes) or [str(label) for label in range(kept.classes)]


# --- Results ------------------------------------------------------------------------------------------------

def report(args, net, data, tally, speed, real):
    """The lines to print; the errors in the form of GluonCV's log."""
    saved = args.saved
    params = saved.params_file
    source = f"{params} (SHA-256 {sha256_of(params)[:16]}...)" if params else "GluonCV's published weights"
    parameters = sum(parameter.list_data()[0].size for parameter in net.collect_params().values())
    record = f"; net and images as recorded in {saved.run.path}" if saved.run else ""
    yield f"{saved.facts.model}: {parameters:,} parameters with statistics, from {source}{record}"
    checked = "without a manifest, so not checked"
    if data.root_hash:
        checked = f"root hash {data.root_hash[:16]}..."
    times = "each counted once" if data.protocol == "exact" else "by MXNet's window, some counted twice"
    yield f"{data.loader.records} images of {data.path}, {checked}; {times}"
    of_run = saved.facts.data_root_hash
    if is_runs_dataset(args) and of_run and data.root_hash not in ("", of_run):
        yield f"note: the run had other data, root hash {of_run[:16]}..."
    yield from filter(None, (getattr(data.loader, "left_out", ""), data.note))
    if args.tta:
        yield f"--tta {args.tta}: mean probabilities of {VIEWS[args.tta]} views of each image"
    if data.bad:
        yield f"{len(data.bad)} images do not decode and are left out"
    if data.labelled:
        for k, correct, close in zip(TOP, tally.correct, tally.close):
            yield (f"top-{k}: correct {correct} of {tally.images}, {100 * correct / tally.images:.2f} %"
                   f" ({close} within rounding of a tie)")
        yield "validation: " + " ".join(f"err-top{k}={error:f}" for k, error in zip(TOP, tally.errors()))
    if real:
        yield real.line()
    if args.predictions:
        yield f"predictions: the best classes of {len(data.names)} images, in {args.predictions}"
    if args.report:
        yield f"report: {args.report / 'report.md'}"
    if speed.images:
        yield (f"speed: {speed.images_per_s:.1f} images/s over {speed.images} images, decoding included, "
               f"without the first batch; {operator_threads()} operator threads, {args.num_workers} loader "
               "threads")
    else:
        yield "speed: not measured, there was only one batch"


def result(args, argv, data, tally, speed, real):
    """The same as a dict, with all that is needed to repeat it."""
    params, words = args.saved.params_file, ["python", "-m", "gluon_tricks", "evaluate", *(argv or [])]
    counts = {f"top{k}": {"correct": int(correct), "within_rounding": int(close), "err": error}
              for k, correct, close, error in zip(TOP, tally.correct, tally.close,
                                                  tally.errors() if data.labelled else ())}
    predictions = args.predictions and {"path": str(args.predictions), "images": len(data.names),
                                        "sha256": sha256_of(args.predictions)}
    file, digest = (str(params), sha256_of(params)) if params else (None, None)
    images = {"path": str(data.path), "records": data.loader.records, "root_hash": data.root_hash,
              "classes_sha256": classes_sha256(data.classes) if data.classes else "",
              "protocol": data.protocol, "left_out": [data.bad[position] for position in sorted(data.bad)]}
    timing = {"images_per_s": speed.images_per_s if speed.images else None, "images": speed.images,
              "time_s": speed.seconds, "warmup_batches": 1}
    flags = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()
             if name != "saved"}
    return {"command": shlex.join(words), "net": args.saved.facts._asdict(), "params_file": file,
            "params_sha256": digest, "data": images, "images": tally.images, **counts,
            "real_labels": real.result() if real else None,
            "predictions": predictions, "speed": timing, "args": flags, **environment()}


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    model = add_model_flags(parser)
    model.add_argument("--deploy", action="store_true", help="evaluate what `export --format symbol` wrote")
    model.add_argument("--model-prefix", metavar="PREFIX",
                       help="of the exported PREFIX-symbol.json, with --deploy")
    add_data_flags(parser.add_argument_group("Data"))
    machine = parser.add_argument_group("Machine and output")
    add_machine_flags(machine)
    machine.add_argument("--predictions", metavar="FILE",
                         help="also write a line for each image there: its name (or, if "
                         "records have none, its key) and the five best classes, best first")
    machine.add_argument("--report", metavar="DIR",
                         help="also write confusion matrix, accuracy of each class, calibration, and the "
                              "surest mistakes there, as pictures and CSV")
    machine.add_argument("--json", metavar="FILE",
                         help="also write counts, hashes, versions and the command there")
    return settled(parser.parse_args(argv))


def settled(args):
    """The arguments, checked, and completed from the run's record and from each other."""
    check_numbers(args, COMMAND_FLAGS)
    check_deploy(args)
    args = with_net(completed(args, rec_val=rec_file(args)))
    args = complete_data(complete_from_run(with_machine(args)))
    args = with_outputs(args, "json", "predictions")
    return completed(args, report=make_folder("--report", args.report)) if args.report else args


def check_deploy(args):
    """Check the flags that --deploy needs or excludes."""
    if args.deploy != bool(args.model_prefix):
        raise UserError("--deploy and --model-prefix: give both or neither")
    if not args.deploy:
        return
    for flag in ("params_file", "pretrained", "use_gn", "model_kwargs"):
        if getattr(args, flag):
            raise UserError(f"--{flag.replace('_', '-')}: is part of the exported net of --deploy; leave it "
                            "out")
    if args.dtype == "float16":
        raise UserError("--dtype float16: exported nets of --deploy compute in float32; leave one flag out")


def with_net(args):
    """The arguments with `saved`, the net as record or flags describe it."""
    if args.rec_val and args.dataset not in (None, "imagenet"):
        raise UserError(f"--rec-val {args.rec_val}: leave --data-dir and --dataset out")
    params_file = None
    if args.deploy:
        params_file = Path(f"{args.model_prefix}-0000.params").expanduser()
        if not args.model and not find_run(params_file):
            args = completed(args, model=Path(args.model_prefix).name)
    normalisation = (RGB_MEAN, RGB_STD) if args.rec_val else (FOLDER_MEAN, FOLDER_STD)
    return completed(args, saved=saved_net_of(args, params_file, "imagenet", normalisation))


def is_runs_dataset(args):
    """Whether --dataset is the data set of the run that left the parameters."""
    run = args.saved.run
    return run and args.dataset == (run.net.dataset if run.net.dataset in DATASETS else "imagenet")


def complete_from_run(args):
    """Fill in the data of the run that left the parameters where the flags do not."""
    run, trained_on = args.saved.run, args.saved.facts.dataset
    is_other = args.rec_val or trained_on not in DATASETS
    args = completed(args, dataset=args.dataset or ("imagenet" if is_other else trained_on))
    if args.dataset == "imagenet" and args.saved.facts.channels == 1:
        raise UserError(f"--dataset {args.dataset}: {args.saved.source} is of a net for the grey images of "
                        f"{trained_on}")
    if is_runs_dataset(args) and not (args.rec_val or args.data_dir):
        rec_val, data_dir = run.place("rec_val"), run.place("data_dir")
        if run.flag("use_rec", bool) and rec_val and rec_val.is_file():
            args = completed(args, rec_val=rec_val)
        elif data_dir and data_dir.is_dir():
            args = completed(args, data_dir=str(data_dir))
    return args


if __name__ == "__main__":
    run_main(main, prog="evaluate")
