"""The certificate of a run: command, data, rates, verdict, and the official figures of its recipe."""

import hashlib
import json
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.files import sha256_of
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.numbers import find_log, log_figures, paper_rows, published_log, read_run_json
from gluon_tricks.judging.verdict import judge
from gluon_tricks.published.catalogue import CLASSES, TRAIN_IMAGES
from gluon_tricks.published.reference import dataset_of
from gluon_tricks.published.zoo import zoo_of_log, zoo_of_row
from gluon_tricks.recipes.flags import COUNT, NOT_NEGATIVE

REQUIRED = ("command", "versions", "processor", "seed", "args", "global_batch_size")


def certify(folder, log=None):
    """The certificate of a run.

    Parameters
    ----------
    folder : path
        Has run.json and metrics.jsonl.
    log : path, optional
        The log, if it is elsewhere.

    Returns
    -------
    dict
        For JSON; `markdown` makes text of it.

    Raises
    ------
    UserError
        If a file is missing or damaged, the data have no root hash, or the files are not of one run.
    """
    folder = Path(folder)
    facts = read_run_json(folder)
    log = Path(log) if log else find_log(folder) or _log_of(facts, folder)
    for key in REQUIRED:
        if facts.get(key) is None:
            raise UserError(f"{folder / 'run.json'}: has no {key!r}, so nothing can be certified; it is no "
                            f"run.json of this kit")
    if facts.get("data_root_hash") in ("", "synthetic", None):
        raise UserError(f"{folder / 'run.json'}: the data have no root hash "
                        f"({facts.get('data_root_hash') or 'none'}), so they are not known; prepare them "
                        "with data_prep/, which writes manifest.json")
    verdict = judge(log)
    trace = rate_trace(folder / "metrics.jsonl")
    _agree(folder, facts, verdict.run, trace)
    run, last = verdict.run, verdict.run.epochs[-1]
    finished = last.epoch + 1 == facts["args"].get("num_epochs")
    return {
        "command": facts["command"], "model": facts.get("model"), "data": data(facts, run),
        "global_batch_size": facts["global_batch_size"], "seed": facts["seed"], "commit": facts.get("commit"),
        "versions": facts["versions"], "device": device(facts), "threads": facts.get("threads"),
        "data_root_hash": facts["data_root_hash"],
        "rate_trace": {"sha256": rate_trace_hash(trace), "lines": len(trace),
                       "of": "epoch,batch,rate, rate as %.9g"},
        "files": {path.name: sha256_of(path) for path in (log, folder / "metrics.jsonl",
                                                          folder / "run.json")},
        "epochs": {"first": run.epochs[0].epoch, "last": last.epoch, "of": facts["args"].get("num_epochs"),
                   "finished": finished},
        "here": _here(last), "official": official(facts["args"], dataset_of(run)),
        "verdict": verdict.line,
        "diagnosis": [f"{finding.name}: {finding.says}" for finding in diagnose(verdict)],
        "not_known": list(not_known(facts, run, finished)),
    }


def data(facts, run):
    """The data set's name, or a sentence where the numbers of images or classes are not the published
    ones."""
    dataset, images = dataset_of(run), facts["args"].get("num_training_samples")
    if dataset in CLASSES and images in (None,
                                         TRAIN_IMAGES[dataset]) and facts.get("classes") == CLASSES[dataset]:
        return dataset
    return f"{images or 'some'} training images of {facts.get('classes')} classes, not {dataset} as published"


def device(facts):
    """The run's processors, from run.json."""
    if facts["args"].get("num_gpus"):
        kinds = ", ".join(dict.fromkeys(map(str, facts.get("gpus") or ["unknown kind"])))
        return f"{facts['args']['num_gpus']} GPUs ({kinds}), {facts['processor']}"
    return f"{facts['processor']}, {facts.get('cpus')} processors"


def official(flags, dataset):
    """Figures of exactly this recipe: `paper`, `zoo` and `log`, each a dict or None."""
    papers, log = paper_rows(flags, dataset), published_log(flags, dataset)
    zoo = [*(zoo_of_row(*pair) for pair in papers), *([zoo_of_log(log.name)] if log else [])]
    zoo = [weights for weights in zoo if weights]
    found = {"paper": None, "zoo": None, "log": None}
    if papers:
        table, row = papers[0]
        found["paper"] = {"figures": str(row.paper), "row": f"Table {table.number}, {row.title}"}
    if zoo:
        found["zoo"] = {"figures": str(zoo[0].figures), "weights": f"{zoo[0].model} {zoo[0].hashtag}".strip()}
    if log:
        found["log"] = {"figures": str(log_figures(log.final)), "name": log.name,
                        "best": str(log_figures(log.best)), "epochs": log.epochs}
    return found


def rate_trace(path):
    """The logged `(epoch, batch, rate)` of every interval; a resumed run's last record of a batch counts."""
    found = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError
            if record.get("kind") == "interval":
                epoch, batch, rate = _interval(record, f"{path}: line {number}")
                found[epoch, batch] = rate
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); without it no rate can be certified") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: has a line that is no JSON object; a run continued with --resume auto "
                        "repairs it") from None
    if not found:
        raise UserError(f"{path}: has no interval, so no rate can be certified; the run needs --log-interval "
                        "above 0")
    return [(epoch, batch, rate) for (epoch, batch), rate in sorted(found.items())]


def _interval(record, place):
    """The epoch, batch and rate of a record."""
    values = tuple(record.get(name) for name in ("epoch", "batch", "lr"))
    for name, value, limits in zip(("epoch", "batch", "lr"), values, (COUNT, COUNT, NOT_NEGATIVE)):
        if limits.complaint(value):
            raise UserError(f"{place}: {name} {json.dumps(value)[:50]} {limits.complaint(value)}; the file "
                            "is damaged or of another program")
    return values


def rate_trace_hash(trace):
    """SHA-256 over the lines `epoch,batch,rate`: equal for two runs whose logged rates agree to nine
    digits."""
    lines = "".join(f"{epoch},{batch},{rate:.9g}\n" for epoch, batch, rate in trace)
    return hashlib.sha256(lines.encode()).hexdigest()


def not_known(facts, run, finished):
    """Sentences on what the files do not tell."""
    if not finished:
        yield f"the end: {run.epochs[-1].epoch + 1} of {facts['args'].get('num_epochs')} epochs have been run"
    if facts.get("commit") is None:
        yield "the commit: it was no checkout"
    elif facts["commit"].endswith("+"):
        yield "the exact code: files differed from the commit"
    if facts["args"].get("num_gpus") and not facts.get("gpus"):
        yield "the kind of GPU"
    if run.headers > 1:
        yield f"whether all {run.headers} sittings ran on this machine: run.json holds the last"
    if facts["args"].get("data_backend") != "ours":
        yield "the order and crops of the images: MXNet's iterator draws its own random numbers"


def _log_of(facts, folder):
    """The log named in run.json, searched for under that path, in the folder and in its parent."""
    name = facts.get("args", {}).get("logging_file")
    for path in (Path(name), folder / Path(name).name, folder.parent / Path(name).name) if name else ():
        if path.is_file():
            return path
    raise UserError(f"{folder}: holds no log, or several; name the run's with --log")


def _agree(folder, facts, run, trace):
    """Refuse files that are not of one run."""
    for key in ("model", "seed", "lr", "batch_size"):
        ours, logged = facts["args"].get(key), run.args.get(key)
        if logged is not None and ours != logged:
            raise UserError(f"{run.path}: its header says {key} {logged}, run.json {ours}: they are not of "
                            f"one run; name the log with --log")
    if trace[-1][0] < run.epochs[-1].epoch:
        raise UserError(f"{folder / 'metrics.jsonl'}: ends in epoch {trace[-1][0]}, the log in epoch "
                        f"{run.epochs[-1].epoch}: they are not of one run; name the log with --log")


def _here(last):
    found = {"val_err_top1": last.val_err_top1, "val_err_top5": last.val_err_top5}
    return {"figures": str(log_figures(found)), "epoch": last.epoch, "train": last.train_metric,
            "train_metric": last.train_metric_name}


def markdown(certificate):
    """The lines of a certificate as Markdown."""
    yield f"# Certificate: {certificate['model']} on {certificate['data']}"
    yield ""
    yield f"    {certificate['command']}"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for name, text in _rows(certificate):
        yield f"| {name} | {text.replace('|', chr(92) + '|')} |"
    if certificate["not_known"]:
        yield ""
        yield "Not known:"
        yield ""
        yield from (f"- {sentence}" for sentence in certificate["not_known"])


def _rows(certificate):
    """(name, text) of each row of the table."""
    epochs, versions, rates = certificate["epochs"], certificate["versions"], certificate["rate_trace"]
    unfinished = "" if epochs["finished"] else ", not finished"
    yield "epochs", f"{epochs['first']}-{epochs['last']} of {epochs['of']}{unfinished}"
    yield "here", (f"{certificate['here']['figures']} in epoch {certificate['here']['epoch']}; training "
                   f"{certificate['here']['train_metric']} {certificate['here']['train']:.4f}")
    for name, key in (("paper", "row"), ("zoo", "weights"), ("log", "name")):
        there = certificate["official"][name]
        yield name, f"{there['figures']} ({there[key]})" if there else "none of exactly this recipe"
    yield "verdict", certificate["verdict"].removeprefix("verdict: ")
    yield "diagnosis", "; ".join(certificate["diagnosis"]) or "nothing found"
    yield "data", f"root hash `{certificate['data_root_hash']}`"
    yield "rates", f"SHA-256 `{rates['sha256']}` of {rates['lines']} logged (epoch, batch, rate)"
    batch, seed = certificate["global_batch_size"], certificate["seed"]
    yield "batch, seed", f"{batch} images per update, seed {seed}"
    yield "device", f"{certificate['device']}, {certificate['threads']} operator threads"
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    yield "commit", certificate["commit"] or "none"
    for name, digest in certificate["files"].items():
        yield name, f"SHA-256 `{digest}`"
