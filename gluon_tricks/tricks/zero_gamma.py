"""Zero gamma (§3.1): residual blocks start as the identity.

    paper:    gamma = 0 in the BatchNorm at the end of every residual block
    GluonCV:  `--last-gamma`; works in ResNet v1, v2 and v1b-v1s bottlenecks, is ignored by v1b's basic blocks, inverted in
              ResNeXt (the flag gives gamma 1, its absence 0), and raises TypeError for every other model

Here the models take `last_gamma` (`gluon_tricks.models.resnet`) and honour it at every depth; this function says how many
gammas of a net are zero, so that a run can state what it starts from.
"""


def count_zero_gammas(net):
    """Number of normalisation layers of an initialised net whose gamma is 0 throughout, and of all that have a gamma."""
    gammas = [param for name, param in net.collect_params(".*gamma").items() if param.grad_req != "null"]
    zero = sum(float(param.list_data()[0].abs().max().asscalar()) == 0 for param in gammas)
    return zero, len(gammas)


def gammas_from_zero(net):
    """Which gammas will be 0 when a net is initialised; nothing need be initialised or computed yet.

    Returns
    -------
    (list of str, int)
        Names as in a .params file of those that start at 0, and the number of all that are trained.
    """
    gammas = {name: param for name, param in net._collect_params_with_prefix().items()
              if name.endswith("gamma") and param.grad_req != "null"}
    return [name for name, param in gammas.items() if param.init == "zeros"], len(gammas)
