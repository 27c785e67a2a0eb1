"""Zero gamma (§3.1): residual blocks start as the identity.

    paper:    gamma = 0 in the BatchNorm at the end of every residual block
    GluonCV:  `--last-gamma`; works in ResNet v1, v2 and v1b-v1s bottlenecks, is ignored by v1b's basic
              blocks, inverted in ResNeXt (the flag gives gamma 1, its absence 0), and raises TypeError for
              every other model

Here the models take `last_gamma` (`gluon_tricks.models.resnet`) at every depth. These functions count the
gammas that are zero at the start, for the run's log.
"""


def count_zero_gammas(net):
    """Number of gammas of an initialised net that are all 0, and of all trained gammas."""
    gammas = [param for name, param in net.collect_params(".*gamma").items() if param.grad_req != "null"]
    zero = sum(float(param.list_data()[0].abs().max().asscalar()) == 0 for param in gammas)
    return zero, len(gammas)


def gammas_from_zero(net):
    """The gammas that will be 0 when a net is initialised.

    Returns
    -------
    (list of str, int)
        Names, as in a .params file, of those that start at 0; and the number of all trained gammas.
    """
    gammas = {name: param for name, param in net._collect_params_with_prefix().items()
              if name.endswith("gamma") and param.grad_req != "null"}
    return [name for name, param in gammas.items() if param.init == "zeros"], len(gammas)
