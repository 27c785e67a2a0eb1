"""The certificate of a run: command, data, rates, verdict, and the official figures of its recipe."""

import hashlib

from gluon_tricks.files import sha256_of
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.numbers import log_figures, paper_rows, published_log
from gluon_tricks.judging.origin import device, not_known, rate_trace, root_hash
from gluon_tricks.judging.verdict import judge_logs
from gluon_tricks.published.catalogue import CLASSES, TRAIN_IMAGES
from gluon_tricks.published.recipe import logged_batch_size
from gluon_tricks.published.reference import dataset_of
from gluon_tricks.published.transfer import side_by_side
from gluon_tricks.published.zoo import zoo_of_log, zoo_of_row

NOT_KNOWN = "not known"
SYNTHETIC = "synthetic images"
NO_OFFICIAL = {"paper": None, "zoo": None, "log": None}


def certify(run):
    """The certificate of a run.

    Parameters
    ----------
    run : RecordedRun

    Returns
    -------
    certificate : dict
        For JSON; `markdown` makes text of it.
    verdict : Verdict or None
        For the picture; None for detection and segmentation.

    Raises
    ------
    UserError
        If run.json or metrics.jsonl is damaged or not of this run.
    """
    facts, trace = run.facts or {}, rate_trace(run.metrics)
    flags = {**run.log.args, **(facts.get("args") or {})}
    dataset = flags.get("dataset", "voc") if run.is_transfer else dataset_of(run.log)
    what = data(facts, flags, dataset)
    if run.is_transfer:
        results, verdict = _of_transfer(run.log), None
    else:
        results, verdict = _of_classification(run.log, flags, None if what == SYNTHETIC else dataset)
    epochs = {"first": run.log.epochs[0].epoch, "last": run.log.epochs[-1].epoch,
              "of": flags.get("num_epochs") or flags.get("epochs")}
    epochs["finished"] = epochs["last"] + 1 == epochs["of"]
    files = [path for path in (run.log.path, run.metrics_file, run.run_json) if path]
    return {
        "command": facts.get("command"),
        "model": facts.get("model") or flags.get("model") or flags.get("network"),
        "data": what,
        "global_batch_size": facts.get("global_batch_size") or logged_batch_size(run.log.args),
        "seed": facts.get("seed", flags.get("seed")), "commit": facts.get("commit"),
        "versions": facts.get("versions"), "device": device(facts) if facts else None,
        "threads": facts.get("threads"), "data_root_hash": root_hash(facts),
        "rate_trace": {"sha256": rate_trace_hash(trace), "lines": len(trace),
                       "of": "epoch,batch,rate, rate as %.9g"} if trace else None,
        "files": {path.name: sha256_of(path) for path in files},
        "epochs": epochs, **results, "picture": None,
        "not_known": list(not_known(run, facts, trace, epochs)),
    }, verdict


def _of_classification(log, flags, dataset):
    """Figures and verdict of a classification run, and the `Verdict`; `dataset` is None for synthetic images.
    """
    verdict, last = judge_logs([log]), log.epochs[-1]
    found = {"val_err_top1": last.val_err_top1, "val_err_top5": last.val_err_top5}
    here = {"figures": str(log_figures(found)), "epoch": last.epoch, "train": last.train_metric,
            "train_metric": last.train_metric_name}
    return {"here": here, "official": official(flags, dataset) if dataset else NO_OFFICIAL,
            "verdict": verdict.line,
            "diagnosis": [f"{finding.name}: {finding.says}" for finding in diagnose(verdict)]}, verdict


def _of_transfer(log):
    """Figures of a run of detection or segmentation, which has no verdict."""
    _, verdict = side_by_side(log)
    last = log.epochs[-1]
    here = {"figures": f"{log.main} {100 * last.scores[log.main]:.2f}", "epoch": last.epoch, "train": None,
            "train_metric": None}
    return {"here": here, "official": NO_OFFICIAL, "verdict": verdict, "diagnosis": []}


def data(facts, flags, dataset):
    """The data set's name, or a sentence where the numbers of images or classes are not the published
    ones."""
    if facts.get("data_root_hash") == "synthetic":
        return SYNTHETIC
    images, classes = flags.get("num_training_samples"), facts.get("classes")
    if dataset in CLASSES and images in (None, TRAIN_IMAGES[dataset]) and classes in (None, CLASSES[dataset]):
        return dataset
    if dataset not in CLASSES:
        return f"{dataset}, {images} training images" if images else str(dataset)
    return f"{images or 'some'} training images of {classes} classes, not {dataset} as published"


def official(flags, dataset):
    """Figures of exactly this recipe: `paper`, `zoo` and `log`, each a dict or None."""
    papers, log = paper_rows(flags, dataset), published_log(flags, dataset)
    zoo = [*(zoo_of_row(*pair) for pair in papers), *([zoo_of_log(log.name)] if log else [])]
    zoo = [weights for weights in zoo if weights]
    found = dict(NO_OFFICIAL)
    if papers:
        table, row = papers[0]
        found["paper"] = {"figures": str(row.paper), "row": f"Table {table.number}, {row.title}"}
    if zoo:
        found["zoo"] = {"figures": str(zoo[0].figures), "weights": f"{zoo[0].model} {zoo[0].hashtag}".strip()}
    if log:
        found["log"] = {"figures": str(log_figures(log.final)), "name": log.name,
                        "best": str(log_figures(log.best)), "epochs": log.epochs}
    return found


def rate_trace_hash(trace):
    """SHA-256 over the lines `epoch,batch,rate`: equal for two runs whose logged rates agree to nine
    digits."""
    lines = "".join(f"{epoch},{batch},{rate:.9g}\n" for epoch, batch, rate in trace)
    return hashlib.sha256(lines.encode()).hexdigest()


def markdown(certificate):
    """The lines of a certificate as Markdown."""
    yield f"# Certificate: {certificate['model'] or 'unknown model'} on {certificate['data']}"
    yield ""
    yield f"    {certificate['command'] or 'command ' + NOT_KNOWN}"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for name, text in _rows(certificate):
        yield f"| {name} | {text.replace('|', chr(92) + '|')} |"
    if certificate["picture"]:
        yield ""
        yield f"![the run's curves over the band]({certificate['picture']})"
    if certificate["not_known"]:
        yield ""
        yield "Not known:"
        yield ""
        yield from (f"- {sentence}" for sentence in certificate["not_known"])


def _rows(certificate):
    """(name, text) of each row of the table."""
    epochs, here, rates = certificate["epochs"], certificate["here"], certificate["rate_trace"]
    unfinished = "" if epochs["finished"] else ", not finished"
    yield "epochs", f"{epochs['first']}-{epochs['last']} of {epochs['of'] or NOT_KNOWN}{unfinished}"
    train = "" if here["train"] is None else f"; training {here['train_metric']} {here['train']:.4f}"
    yield "here", f"{here['figures']} in epoch {here['epoch']}{train}"
    for name, key in (("paper", "row"), ("zoo", "weights"), ("log", "name")):
        there = certificate["official"][name]
        yield name, f"{there['figures']} ({there[key]})" if there else "none of exactly this recipe"
    yield "verdict", certificate["verdict"].removeprefix("verdict: ")
    yield "diagnosis", "; ".join(certificate["diagnosis"]) or "nothing found"
    digest = certificate["data_root_hash"]
    yield "data", f"root hash `{digest}`" if digest else NOT_KNOWN
    yield "rates", (f"SHA-256 `{rates['sha256']}` of {rates['lines']} logged (epoch, batch, rate)" if rates
                    else NOT_KNOWN)
    batch, seed = (NOT_KNOWN if certificate[key] is None else certificate[key]
                   for key in ("global_batch_size", "seed"))
    yield "batch, seed", f"{batch} images per update, seed {seed}"
    device, versions = certificate["device"], certificate["versions"] or {}
    yield "device", f"{device}, {certificate['threads']} operator threads" if device else NOT_KNOWN
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items()) or NOT_KNOWN
    yield "commit", certificate["commit"] or "none"
    for name, digest in certificate["files"].items():
        yield name, f"SHA-256 `{digest}`"
