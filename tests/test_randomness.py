"""Draws are a function of seed, purpose, epoch and index; of nothing else."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_tricks.randomness import (
    AUGMENT,
    MIXUP,
    NET,
    ORDER,
    epoch_order,
    generator,
    net_seed,
    sample_draws,
    sample_generator,
)

seeds = st.integers(0, 2**63)
epochs = st.integers(0, 1000)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, epoch=epochs, records=st.integers(0, 300))
def test_an_epochs_order_visits_every_record_once(seed, epoch, records):
    assert sorted(epoch_order(seed, epoch, records)) == list(range(records))


def test_an_epochs_order_follows_from_seed_and_epoch_alone():
    order = epoch_order(7, 3, 1000).copy()
    np.random.seed(1)
    np.random.rand(5)
    generator(7, ORDER, 3).random(11)
    epoch_order.cache_clear()
    np.testing.assert_array_equal(epoch_order(7, 3, 1000), order)


def test_epochs_and_seeds_have_different_orders():
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_an_order_is_drawn_fairly():
    first_places = np.bincount([epoch_order(0, epoch, 5)[0] for epoch in range(1000)], minlength=5)
    # four standard deviations
    np.testing.assert_allclose(first_places, 1000 / 5, atol=4 * (1000 * 0.2 * 0.8) ** 0.5)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, epoch=epochs, few=st.integers(0, 50), more=st.integers(0, 50), draws=st.integers(1, 5))
def test_a_records_draws_do_not_depend_on_the_number_of_records(seed, epoch, few, more, draws):
    np.testing.assert_array_equal(sample_draws(seed, epoch, few, draws),
                                  sample_draws(seed, epoch, few + more, draws)[:few])


def test_draws_lie_in_the_unit_interval_and_differ_by_epoch_and_seed():
    tables = [sample_draws(seed, epoch, 100, 3) for seed in (0, 1) for epoch in (0, 1)]
    values = np.concatenate([table.ravel() for table in tables])
    assert len(np.unique(values)) == 4 * 300
    assert values.min() >= 0
    assert values.max() < 1


def test_nobody_can_alter_a_remembered_order_or_table():
    assert not epoch_order(0, 0, 10).flags.writeable
    assert not sample_draws(0, 0, 10, 3).flags.writeable


def test_each_purpose_has_a_stream_of_its_own():
    firsts = [generator(seed, purpose, epoch).random() for seed in range(4) for purpose in (ORDER, AUGMENT,
                                                                                            MIXUP, NET)
              for epoch in range(4)]
    assert len(set(firsts)) == 4 * 4 * 4


def test_initialisation_and_every_update_have_seeds_of_their_own():
    found = [net_seed(0, num_update) for num_update in range(-1, 100)]
    assert len(set(found)) == 101
    assert all(0 <= seed < 2**31 for seed in found)              # what mx.random.seed takes


# fact: read off numpy 1.23.5. With other values, runs begun earlier could not be continued bit by bit.

def test_orders_are_those_of_earlier_runs():
    assert epoch_order(0, 0, 10).tolist() == [3, 7, 4, 2, 9, 8, 1, 6, 5, 0]
    assert epoch_order(2**40, 119, 10).tolist() == [0, 2, 8, 1, 6, 4, 7, 3, 9, 5]


def test_draws_are_those_of_earlier_runs():
    assert sample_draws(0, 0, 2, 3).tolist() == [[0.8806353521099166, 0.890899183549994, 0.8549471014066197],
                                                 [0.06889586489303812, 0.02603265450550385,
                                                  0.7790123350639033]]
    assert generator(0, MIXUP, 1, 2).beta(0.2, 0.2) == pytest.approx(0.045739178444410035, rel=1e-12)


def test_seeds_of_the_net_are_those_of_earlier_runs():
    assert [net_seed(0, -1), net_seed(0, 0), net_seed(1, 0)] == [799549763, 1555898576, 1073705859]


def test_a_records_generator_follows_from_seed_epoch_and_record_alone():
    first = sample_generator(5, 2, 7).random(100)
    sample_generator(5, 2, 8).random(3)
    np.testing.assert_array_equal(sample_generator(5, 2, 7).random(100), first)
    others = [sample_generator(*words).random() for words in itertools.product((5, 6), (2, 3), range(50))]
    assert len(set(others)) == 200


def test_records_do_not_share_a_piece_of_a_stream():
    """Streams of neighbouring counters would, if the record's number stood where Philox counts."""
    streams = [sample_generator(0, 0, record).random(5000) for record in (0, 1, 2, 1281166)]
    assert len(np.unique(np.concatenate(streams))) == 4 * 5000
