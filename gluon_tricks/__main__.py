"""gluon-tricks SUBCOMMAND, or python -m gluon_tricks SUBCOMMAND: everything that the kit does.

A subcommand is the module of the same name in `commands/`, with `main(argv) -> exit code`. It is imported
when it is called: so the doctor runs where MXNet or NumPy do not, and --help is quick.
"""

import importlib
import sys

from gluon_tricks.errors import run_main
from gluon_tricks.program import name_program, program, run_subcommand

SUBCOMMANDS = {
    "doctor": "what works on this machine, what does not, and the remedy",
    "prepare": "a data set: from the publisher's archives to the files that training reads",
    "records": "a record file: labels, images and damage, and its index made again",
    "train": "one of the four training scripts",
    "launch": "a training over several processes or machines, supervised",
    "compare": "the log of a run compared with GluonCV's published one",
    "published": "the 73 runs that GluonCV published: listed, filtered, drawn, and as a page to browse",
    "models": "the nets: parameters and multiply-adds, layer by layer, compared with the paper's",
    "replay": "GluonCV's published commands, what each would do, and the same run with this kit",
    "differences": "where paper and GluonCV differ, and what each choice does to the first update",
    "tables": "the paper's tables as commands, one per row, and the runs of them",
    "sweep": "a grid of flags over several seeds: median and spread, a plot, one CSV",
    "show-augment": "a contact sheet of every augmentation, with the labels it gives",
    "figures": "the paper's Figures 3 and 4, drawn from runs and logs",
    "report": "a page of runs: verdict, curves, recipe, diagnosis; opens offline",
    "certify": "a certificate of a run: command, data, rates, verdict, official figures",
    "evaluate": "the accuracy of saved parameters on a validation set",
    "predict": "the most probable classes of photographs, with names and probabilities",
    "export": "saved parameters as a deployable model",
    "bridge": "which nets PyTorch has, and the proof that they are the same nets",
    "bench": "images per second, and the machine they were measured on",
}


def main(argv):
    """Run one subcommand; returns its exit code."""
    examples = [f"Example:  {program()} doctor", f"          {program()} prepare cifar --dataset cifar10",
                f"          {program()} train cifar --dataset cifar10-excerpt --model cifar_resnet20_v1 "
                "--mode hybrid --num-epochs 12", "",
                "Exit codes: 0 done, 1 negative answer or a training that could not go on, 2 unusable input,",
                "            3 internal error (please report it; GLUON_TRICKS_DEBUG=1 prints its traceback)"]
    return run_subcommand(argv, SUBCOMMANDS, load, "\n".join(examples))


def load(name):
    """Import a subcommand's module."""
    return importlib.import_module(f"gluon_tricks.commands.{name.replace('-', '_')}")


def run():
    """Entry point of both ways to call the program."""
    name_program()
    run_main(lambda: main(sys.argv[1:]))


if __name__ == "__main__":
    run()
