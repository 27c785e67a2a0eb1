"""Where a run comes from: command, data, machine and versions, and what of it is not known."""

from gluon_tricks.files import sha256_of
from gluon_tricks.judging import origin


def facts_of(run):
    """Rows `(name, text)` from run.json, and on the log itself.

    Parameters
    ----------
    run : RecordedRun
    """
    facts = run.facts or {}
    texts = {"command": facts.get("command"), "data root hash": origin.root_hash(facts),
             "global batch size": facts.get("global_batch_size"),
             "seed": facts.get("seed", run.log.args.get("seed")), "data type": facts.get("dtype"),
             "commit": facts.get("commit"),
             "versions": ", ".join(f"{name} {version}" for name, version in
                                   (facts.get("versions") or {}).items()),
             "machine": origin.device(facts) if facts.get("processor") else None,
             "operator threads": facts.get("threads")}
    yield from ((name, str(text)) for name, text in texts.items() if text not in (None, ""))
    yield "log", str(run.log.path)
    yield "SHA-256 of the log", sha256_of(run.log.path)


def not_known(run):
    """Sentences on what the run's files do not tell; the same as on its origin."""
    epochs = {"last": run.log.epochs[-1].epoch, "of": run.planned_epochs, "finished": run.is_complete}
    return origin.not_known(run, run.facts or {}, origin.rate_trace(run.metrics), epochs)
