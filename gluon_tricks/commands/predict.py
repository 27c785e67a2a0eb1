"""The most probable classes of photographs, with names and probabilities.

    python -m gluon_tricks predict photo.jpg --params-file params/imagenet-resnet18_v1b-29.params
    python -m gluon_tricks predict photos/ "more/*.png" --params-file net.params --top 3 --csv answers.csv
    python -m gluon_tricks predict photo.jpg --model resnet50_v1d --pretrained --sheet answers.png
    find photos -name "*.jpg" | python -m gluon_tricks predict - --params-file net.params --json answers.json

The record of the training, NAME.json next to NAME.params, names the net, its classes, and the size, crop and
normalisation of its images; flags that contradict it are refused. Without a record, --model and the other
flags do, and a net of 1000 classes answers with ImageNet's names. `-` is standard input: an image, or a list
of files. EXIF orientation is obeyed, as in training. --tta averages the probabilities of several views of
each image.

The exit code is 0 if every image was answered, and 1 if some could not be read; these are named.
"""

import argparse
import csv
import io
import json
import sys
from pathlib import Path

from gluon_tricks import pictures
from gluon_tricks.engines.create import create_engine
from gluon_tricks.errors import UserError, printable, run_main
from gluon_tricks.files import atomic_write, sha256_of
from gluon_tricks.machine import command, environment
from gluon_tricks.models.ready import start_precision
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.saved.averaging import check_views
from gluon_tricks.saved.loaded import LoadedNet
from gluon_tricks.saved.predictions import top_of
from gluon_tricks.saved.sheet import draw_sheet
from gluon_tricks.saved.sources import FileImages, find_sources, photograph_of
from gluon_tricks.script.flags import check_numbers, completed
from gluon_tricks.script.saved_flags import (
    add_machine_flags,
    add_model_flags,
    add_pixel_flags,
    add_tta_flag,
    saved_net_of,
    with_machine,
    with_outputs,
)
from gluon_tricks.training.status import progress_bar

SHOWN = 60                   # photographs on a sheet


def main(argv=None):
    args = parse_args(argv)
    found = find_sources(args.inputs, sys.stdin.buffer)
    start_precision(args.dtype, args.use_amx)
    net = LoadedNet(args.saved, create_engine(args.num_gpus), args.dtype, args.tta)
    images = FileImages(found.images, net.facts.channels)
    answers = ask(net, images, args)
    for line in lines_of(net, images, answers):
        print(line)
    for path, write in ((args.csv, write_csv), (args.json, write_json), (args.sheet, write_sheet)):
        if path:
            write(path, args, net, images, answers)
    for note in notes(args, net, images, found.left_out):
        print(f"predict: {note}", file=sys.stderr)
    return 1 if images.bad else 0


def ask(net, images, args):
    """{position: [(label, probability), ...]} of the images that can be read, most probable class first."""
    answers, batch = {}, args.batch_size * max(1, args.num_gpus)
    with progress_bar(len(images), "predicting", "image") as bar:
        for positions, probabilities in net.probabilities(images, batch, args.num_workers):
            answers.update(zip(positions.tolist(), top_of(probabilities, args.top)))
            bar.update(len(answers) + len(images.bad) - bar.n)
    return answers


def lines_of(net, images, answers):
    """Yield a line for each image: `photo.jpg: cat 0.9312, dog 0.0412`."""
    for position, source in enumerate(images.sources):
        if position in answers:
            words = ", ".join(f"{net.name(label)} {probability:.4f}"
                              for label, probability in answers[position])
            yield printable(f"{source.name}: {words}")


def notes(args, net, images, left_out):
    """Yield the sentences for standard error: what was not answered, and where names come from."""
    if net.names is None:
        yield "the classes have no names: numbers are labels"
    elif args.saved.certain_names(net.facts.classes) is None:
        yield "no record names the classes; the names are those of the data set that fits the net"
    if left_out:
        yield f"{left_out} other files in the folders are no images by their names"
    for position in sorted(images.bad):
        yield printable(f"{images.sources[position].name}: {images.bad[position]}")
    if images.bad:
        yield f"{len(images.bad)} of {len(images)} images were not answered"


# --- Files --------------------------------------------------------------------------------------------------

def write_csv(path, args, net, images, answers):
    """Write a row for each answer, and one for each image that could not be read."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("image", "rank", "label", "name", "probability", "error"))
    for position, source in enumerate(images.sources):
        for rank, (label, probability) in enumerate(answers.get(position, ()), start=1):
            name = net.name(label) if net.names else ""
            rows.writerow((source.name, rank, label, name, f"{probability:.9g}", ""))
        if position in images.bad:
            rows.writerow((source.name, "", "", "", "", images.bad[position]))
    atomic_write(path, text.getvalue().encode("utf-8", "surrogateescape"))


def write_json(path, args, net, images, answers):
    """Write answers, net, hashes, versions and the command."""
    found = []
    for position, source in enumerate(images.sources):
        if position in images.bad:
            found.append({"image": source.name, "error": images.bad[position]})
        else:
            found.append({"image": source.name, "answers": [
                {"label": label, "name": net.names and net.names[label], "probability": probability}
                for label, probability in answers[position]]})
    params = args.saved.params_file
    content = {"command": command(), "net": net.facts._asdict(), "tta": args.tta,
               "params_file": params and str(params), "params_sha256": params and sha256_of(params),
               "answers": found, **environment()}
    atomic_write(path, json.dumps(content, indent=1) + "\n")


def write_sheet(path, args, net, images, answers):
    """Write a picture of the first photographs with their answers."""
    images_shown, captions = [], []
    for position in sorted(answers)[:SHOWN]:
        source = images.sources[position]
        images_shown.append(photograph_of(source.content).pixels())
        words = [f"{net.name(label)[:30]} {probability:.2f}" for label, probability in answers[position]]
        captions.append(printable("\n".join([Path(source.name).name[-32:], *words]), keep="\n"))
    figure = draw_sheet(images_shown, captions,
                        f"{net.facts.model}: {len(captions)} of {len(images)} photographs")
    try:
        pictures.save(figure, path)
    except OSError as error:
        raise UserError(f"--sheet {path}: cannot be written ({error.strerror or error})") from error


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", metavar="IMAGE",
                        help="files, folders with all folders in them, patterns in quotes, or - for standard "
                             "input")
    add_model_flags(parser)
    images = parser.add_argument_group("Preparation of the images (not needed with a record)")
    add_pixel_flags(images)
    add_tta_flag(images)
    output = parser.add_argument_group("Output")
    output.add_argument("--top", type=int, default=5, metavar="K",
                        help="classes for each image (default 5)")
    output.add_argument("--csv", metavar="FILE", help="also write a row for each answer there")
    output.add_argument("--json", metavar="FILE",
                        help="also write answers, net, hashes, versions and the command there")
    output.add_argument("--sheet", metavar="FILE.png",
                        help=f"also draw the photographs with their answers, at most {SHOWN}")
    add_machine_flags(parser.add_argument_group("Machine"))
    return settled(parser.parse_args(argv))


def settled(args):
    """The arguments, checked, with `saved`, the net as record or flags describe it."""
    check_numbers(args, COMMAND_FLAGS)
    args = with_machine(completed(args, saved=saved_net_of(args)))
    check_views(args.tta, args.saved.facts)
    if args.sheet and not args.sheet.lower().endswith(".png"):
        raise UserError(f"--sheet {args.sheet}: is a PNG; give a name that ends in .png")
    return with_outputs(args, "csv", "json", "sheet")


if __name__ == "__main__":
    run_main(main, prog="predict")
