"""Our CIFAR nets against GluonCV's, on the same arrays."""

import pytest
from facts import SMALL_CIFAR_NETS
from mxnet import nd
from parity import assert_close, assert_training_steps_agree, pair


@pytest.mark.parametrize("written_by", ["ours", "gluoncv"])
@pytest.mark.parametrize("name", SMALL_CIFAR_NETS)
@pytest.mark.slow
def test_params_files_are_exchangeable_and_give_gluoncvs_logits(name, written_by, gluoncv_zoo, tmp_path):
    ours, theirs = pair(name, gluoncv_zoo, tmp_path, written_by, size=32)
    data = nd.random.normal(shape=(2, 3, 32, 32))
    assert_close(ours(data).asnumpy(), theirs(data).asnumpy(), 1e-5, "logits")


@pytest.mark.parametrize("name", SMALL_CIFAR_NETS)
@pytest.mark.slow
def test_a_training_step_has_gluoncvs_logits_gradients_and_statistics(name, gluoncv_zoo, tmp_path):
    nets = pair(name, gluoncv_zoo, tmp_path, written_by="gluoncv", size=32)
    data, labels = nd.random.normal(shape=(2, 3, 32, 32)), nd.array([3, 8])
    assert_training_steps_agree(nets, data, labels, gradient_tolerance=1e-4)
