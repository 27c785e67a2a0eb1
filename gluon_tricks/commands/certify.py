"""A certificate of a run: command, machine, data and rates, and its figures next to the official ones.

    python -m gluon_tricks certify demo
    python -m gluon_tricks certify logs/ours/cifar_resnet20_v1 --out certificates
    python -m gluon_tricks certify downloads/resnet50_v1d.log

RUN is the folder of a run (its log, with run.json and metrics.jsonl) or a log, of this kit or of GluonCV's
scripts. Writes certificate.md, certificate.json and, if there is a published curve, certificate.png with its
band. In the folder of the run they have these names. For a bare log, for one of several logs in a folder, and
with --out, they are called NAME.certificate.md and so on, NAME being the run's.

The certificate holds only what these files contain or what can be computed from them. What they do not tell
is listed under "Not known"; for a bare log that is much: data, code, machine. `official` holds up to three
figures of exactly this recipe: the paper's, the zoo's, and the last epoch of the published log.

Exit code: 0 written, 2 refused: no log, or damaged files or files of different runs.
"""

import argparse
import json
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder
from gluon_tricks.judging.certificate import certify, markdown
from gluon_tricks.judging.pictures import plot_verdict
from gluon_tricks.judging.runs import find_log, read_run


def main(argv=None):
    args = parse_args(argv)
    run = read_run(args.run, args.log)
    certificate, verdict = certify(run)
    out = make_folder("--out", args.out or run.log.path.parent)
    alone = run.run_json and find_log(run.log.path.parent) and not args.out
    name = "certificate" if alone else f"{run.name}.certificate"
    files = [out / f"{name}{suffix}" for suffix in (".md", ".json")]
    if verdict and verdict.comparisons:
        try:
            plot_verdict(verdict, out / f"{name}.png")
            certificate["picture"] = f"{name}.png"
            files.append(out / f"{name}.png")
        except UserError as error:
            print(f"no picture: {error}")
    atomic_write(files[1], json.dumps(certificate, indent=1) + "\n")
    atomic_write(files[0], "\n".join(markdown(certificate)) + "\n")
    print("\n".join(markdown(certificate)))
    print(f"\nwritten: {', '.join(map(str, files))}")
    return 0


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, or a log")
    parser.add_argument("--log", type=Path, help="the log, if it is not in the folder RUN")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: next to the log)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="certify")
