"""Loss scales: halve on overflow, double after a quiet window."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

from gluon_tricks.data.loaders import Batch
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.training.loop import accuracy, train_epoch
from gluon_tricks.training.progress import Diverged, Progress
from gluon_tricks.tricks.low_precision import DynamicLossScale, StaticLossScale, all_finite, create_loss_scale


def test_an_overflow_skips_the_update_and_halves_the_scale():
    scale = DynamicLossScale(scale=8.0, window=3)
    assert scale.update(finite=False) is False and scale.scale == 4.0


def test_the_scale_doubles_after_a_window_of_good_updates_in_a_row():
    scale = DynamicLossScale(scale=8.0, window=3)
    for finite, expected in [(True, 8), (True, 8), (False, 4), (True, 4), (True, 4), (True, 8), (True, 8)]:
        assert scale.update(finite) is finite
        assert scale.scale == expected


def test_the_scale_never_falls_below_one():
    scale = DynamicLossScale(scale=1.5)
    scale.update(False)
    assert scale.scale == 1.0


@pytest.mark.parametrize("scale", [0, -1, float("inf")])
def test_a_constant_scale_must_be_positive(scale):
    with pytest.raises(ValueError, match="scale must be positive"):
        StaticLossScale(scale)
    assert StaticLossScale(128).update(True) is True


def test_one_infinite_element_among_arrays_of_two_types_is_found():
    half, full = nd.ones((3,), dtype="float16"), nd.ones((4,))
    assert all_finite([half, full, full])
    for bad in (nd.array([1, np.inf], dtype="float16"), nd.array([np.nan, 1])):
        assert not all_finite([half, full, bad])


@pytest.mark.parametrize("name, expected", [("none", None), ("dynamic", DynamicLossScale),
                                            ("128", StaticLossScale)])
def test_scales_by_name(name, expected):
    assert type(create_loss_scale(name)) is (expected or type(None))


# --- in the loop --------------------------------------------------------------------------------------------

def train(loss_scale, updates=3, progress=None, data=1.0):
    """Weights of a linear net after some updates with momentum, and the progress."""
    mx.random.seed(1)
    net = gluon.nn.Dense(3, in_units=4)
    net.initialize(mx.init.Uniform(0.5))
    engine, rng, progress = SingleProcess([mx.cpu()]), np.random.default_rng(0), progress or Progress()

    class Batches:
        batch_size = 6

        @staticmethod
        def epoch(epoch, start):
            for _ in range(updates):
                yield Batch(nd.array(data * rng.normal(size=(6, 4))), nd.array(rng.integers(0, 3, 6)), None)

    train_epoch(net, Batches, lambda x, y, e, b: (x, y, y), gluon.loss.SoftmaxCrossEntropyLoss(), accuracy,
                engine.trainer(net, mx.optimizer.NAG(learning_rate=0.1, momentum=0.9)), lambda n: 0.1, engine,
                progress, lambda meter: None, loss_scale=loss_scale)
    return net.weight.data().asnumpy(), progress


def test_a_power_of_two_as_scale_changes_no_bit():
    plain, _ = train(None)
    for scale in (StaticLossScale(1024), DynamicLossScale(window=2)):
        np.testing.assert_array_equal(train(scale)[0], plain)


def test_updates_that_overflow_are_left_out_until_the_scale_fits():
    initial, _ = train(None, updates=0)
    # 1e40 is infinite in float32
    weights, progress = train(DynamicLossScale(scale=2.0**100), updates=1, data=1e10)
    np.testing.assert_array_equal(weights, initial)
    assert progress.loss_scale == {"scale": 2.0**99, "good_updates": 0,
                                   "skipped": 1} and progress.num_update == 1
    weights, progress = train(DynamicLossScale(scale=2.0**100), updates=12, data=1e10)
    assert 1 < progress.loss_scale["skipped"] < 12 and not np.array_equal(weights, initial)


def test_the_scale_goes_on_where_it_was():
    progress = Progress(loss_scale={"scale": 8.0, "good_updates": 1, "skipped": 3})
    scale = DynamicLossScale(window=3)
    train(scale, updates=1, progress=progress)
    assert progress.loss_scale == {"scale": 8.0, "good_updates": 2, "skipped": 3} == scale.state()


def test_gradients_that_overflow_at_the_lowest_scale_end_the_run():
    with pytest.raises(Diverged, match="gradients are not finite at a loss scale of 1"):
        train(DynamicLossScale(scale=1.0), updates=1, data=3e38)
