"""Zero gamma: counted on nets whose numbers are known."""

import pytest
from mxnet import nd

from gluon_tricks.models.registry import get_model
from gluon_tricks.tricks.zero_gamma import count_zero_gammas


def test_a_cifar_net_starts_without_zero_gammas():
    net = get_model("cifar_resnet20_v1")
    net.initialize()
    assert count_zero_gammas(net) == (0, 21)


@pytest.mark.slow
def test_gluoncvs_resnext_has_its_flag_inverted():
    resnext = pytest.importorskip("gluoncv.model_zoo").resnext50_32x4d
    for last_gamma, zero in ((False, 16), (True, 0)):      # 16 blocks
        net = resnext(last_gamma=last_gamma)
        net.initialize()
        net(nd.zeros((1, 3, 32, 32)))                      # shapes are known after a forward
        assert count_zero_gammas(net) == (zero, 53)
