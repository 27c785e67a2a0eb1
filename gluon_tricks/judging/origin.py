"""What the files of a run tell of its origin, and what they do not tell."""

# Facts of run.json that a certificate shows -> what is not known without them
FACTS = {"command": "the command: the log has flags, not the words that were typed",
         "seed": "the seed", "versions": "the versions of MXNet, NumPy and Python",
         "processor": "the machine: processor and threads"}


def root_hash(facts):
    """The data's root hash, or None where none was recorded or the images were synthetic."""
    found = facts.get("data_root_hash")
    return None if found in ("", "synthetic") else found


def device(facts):
    """The run's processors, from run.json."""
    gpus, processor = (facts.get("args") or {}).get("num_gpus"), facts.get("processor") or "unknown processor"
    if gpus:
        kinds = ", ".join(dict.fromkeys(map(str, facts.get("gpus") or ["unknown kind"])))
        return f"{gpus} GPUs ({kinds}), {processor}"
    return f"{processor}, {facts.get('cpus')} processors"


def rate_trace(records):
    """The logged `(epoch, batch, rate)` of every interval; a resumed run's last record of a batch counts.

    Parameters
    ----------
    records : list of dict or None
        Of metrics.jsonl.
    """
    found = {(record["epoch"], record["batch"]): record["lr"]
             for record in records or () if record["kind"] == "interval"}
    return [(epoch, batch, rate) for (epoch, batch), rate in sorted(found.items())]


def not_known(run, facts, trace, epochs):
    """Sentences on what the files do not tell."""
    if not epochs["finished"]:
        of = epochs["of"] or "an unknown number of"
        yield f"the end: {epochs['last'] + 1} of {of} epochs have been run"
    if not run.log.args:
        yield "the recipe: the log has no Namespace line, which holds the flags"
    if not root_hash(facts):
        yield ("the data: the images were synthetic" if facts.get("data_root_hash") == "synthetic" else
               "the data: no root hash of them was recorded; data_prep/ writes one into manifest.json")
    if not trace:
        why = ("there is no metrics.jsonl" if run.metrics is None else
               "metrics.jsonl has no interval, because --log-interval is 0 or above the updates of an epoch")
        yield f"the rate of each update: {why}"
    known = {"seed": run.log.args.get("seed"), **facts}
    yield from (sentence for fact, sentence in FACTS.items() if known.get(fact) is None)
    if facts.get("commit") is None:
        yield "the commit: it was no checkout" if facts else "the code: its version or commit"
    elif facts["commit"].endswith("+"):
        yield "the exact code: files differed from the commit"
    if facts.get("args", {}).get("num_gpus") and not facts.get("gpus"):
        yield "the kind of GPU"
    headers = getattr(run.log, "headers", 1)
    if headers > 1:
        yield f"whether all {headers} sittings ran on this machine: run.json holds the last"
    backend = facts.get("args", {}).get("data_backend", "ours")
    if not facts:
        yield "the order and crops of the images: GluonCV's scripts record no seed"
    elif backend != "ours":
        yield f"the order and crops of the images: the reader, {backend}, draws its own random numbers"
