"""The grid of a sweep: words of the command line as cells, and a run of train_cifar.py for each cell and
seed."""

import itertools
import shlex

from gluon_tricks.errors import UserError
from gluon_tricks.studies.cifar_runs import CifarRun

LEFT_OUT, BARE = ("none", "no"), "yes"


def sweep_runs(cases, grid, seeds, words):
    """The cells of a grid and the runs of all seeds.

    Parameters
    ----------
    cases, grid : list of str
        As --cases and --grid have them.
    seeds : list of int
    words : list of str
        Flags of every run.

    Returns
    -------
    cells : list of dict
        Name -> value.
    runs : dict
        (index of the cell, seed) -> CifarRun.

    Raises
    ------
    UserError
        If train_cifar.py would refuse a run, or two runs would have the same folder.
    """
    cases, grid = cases_of(cases), grid_of(grid)
    for given in (words, *cases.values()):
        if any(word == "--seed" or word.startswith("--seed=") for word in given):
            raise UserError("--seed: give --seeds, which every run gets one of")
    cells = [{**({"case": name} if name else {}), **dict(zip(grid, values))}
             for name in cases for values in itertools.product(*grid.values())]
    runs = {(i, seed): run_of(cell, seed, [*words, *cases[cell.get("case", "")]])
            for i, cell in enumerate(cells) for seed in seeds}
    folders = {}
    for run in runs.values():
        _check(run)
        if folders.setdefault(run.slug, run) is not run:
            raise UserError(f"--grid: {run.title} and {folders[run.slug].title} would share the folder "
                            f"{run.slug}; give values that differ in letters or digits")
    return cells, runs


def cases_of(words):
    """`["baseline=", "cosine=--lr-mode cosine"]` as {name: [words]}; without any, one case of no name."""
    cases = {}
    for word in words:
        name, equals, flags = word.partition("=")
        if not equals or not name or name.startswith("-"):
            raise UserError(f"--cases {word}: give NAME=FLAGS as \"cosine=--lr-mode cosine\"")
        if name in cases:
            raise UserError(f"--cases {word}: gives {name} twice")
        cases[name] = shlex.split(flags)
    return cases or {"": []}


def grid_of(words):
    """`["lr=0.1,0.2", "cutout=0,16"]` as {flag: [values]}."""
    grid = {}
    for word in words:
        name, equals, values = word.partition("=")
        name = name.lstrip("-")
        if not (equals and name and all(values.split(","))):
            raise UserError(f"--grid {word}: give FLAG=VALUE,VALUE as lr=0.1,0.2")
        if name in grid or name == "seed":
            raise UserError(f"--grid {word}: --{name} is given "
                            + ("with --seeds" if name == "seed" else "twice"))
        grid[name] = values.split(",")
        if len(set(grid[name])) < len(grid[name]):
            raise UserError(f"--grid {word}: gives a value twice")
    return grid


def run_of(cell, seed, words):
    """The run of a cell of the grid with a seed."""
    own = []
    for name, value in cell.items():
        if value not in LEFT_OUT and name != "case":
            own += [f"--{name}"] if value == BARE else [f"--{name}", value]
    title = ", ".join([*(f"{name} {value}" for name, value in cell.items()), f"seed {seed}"])
    slug = "_".join([*(f"{name}-{value}" for name, value in cell.items()), f"seed-{seed}"])
    return CifarRun("".join(c if c.isalnum() or c in "-_.+" else "-" for c in slug), title,
                    (*words, *own, "--seed", str(seed)))


def _check(run):
    """Refuse words that train_cifar.py would refuse, before anything is trained."""
    try:
        _ = run.args
    except SystemExit:
        raise UserError(f"{run.title}: train_cifar.py does not take {shlex.join(run.words)}") from None
    except UserError as error:
        raise UserError(f"{run.title}: {error}") from error
