"""No bias decay (§3.1): weight decay for the weights of convolutions and dense layers only.

    paper:    no decay for biases and BatchNorm's gamma and beta
    GluonCV:  `--no-wd` sets `wd_mult` 0 on every parameter whose name matches .*beta, .*gamma or .*bias
              (this file); without the flag everything decays
"""

UNDECAYED = ".*beta|.*gamma|.*bias"


def exempt_from_decay(net):
    """Set `wd_mult` 0 on biases, gammas and betas.

    Call it before the Trainer is made. A kvstore that updates on its servers ignores `wd_mult`; this kit's
    engines update on the devices.

    Returns
    -------
    (int, int)
        Number of trained arrays that are exempt, and of all trained arrays.
    """
    exempt = net.collect_params(UNDECAYED)
    for param in exempt.values():
        param.wd_mult = 0.0
    trained = sum(param.grad_req != "null" for param in net.collect_params().values())
    return sum(param.grad_req != "null" for param in exempt.values()), trained
