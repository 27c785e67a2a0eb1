"""The program's name as the user typed it, the command that installs its extras, and the choice of a
subcommand or of names by patterns.

`sys.argv[0]` holds the name: `gluon-tricks train cifar` once the script is chosen. From there argparse takes
it for usage lines, `errors.run_main` for error messages, `machine.command` for the records of runs.
"""

import difflib
import fnmatch
import sys
from pathlib import Path

from gluon_tricks.errors import UserError

COMMAND, MODULE = "gluon-tricks", "python -m gluon_tricks"      # two ways to call the same program
IN_CHECKOUT = (Path(__file__).resolve().parents[1] / "requirements.txt").is_file()


def pip_command(extra):
    """The command that installs an extra of the package."""
    return f'pip install -e ".[{extra}]"' if IN_CHECKOUT else f'pip install "gluon_tricks[{extra}]"'


def name_program():
    """Replace the path in `sys.argv[0]` by the way in which the user called the program."""
    sys.argv[0] = COMMAND if Path(sys.argv[0]).name == COMMAND else MODULE


def program():
    """`gluon-tricks` if the user called that, else `python -m gluon_tricks`."""
    return COMMAND if sys.argv[0].startswith(f"{COMMAND} ") or sys.argv[0] == COMMAND else MODULE


def command_words():
    """The words of this process's command line, such that a shell can run them again."""
    called = sys.argv[0]
    if called.startswith((f"{COMMAND} ", f"{MODULE} ")):
        return [*called.split(), *sys.argv[1:]]
    return ["python", *sys.argv] if called.endswith(".py") else list(sys.argv)


def run_subcommand(argv, subcommands, load, epilog=""):
    """Run one of several subcommands under its own name; returns its exit code.

    Parameters
    ----------
    argv : list of str
        The subcommand and its arguments. Without any, or with --help, the list of subcommands is printed.
    subcommands : dict
        Name -> what it does, in some words.
    load : callable
        Name -> module with `main(argv)`. Called only for the chosen subcommand.
    epilog : str
        Text below the list, such as examples.

    Raises
    ------
    UserError
        If there is no such subcommand, or if its module cannot be imported.
    """
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(subcommands, epilog))
        return 0 if argv else 2
    name, rest = argv[0], argv[1:]
    if name not in subcommands:
        near = nearest(name, subcommands)
        choice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(subcommands)}."
        raise UserError(f"no subcommand '{name}'; {choice}")
    sys.argv = [f"{sys.argv[0]} {name}", *rest]
    try:
        module = load(name)
    except (ImportError, AttributeError, OSError) as error:    # what a broken MXNet or NumPy raises
        if name == "doctor":
            raise
        raise UserError(f"'{name}' cannot start: {type(error).__name__}: {error}; see what is wrong with "
                        f"{program()} doctor") from error
    return module.main(rest)


def usage(subcommands, epilog):
    """The text of --help."""
    called, width = sys.argv[0], max(11, *map(len, subcommands))
    lines = [f"usage: {called} SUBCOMMAND ...", "",
             *(f"  {name:<{width}} {does}" for name, does in subcommands.items())]
    return "\n".join([*lines, "", *([epilog] if epilog else []),
                      f"Flags of one of them:  {called} {next(iter(subcommands))} --help"])


# --- Names --------------------------------------------------------------------------------------------------

def nearest(name, known):
    """The known names that contain `name`; without any, those of similar letters; at most 8."""
    near = [each for each in known if name and name.lower() in each.lower()]
    return (near or difflib.get_close_matches(name, known))[:8]


def is_pattern(word):
    """Whether a word stands for several names."""
    return any(sign in word for sign in "*?[")


def matching(patterns, names, what, elsewhere):
    """The names that patterns stand for, each once, in the order of `names`; without patterns, all names.

    `*`, `?` and `[ab]` are those of a shell; upper and lower case are equal. A word without them is a name.

    Parameters
    ----------
    patterns : sequence of str
    names : iterable of str
        A name may stand there more than once.
    what : str
        One of the named things, for the message, as "published run".
    elsewhere : str
        End of the message where no name is near: how to see all of them.

    Raises
    ------
    UserError
        If a pattern stands for no name.
    """
    names, found = list(dict.fromkeys(names)), set()
    for pattern in patterns:
        fits = [name for name in names
                if fnmatch.fnmatchcase(name.lower(), pattern.lower()) or name.lower() == pattern.lower()]
        if not fits:
            raise UserError(f"no {what} {'fits' if is_pattern(pattern) else 'is called'} {pattern!r}; "
                            + there_are(pattern, names, elsewhere))
        found.update(fits)
    return [name for name in names if name in found or not patterns]


def there_are(name, known, elsewhere):
    """`there are resnet50_v1b, ...`, the names nearest to an unknown one; without any, `elsewhere`."""
    near = nearest(name.strip("*?"), known)
    return f"there are {', '.join(near)}" if near else elsewhere
