"""Find the published run to compare a run with."""

from dataclasses import dataclass
from typing import Optional

from gluon_tricks.errors import UserError
from gluon_tricks.published.catalogue import TRAIN_IMAGES, VAL_IMAGES, PublishedRun, catalogue
from gluon_tricks.published.recipe import departures, recipe
from gluon_tricks.published.repeats import reference_run, repeats

WITHOUT_REFERENCE = {
    "cifar100": "GluonCV published no log on CIFAR-100",
    "places365": "GluonCV published no log on Places365; the paper's figures are in tables 7",
}


@dataclass(frozen=True)
class Match:
    """The reference of a run and the run's departures from it, or the reason why there is none."""

    reference: Optional[PublishedRun]
    departures: tuple = ()
    reason: str = ""


def dataset_of(run):
    """The data set of a `RunLog`, from its header, else from its script."""
    if "dataset" in run.args:
        return str(run.args["dataset"])
    return "cifar10" if run.style == "cifar" else "imagenet"


def find_reference(run, name=None):
    """The published run to compare a `RunLog` with.

    Of the usable logs with the same data set, model and mixup setting it is the one with the fewest
    departures.

    Parameters
    ----------
    run : RunLog
    name : str, optional
        Take this one without regard to the run's arguments.

    Returns
    -------
    Match
    """
    return reference_of(run.args, dataset_of(run), name)


def reference_of(flags, dataset, name=None):
    """`find_reference` for the flags of a run that has no log yet."""
    on_excerpts = [one.reference for one in repeats().values()
                   if one.reference.name == name or one.reference.dataset == dataset not in VAL_IMAGES]
    if on_excerpts:                    # GluonCV's headers name neither data set nor number of images
        flags = {"num_training_samples": on_excerpts[0].args["num_training_samples"], **flags}
        dataset = flags.get("dataset", on_excerpts[0].dataset)
    ours = recipe(flags, dataset)
    if name is not None:
        chosen = reference_run(name)
        if not chosen.is_usable:
            raise UserError(f"{name} is no reference: {chosen.why_not}")
        return _match(ours, chosen)
    if dataset not in VAL_IMAGES and not on_excerpts:
        return Match(None, reason=WITHOUT_REFERENCE.get(dataset, f"GluonCV published no log on {dataset}"))
    if not ours["model"]:
        return Match(None, reason="the log names no model: it has no Namespace line before its epochs; name "
                                  "the reference with --ref")
    images = ours["num_training_samples"]
    everything = on_excerpts[0].args["num_training_samples"] if on_excerpts else TRAIN_IMAGES[dataset]
    if images not in (None, everything):
        return Match(None, reason=f"{images} training images are not all {everything} of {dataset}; no "
                                  "published log to compare with")
    candidates = [_match(ours, other) for other in [*catalogue().values(), *on_excerpts]
                  if other.is_usable and (other.dataset, other.model) == (dataset, ours["model"])
                  and other.tricks["mixup"] == ours["mixup"]]
    if not candidates:
        return Match(None, reason=_why_none(ours, on_excerpts))
    return min(candidates,
               key=lambda match: (len(match.departures), len(match.reference.flags), match.reference.name))


def repeats_of(flags, dataset):
    """The sets of GluonCV's own runs with exactly this recipe, or its first epochs: list of PublishedRun."""
    ours, sets = recipe(flags, dataset), [one.reference for one in repeats().values()]
    return [one for one in sets
            if one.dataset == dataset and not departures(ours, recipe(one.args, dataset))]


def _match(ours, reference):
    theirs = recipe(reference.args, reference.dataset)
    return Match(reference, tuple(departures(ours, theirs, "reference" if reference.title else "published")))


def _why_none(ours, on_excerpts):
    """The reason why no log of this model with its mixup setting can be a reference."""
    if on_excerpts:
        return (f"{on_excerpts[0].title} are of {on_excerpts[0].model} without mixup; there is no other log "
                f"on {ours['dataset']} to compare with")
    setting = f"{ours['model']} {'with' if ours['mixup'] else 'without'} mixup"
    runs = catalogue()
    names = [str(ours["model"]) + suffix for suffix in (("-mixup", "_mixup") if ours["mixup"] else ("",))]
    for name in names:
        if name in runs and runs[name].why_not:
            return f"no usable log of {setting} is published: {runs[name].why_not}"
    others = [run.name for run in runs.values() if run.model == ours["model"] and run.is_usable]
    if others:
        return f"no log of {setting} is published, only {', '.join(others)}"
    return f"no published log is of the model {ours['model']}"
