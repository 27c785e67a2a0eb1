"""A certificate of a run: command, machine, data and rates, and its figures next to the official ones.

    python -m gluon_tricks certify logs/ours/cifar_resnet20_v1
    python -m gluon_tricks certify train_imagenet/ --log train_imagenet.log --out certificates/

Reads the run's folder (run.json, metrics.jsonl, its log) and writes certificate.md and certificate.json
there, or to --out. The certificate holds only what these files contain or what can be computed from them. A
run without a data root hash, for example, is refused; smaller gaps are listed under "Not known". `official`
holds up to three figures of exactly this recipe: the paper's, the zoo's, and the last epoch of the published
log.

Exit code: 0 written, 2 refused.
"""

import argparse
import json
from pathlib import Path

from gluon_tricks.errors import run_main
from gluon_tricks.files import atomic_write, make_folder
from gluon_tricks.judging.certificate import certify, markdown


def main(argv=None):
    args = parse_args(argv)
    certificate = certify(args.run, args.log)
    out = make_folder("--out", args.out or args.run)
    atomic_write(out / "certificate.json", json.dumps(certificate, indent=1) + "\n")
    atomic_write(out / "certificate.md", "\n".join(markdown(certificate)) + "\n")
    print("\n".join(markdown(certificate)))
    print(f"\nwritten: {out / 'certificate.md'}, {out / 'certificate.json'}")
    return 0


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN_DIR",
                        help="folder with the run's run.json and metrics.jsonl")
    parser.add_argument("--log", type=Path, help="the log, if it is elsewhere")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: RUN_DIR)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="certify")
