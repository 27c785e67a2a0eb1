"""What a report shows of a run of classification."""

from gluon_tricks.judging.bands import WITNESSES, band_of, metric_of, series
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.gaps import missing_between
from gluon_tricks.judging.pictures import UNITS
from gluon_tricks.judging.verdict import judge_logs
from gluon_tricks.pages.origin import facts_of, not_known
from gluon_tricks.pages.shown import Curve, Shown, columns, rate_of
from gluon_tricks.published.recipe import recipe
from gluon_tricks.published.reference import dataset_of
from gluon_tricks.published.repeats import reference_curve

NAMES = {"train": "training", "val": "validation"}


def show(run, ref=None):
    """The `Shown` of a run.

    Parameters
    ----------
    run : RecordedRun
    ref : str, optional
        Name of the published log to compare with.
    """
    verdict = judge_logs([run.log], ref)
    reference = verdict.match.reference
    dataset = reference.dataset if reference else dataset_of(run.log)
    curves = _curves(run.name, run.log.epochs, dataset)
    course = [*rate_of(run, _logged(run.name, run.log.epochs, "lr_last_logged", "learning rate")),
              *_speed(run)]
    return Shown(
        name=run.name, outcome=verdict.outcome, verdict=verdict.line.removeprefix("verdict: "),
        reference=reference.label if reference else "", curves=curves,
        published=list(_published(reference)),
        differences=[Curve(_panel(found.witness, found.metric), run.name, found.epochs.tolist(),
                           (found.ours - found.published).tolist(), found.limits[1].tolist())
                     for found in verdict.comparisons],
        course=course, recipe=_texts(recipe(run.log.args, dataset_of(run.log))) if run.log.args else {},
        published_recipe=_texts(recipe(reference.args, reference.dataset)) if reference else {},
        departs={departure.partition(" ")[0] for departure in verdict.match.departures},
        findings=diagnose(verdict), epochs=columns(_columns(run.log.epochs, curves, verdict.comparisons)),
        facts=[*_origin(run, reference), *facts_of(run)],
        not_known=list(_not_known(run, curves, course)), is_complete=run.is_complete)


# --- Curves -------------------------------------------------------------------------------------------------

def _panel(witness, metric):
    return f"{NAMES[witness]} {UNITS[metric]}"


def _curves(name, records, dataset):
    """Training metric, validation and loss, as far as the epochs have them."""
    found = []
    for witness in WITNESSES:
        epochs, values = series(records, witness, dataset)
        if len(epochs):
            found.append(Curve(_panel(witness, metric_of(records[-1], witness, dataset)), name,
                               epochs.tolist(), values.tolist()))
    loss = _logged(name, records, "train_loss", "training loss")
    return [*found, *([loss] if loss.epochs else [])]


def _published(reference):
    """The curves of the reference, with their bands; loss and rate without."""
    if not reference:
        return
    bands = [band for band in (band_of(reference.name, witness) for witness in WITNESSES) if band]
    words = _words(max(len(band.runs) for band in bands))
    for band in bands:
        yield Curve(_panel(band.witness, band.metric), reference.label, band.epochs.tolist(),
                    band.published.tolist(), band.limits[1].tolist(), words)
    for field, panel in (("train_loss", "training loss"), ("lr_last_logged", "learning rate")):
        found = _logged(reference.label, reference_curve(reference.name), field, panel)
        if found.epochs:
            yield found._replace(note=words)


def _words(count):
    return "published" if count == 1 else f"mean of {count} runs of GluonCV's script"


def _logged(name, records, field, panel):
    figures = [(record.epoch, getattr(record, field)) for record in records
               if getattr(record, field) is not None]
    note = "The last one that the log has of each epoch." if field == "lr_last_logged" else ""
    return Curve(panel, name, [epoch for epoch, _ in figures], [value for _, value in figures], note=note)


def _speed(run):
    """Images per second; where the log has none, the seconds that an epoch took."""
    speed = _logged(run.name, run.log.epochs, "samples_per_sec", "images per second")
    records = [record for record in run.metrics or [] if record["kind"] == "epoch"
               and record.get("samples_per_s")]
    if not speed.epochs and records:
        found = {record["epoch"]: record["samples_per_s"] for record in records}
        speed = speed._replace(epochs=sorted(found), values=[found[epoch] for epoch in sorted(found)])
    if not speed.epochs:
        speed = _logged(run.name, run.log.epochs, "time_s", "seconds per epoch")
        if run.log.style == "cifar":
            speed = speed._replace(note="With validation.")
    return [speed] if speed.epochs else []


# --- Words --------------------------------------------------------------------------------------------------

def _texts(values):
    return {name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            for name, value in values.items()}


def _columns(records, curves, comparisons):
    """Head -> epoch -> text of the table of all epochs."""
    found = {found.panel: dict(zip(found.epochs, map("{:.2f}".format, found.values)))
             for found in curves if found.panel != "training loss"}
    for each in comparisons:
        name = NAMES[each.witness]
        found[f"{name}, reference"] = dict(zip(each.epochs.tolist(), map("{:.2f}".format, each.published)))
        found[f"{name}, difference"] = dict(zip(each.epochs.tolist(), map("{:+.2f}".format, each.difference)))
        found[f"{name}, band"] = dict(zip(each.epochs.tolist(), map("±{:.2f}".format, each.limits[1])))
        found[f"{name}, outside"] = {epoch: "" if inside else "OUT" for epoch, inside in
                                       zip(each.epochs.tolist(), each.inside)}
    for field, head, form in (("val_err_top5", "top-5 error, %", "{:.2f}"), ("train_loss", "loss", "{:.4f}"),
                              ("samples_per_sec", "images/s", "{:.0f}"), ("time_s", "time, s", "{:.1f}"),
                              ("lr_last_logged", "last rate", "{:g}")):
        scale = 100 if field == "val_err_top5" else 1
        found[head] = {record.epoch: form.format(scale * getattr(record, field)) for record in records
                       if getattr(record, field) is not None}
    return found


def _origin(run, reference):
    epochs = [record.epoch for record in run.log.epochs]
    planned = f" of {run.planned_epochs}" if run.planned_epochs else ""
    yield "epochs", f"{epochs[0]}-{epochs[-1]}{missing_between(epochs)}{planned}"
    if run.log.resumed_at:
        yield "resumed", f"at epoch {', '.join(map(str, run.log.resumed_at))}"
    yield "model and data", f"{run.log.args.get('model', 'not known')} on {dataset_of(run.log)}"
    yield "format of the log", STYLES[run.log.style]
    if reference:
        yield "compared with", f"{reference.label}: {reference.command}"
        yield from (("about that log", sentence) for sentence in reference.flags.values())


STYLES = {"cifar": "CIFAR scripts", "imagenet-A": "train_imagenet.py of 2018-06 to 2018-08",
          "imagenet-B": "train_imagenet.py of 2018-08 to 2021-04",
          "imagenet-C": "train_imagenet.py since 2021-04", "horovod": "train_horovod.py"}


def _not_known(run, curves, course):
    if not any(found.panel.startswith("validation") for found in curves):
        yield "the accuracy on validation: the log has no validation"
    panels = [found.panel for found in course]
    if "learning rate" not in panels:
        yield "the learning rate at each epoch: logs of this script do not print it"
    if "images per second" not in panels:
        yield "images per second: logs of this script do not print it"
    yield from not_known(run)
