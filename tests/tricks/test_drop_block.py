"""DropBlock's share over the epochs, and that validation drops nothing, in a net compiled as a run's is."""

import mxnet as mx
import pytest
from gluoncv.nn.dropblock import DropBlock, DropBlockScheduler
from mxnet import autograd
from mxnet.gluon import nn

from gluon_tricks.errors import UserError
from gluon_tricks.tricks.drop_block import DropBlocks, check_drop_block


def small_net(share=0.5):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, padding=1), DropBlock(share, 3, 4, 16, 16), nn.GlobalAvgPool2D(), nn.Dense(3))
    net.initialize()
    net(mx.nd.zeros((1, 3, 16, 16)))
    return net


def recompile(net):
    return lambda: net.hybridize(static_alloc=True, static_shape=True)


def varies(net, x, training):
    with autograd.record() if training else autograd.pause():
        return not (net(x) == net(x)).min().asscalar()


def test_what_gluoncvs_compiled_net_does():
    """The behaviour that the module's docstring speaks of: compiled while training, it drops in validation
    too.
    """
    net, x = small_net(), mx.nd.random.uniform(shape=(2, 3, 16, 16))
    recompile(net)()
    assert varies(net, x, training=True) and varies(net, x, training=False)


def test_training_drops_and_validation_does_not():
    net, x = small_net(), mx.nd.random.uniform(shape=(2, 3, 16, 16))
    blocks = DropBlocks(net, recompile(net))
    for _ in range(2):
        blocks.train(0)
        assert varies(net, x, training=True)
        blocks.evaluate()
        assert not varies(net, x, training=False)


def test_shares_are_gluoncvs():
    ours, theirs = small_net(), small_net()
    blocks, scheduler = DropBlocks(ours, lambda: None, num_epochs=7), DropBlockScheduler(theirs, 0, 0.1, 7)
    for epoch in range(7):
        blocks.train(epoch)
        scheduler(epoch)
        assert ours[1].drop_prob == pytest.approx(theirs[1].drop_prob)
    assert ours[1].drop_prob == pytest.approx(0.1)


def test_without_epochs_the_nets_own_share_stays():
    net = small_net(0.3)
    DropBlocks(net, lambda: None).train(5)
    assert net[1].drop_prob == 0.3


def test_a_net_without_it_is_not_compiled_again():
    net = nn.HybridSequential()
    net.add(nn.Dense(3))
    blocks = DropBlocks(net, lambda: pytest.fail("compiled"), num_epochs=3)
    blocks.train(0)
    blocks.evaluate()


def test_images_too_small_for_the_blocks_are_refused():
    net = nn.HybridSequential()
    net.add(DropBlock(0.1, 3, 4, 2, 2))
    with pytest.raises(UserError, match="--input-size 64: leaves 2x2 positions to a DropBlock of 3x3"):
        check_drop_block(net, 64)
    check_drop_block(small_net(), 16)
