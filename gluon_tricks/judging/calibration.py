"""Do the bands hold repeats, and do they find other runs? What docs/verdict.md says, measured again.

    python -m gluon_tricks.judging.calibration          half a minute
"""

import numpy as np

from gluon_tricks.judging.bands import WITNESSES, band_of, compare_with, wild_allowed
from gluon_tricks.judging.numbers import our_runs
from gluon_tricks.published.catalogue import VAL_IMAGES, catalogue

# Pairs of published logs of one network under one recipe: what a repeat looks like.
REPEATS = (("resnet18_v1", "resnet18_v1b"), ("resnet34_v1", "resnet34_v1b"),
           ("cifar_resnet20_v1_mixup", "cifar_resnet20_v2_mixup"))


def compare_published(reference, other):
    """One published run as if it were a repeat of another: `Comparison`s of the witnesses that both have."""
    found = []
    for witness in WITNESSES:
        band = band_of(reference, witness)
        as_run = band_of(other, witness)
        if band and as_run and band.metric == as_run.metric:
            found.append(compare_with(band, as_run.epochs, as_run.published))
    return [comparison for comparison in found if comparison]


def main():
    """Print the share of the limits that repeats use, and how soon other networks exceed them."""
    print("largest share of each limit used by a repeat (1 is the limit), epochs 1, 9, 36")
    for pair in REPEATS:
        for reference, other in (pair, pair[::-1]):
            for found in compare_published(reference, other):
                print(f"  {other:24s} against {reference:24s} {found.witness:5s}  {largest_shares(found)}")
    print("\nthe same of this kit's runs against the published ones")
    for name, found in runs_here():
        print(f"  {name:50s} {len(found.epochs):3d} epochs  {found.witness:5s}  {largest_shares(found)}")
    print("\nsimulated repeats found outside, by the deviation of their offset in counting errors")
    for offset in (0, 0.75, 1, 1.5):
        shares = "  ".join(f"{witness} {share:.4f}" for witness, share in false_alarms(offset).items())
        print(f"  {offset:4.2f}  {shares}")
    for dataset in VAL_IMAGES:
        first = list(first_epochs_outside(dataset))
        print(f"\n{len(first)} pairs of different networks on {dataset}, mixup alike: share told apart "
              "within epochs")
        for epochs in (1, 5, 10, 20, 50, 100, 400):
            print(f"  {epochs:3d}  {sum(epoch < epochs for epoch in first) / len(first):.3f}")


def largest_shares(found):
    """Of each limit the largest share that a comparison uses, as text; - where it has too few epochs."""
    shares = {m: np.nanmax(found.used(m)) for m in found.limits if len(found.epochs) >= m}
    return "  ".join(f"{shares[m]:.2f}" if m in shares else "-" for m in found.limits)


def runs_here():
    """`(folder, Comparison)` of each run under logs/ours that has a published log, for both witnesses."""
    return ((ours.folder.name, found) for ours in our_runs() for found in ours.verdict.comparisons)


def false_alarms(offset, repeats=60, seed=0):
    """witness -> share of simulated repeats that are found outside.

    A repeat differs from its published curve by normal noise of two scatters' variance and by a constant
    number of counting errors, drawn for each run from a normal distribution of deviation `offset`.
    """
    draw = np.random.default_rng(seed).normal
    found = {witness: [] for witness in WITNESSES}
    for name in catalogue():
        for band in filter(None, (band_of(name, witness) for witness in WITNESSES)):
            for _ in range(repeats):
                noise = draw(size=len(band.epochs)) * np.sqrt(2) * band.scatter
                repeat = compare_with(band, band.epochs,
                                      band.published + noise + draw() * offset * band.counting)
                found[band.witness].append(bool(repeat.because))
    return {witness: sum(outside) / len(outside) for witness, outside in found.items()}


def first_epochs_outside(dataset):
    """For each ordered pair of usable logs that are no repeats: the first epoch that tells them apart, or
    infinity."""
    runs = [run for run in catalogue().values() if run.dataset == dataset and run.is_usable]
    bands = {(run.name, witness): band_of(run.name, witness) for run in runs for witness in WITNESSES}
    repeats = [set(pair) for pair in REPEATS]
    for reference in runs:
        for other in runs:
            pair = {reference.name, other.name}
            if len(pair) == 2 and pair not in repeats and reference.tricks["mixup"] == other.tricks["mixup"]:
                yield min(_leaves_at(bands[reference.name, key], bands[other.name, key]) for key in WITNESSES)


def _leaves_at(band, as_run):
    if not (band and as_run and band.metric == as_run.metric):
        return np.inf
    found = compare_with(band, as_run.epochs, as_run.published)
    so_far = np.arange(1, len(found.epochs) + 1)
    left = np.cumsum(~found.inside) > wild_allowed(found.wild, so_far)
    for window in found.limits:
        if window > 1:
            left |= found.used(window) > 1
    return found.epochs[np.argmax(left)] if left.any() else np.inf


if __name__ == "__main__":
    main()
