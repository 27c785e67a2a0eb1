"""No bias decay: which arrays are exempt, and that the optimizer obeys."""

import mxnet as mx
import numpy as np
from mxnet import gluon

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models.registry import get_model
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay


def test_only_weights_of_convolutions_and_dense_layers_are_decayed():
    net = get_model("cifar_resnet20_v1")
    exempt, trained = exempt_from_decay(net)
    decayed = {name for name, param in net._collect_params_with_prefix().items()
               if param.grad_req != "null" and param.wd_mult != 0}
    # 21 convolutions and the classifier's weight; 2 x 21 BatchNorm arrays and the classifier's bias
    assert (len(decayed), exempt, trained) == (22, 43, 65)
    assert all(name.endswith("weight") for name in decayed)


def test_an_update_without_gradient_shrinks_weights_and_leaves_biases():
    net = gluon.nn.Dense(2, in_units=3)
    net.initialize(mx.init.One())
    net.bias.set_data(mx.nd.ones(2))
    exempt_from_decay(net)
    trainer = SingleProcess([mx.cpu()]).trainer(net, mx.optimizer.NAG(learning_rate=0.1, momentum=0.0,
                                                                      wd=0.5))
    with mx.autograd.record():
        loss = (net(mx.nd.zeros((1, 3))) * 0).sum()
    loss.backward()
    trainer.step(1)
    np.testing.assert_allclose(net.weight.data().asnumpy(), 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(net.bias.data().asnumpy(), 1)
