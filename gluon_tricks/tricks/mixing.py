"""All ways to mix the images of a batch, by the names of `--mix`.

    mixup                     interpolation                       tricks/mixup.py
    horizontal, vertical      two images stitched                 tricks/spatial_mixup.py
    tile                      four images around one point            "
    horizontal+mixup, ...     stitched, then interpolated             "
    cutmix, ricap                                                 tricks/cutmix.py, tricks/ricap.py

As in GluonCV's mixup, weights, seams and boxes are drawn once per update and shared by all images of a
device's part.
"""

import numpy as np

from gluon_tricks.tricks.cutmix import cutmix_pieces
from gluon_tricks.tricks.mixup import CIFAR_ALPHA, mixup, sample_lam, sample_partners
from gluon_tricks.tricks.patchwork import patchwork
from gluon_tricks.tricks.ricap import BETA, ricap_pieces
from gluon_tricks.tricks.spatial_mixup import stitch_pieces, tile_pieces

# kind -> default parameter of the Beta distribution; the follow-up's 0.2 for stitched images
ALPHAS = {"mixup": CIFAR_ALPHA, "horizontal": 0.2, "vertical": 0.2, "tile": 0.2, "horizontal+mixup": 0.2,
          "vertical+mixup": 0.2, "cutmix": 1.0, "ricap": BETA}
KINDS = tuple(ALPHAS)
REVERSED = ("mixup", "horizontal", "vertical", "horizontal+mixup", "vertical+mixup")  # partners as in GluonCV


def mix(kind, data, targets, alpha, rng, partners=None, cutmix_label="area"):
    """Mix the images and targets of a device's part of the batch.

    Parameters
    ----------
    kind : one of KINDS
    data : NDArray, shape (N, C, H, W)
    targets : NDArray, shape (N, classes)
        Rows of class probabilities.
    alpha : float > 0
        Both parameters of the Beta distribution.
    rng : numpy.random.Generator
    partners : "reversed", "random" or None
        How partners are chosen. None: "reversed" for REVERSED, else "random". "tile" and "ricap" are always
        random.
    cutmix_label : "area" or "drawn"

    Returns
    -------
    (NDArray, NDArray), of the same shapes
    """
    count, size = len(data), data.shape[2:]
    lam = sample_lam(alpha, rng)
    is_random = (partners or ("reversed" if kind in REVERSED else "random")) == "random"

    def pairs():
        own = np.arange(count)
        return np.stack([own, sample_partners(count, rng) if is_random else own[::-1]])

    if kind == "mixup":
        return mixup(data, targets, lam, sample_partners(count, rng) if is_random else None)
    if kind in ("tile", "ricap"):
        other_lam = sample_lam(alpha, rng)
        pieces = (tile_pieces(lam, other_lam, *size) if kind == "tile" else
                  ricap_pieces(lam, other_lam, rng.random((4, 2)), *size))
        return patchwork(data, targets, pieces, [sample_partners(count, rng) for _ in pieces])
    if kind == "cutmix":
        centre = [int(rng.integers(side)) for side in size]
        return patchwork(data, targets, cutmix_pieces(lam, *centre, *size), pairs(),
                         (lam, 1 - lam) if cutmix_label == "drawn" else None)
    direction, _, then_mixed = kind.partition("+")
    data, targets = patchwork(data, targets, stitch_pieces(direction, lam, *size), pairs())
    if then_mixed:          # reversed partners would pair the same two images again, so take neighbours
        data, targets = mixup(data, targets, sample_lam(alpha, rng), np.roll(np.arange(count), 1))
    return data, targets
