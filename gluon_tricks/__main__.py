"""python -m gluon_tricks SUBCOMMAND: everything the kit does beside training.

A subcommand is the module of the same name in `commands/`, with `main(argv) -> exit code`. It is imported when it is
called, so that the doctor runs where MXNet or NumPy do not.
"""

import difflib
import importlib
import importlib.util
import sys

from gluon_tricks.errors import UserError, run_main

PROG = "python -m gluon_tricks"

SUBCOMMANDS = {
    "doctor": "what works on this machine, what does not, and the remedy",
    "launch": "a training over several processes or machines, supervised",
    "compare": "a run's log beside GluonCV's published one",
    "models": "the nets: parameters and multiply-adds, layer by layer, beside the paper's",
    "replay": "GluonCV's published commands, what each would do, and the same run with this kit",
    "differences": "where paper and GluonCV differ, and what each choice does to the first update",
    "tables": "the paper's tables as commands, one per row, and the runs of them",
    "sweep": "a grid of flags over several seeds: median and spread, a plot, one CSV",
    "show-augment": "a contact sheet of every augmentation, with the labels it gives",
    "figures": "the paper's Figures 3 and 4, drawn again",
    "certify": "a certificate of a run: command, data, rates, verdict, official figures",
    "evaluate": "the accuracy of saved parameters on a validation set",
    "export": "saved parameters as a deployable model",
    "bench": "images per second, with what it was measured on",
}



def main(argv):
    """Run one subcommand; returns its exit code."""
    known = available()
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(known))
        return 0 if argv else 2
    name, rest = argv[0], argv[1:]
    if name not in known:
        near = difflib.get_close_matches(name, known)
        raise UserError(f"no subcommand '{name}'; " + (f"did you mean {' or '.join(near)}?" if near else
                                                       f"there are {', '.join(known)}."))
    try:
        module = importlib.import_module(module_of(name))
    except (ImportError, AttributeError, OSError) as error:    # what a broken MXNet or NumPy raises
        if name == "doctor":
            raise
        raise UserError(f"'{name}' cannot start: {type(error).__name__}: {error}\n"
                        f"See what is wrong with:  {PROG} doctor") from error
    return module.main(rest)


def available():
    """The subcommands whose module this copy of the kit has."""
    return [name for name in SUBCOMMANDS if importlib.util.find_spec(module_of(name))]


def module_of(name):
    """Full name of a subcommand's module."""
    return f"gluon_tricks.commands.{name.replace('-', '_')}"


def usage(names):
    """The text of --help."""
    lines = [f"usage: {PROG} SUBCOMMAND ...", ""]
    lines += [f"  {name:<11} {SUBCOMMANDS[name]}" for name in names]
    lines += ["", f"Example:  {PROG} doctor", f"Flags of one of them:  {PROG} {names[0]} --help"]
    return "\n".join(lines)


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]), prog=PROG)
