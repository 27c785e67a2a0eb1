"""What every preparation shares: flags, the manifest of unpacked folders, closing lines."""

import argparse
import hashlib
import json

from gluon_tricks import __version__
from gluon_tricks.data.folders import is_hidden
from gluon_tricks.data.manifest import read_manifest
from gluon_tricks.files import atomic_write, digest_of


def parser_of(description):
    """A parser whose help keeps the lines of a script's docstring."""
    return argparse.ArgumentParser(description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def add_check_flags(parser, digest="MD5"):
    """Add --subset and --no-checksum."""
    parser.add_argument("--subset", action="store_true", help="accept other counts than the published ones")
    parser.add_argument("--no-checksum", action="store_true", help=f"do not check the published {digest}")


def add_overwrite_flag(parser):
    """Add --overwrite."""
    parser.add_argument("--overwrite", action="store_true", help="replace the contents of the output folder")


def subset_note(subset):
    """The manifest's `subset` of a run with or without --subset."""
    return "given as a subset, counts not checked" if subset else ""


def print_prepared(out):
    """Say that the folder is complete; the exit code."""
    manifest = read_manifest(out)
    print(f"{out}: {manifest.dataset} is prepared already, root hash {manifest.root_hash}; "
          f"check it with python -m data_prep.verify {out}, or give --overwrite")
    return 0


def own_files(folder):
    """The files in a folder and below it, without hidden ones and those of the system."""
    return [path for path in folder.rglob("*") if path.is_file() and not is_hidden(path.relative_to(folder))]


def write_folder_manifest(out, source, splits, paths, **more):
    """Write `manifest.json`, with `more` entries, for files that were unpacked under `out`; return the dict.

    The root hash is SHA-256 over names and contents of the files, in the order of their names.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(out)} ".encode() + digest_of(path).digest())
    manifest = {"version": __version__, "source": source, "splits": splits, "files": len(paths),
                "root_hash": digest.hexdigest(), **more}
    atomic_write(out / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest
