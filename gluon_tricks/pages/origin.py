"""Where a run comes from: command, data, machine and versions, and what of it is not known."""

from gluon_tricks.files import sha256_of
from gluon_tricks.judging.certificate import device
from gluon_tricks.pages.shown import UNKNOWN


def facts_of(run):
    """Rows `(name, text)` from run.json, and on the log itself.

    Parameters
    ----------
    run : RecordedRun
    """
    facts = run.facts or {}
    texts = {"command": facts.get("command"), "data root hash": facts.get("data_root_hash"),
             "global batch size": facts.get("global_batch_size"), "seed": _seed(run),
             "data type": facts.get("dtype"), "commit": facts.get("commit"),
             "versions": ", ".join(f"{name} {version}" for name, version in
                                   (facts.get("versions") or {}).items()),
             "machine": device({"args": {}, **facts}) if facts.get("processor") else None,
             "operator threads": facts.get("threads")}
    yield from ((name, str(text)) for name, text in texts.items() if text not in (None, ""))
    yield "log", str(run.log.path)
    yield "SHA-256 of the log", sha256_of(run.log.path)


def not_known(run):
    """Sentences on what the run's files do not tell."""
    facts = run.facts or {}
    if not run.log.args:
        yield "the recipe: the log has no line with the run's arguments, Namespace(...)"
    for name, says in UNKNOWN.items():
        if facts.get(name) is None and not (name == "seed" and _seed(run) is not None):
            yield says if run.log.args or name != "command" else "the command"
    if facts.get("data_root_hash") == "synthetic":
        yield "nothing on real images: the data were synthetic"


def _seed(run):
    return (run.facts or {}).get("seed", run.log.args.get("seed"))
