"""Mixup (§5.4).

    paper, Eq. 7-8:  x = lam x_i + (1 - lam) x_j,   y = lam y_i + (1 - lam) y_j,   lam ~ Beta(alpha, alpha)
                     for two random examples i, j
    GluonCV:         one lam per update for all images and devices; the partner of image i of n is image n - 1
                     - i of the same device's part, so every pair occurs twice, with lam and 1 - lam
    here:            GluonCV's, or partners drawn by `sample_partners`; one lam per update in both

The paper takes alpha = 0.2 on ImageNet; GluonCV's CIFAR script takes alpha = 1 (lam uniform) and no mixup in
the last 20 epochs.
"""

CIFAR_ALPHA = 1.0
CIFAR_OFF_EPOCHS = 20


def sample_lam(alpha, rng):
    """Draw the mixing weight.

    Parameters
    ----------
    alpha : float > 0
        Both parameters of the Beta distribution.
    rng : numpy.random.Generator

    Returns
    -------
    float in [0, 1]
    """
    if alpha <= 0:
        raise ValueError(f"alpha must be positive, got {alpha}")
    return float(rng.beta(alpha, alpha))


def sample_partners(count, rng):
    """A random permutation of `count` images as partners: int array, shape (count,)."""
    return rng.permutation(count)


def mixup(data, targets, lam, partners=None):
    """Mix a device's part of the batch with itself, in reversed order or with the partners given.

    Parameters
    ----------
    data : NDArray, shape (N, ...)
    targets : NDArray, shape (N, classes)
        Rows of class probabilities, already smoothed if label smoothing is on.
    lam : float in [0, 1]
        Weight of each image itself; 1 changes nothing.
    partners : int array, shape (N,), optional

    Returns
    -------
    (NDArray, NDArray), of the same shapes
    """
    if partners is None:
        other_data, other_targets = data[::-1], targets[::-1]
    else:
        from mxnet import nd

        index = nd.array(partners, ctx=data.context, dtype="int64")
        other_data, other_targets = data.take(index), targets.take(index)
    return lam * data + (1 - lam) * other_data, lam * targets + (1 - lam) * other_targets
