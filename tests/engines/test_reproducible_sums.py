"""Sums over processes whose bits do not depend on who is first."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import finish, start
from mxnet import nd

from gluon_tricks.engines.kvstore import from_whole_numbers, whole_numbers


def float32_sum(arrays):
    """As the server adds: one after the other, rounded to float32 each time."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**31), st.sampled_from([1e-30, 1e-6, 1.0, 1e6]))
def test_every_order_gives_the_same_bits(processes, seed, scale):
    rng, bits = np.random.default_rng(seed), 24 - (processes - 1).bit_length()
    gradients = scale * rng.normal(size=(processes, 50)) * np.exp(3 * rng.normal(size=(processes, 50)))
    gradients = gradients.astype(np.float32)
    largest = np.abs(gradients).max()
    exponent = int(np.frexp(largest)[1])
    pairs = [whole_numbers(nd.array(gradient), exponent, bits) for gradient in gradients]
    orders = list(itertools.permutations(range(processes)))[:24]
    totals = {from_whole_numbers(float32_sum([pairs[i] for i in order]), exponent, bits).asnumpy().tobytes()
              for order in orders}
    assert len(totals) == 1
    exact = gradients.astype(np.float64).sum(axis=0)
    error = np.abs(np.frombuffer(totals.pop(), np.float32) - exact)
    assert (error <= 2.0**-23 * np.abs(exact) + processes * 2.0 ** -(2 * bits) * 2 * largest).all()


def test_plain_float32_sums_do_depend_on_the_order():
    """Without it, the test above would fail."""
    gradients = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    totals = {float32_sum([gradients[i] for i in order]).tobytes()
              for order in itertools.permutations(range(4))}
    assert len(totals) > 1


def test_nothing_and_what_is_not_finite_pass_through():
    assert (from_whole_numbers(whole_numbers(nd.zeros(3), 0, 22), 0, 22) == 0).asnumpy().all()
    broken = from_whole_numbers(whole_numbers(nd.array([np.inf, np.nan, 1.0]), 1, 22), 1, 22).asnumpy()
    assert not np.isfinite(broken[:2]).any() and broken[2] == 1


def test_the_store_passes_a_ranks_numbers_on_in_full(tmp_path):
    """ps-lite adds float64 in float32: such numbers, checksums among them, would be rounded."""
    script = tmp_path / "say.py"
    script.write_text("""
import gluon_tricks
from gluon_tricks.engines.create import create_engine
engine = create_engine(0, kvstore="dist_sync")
numbers = [1e8 + 0.25, 2.0**32 - 1, 1 / 3, 0, -7]
table = engine.gather([number * (engine.rank + 1) for number in numbers])
assert table.tolist() == [numbers, [2 * number for number in numbers]], table
print("rank", engine.rank, "got them")
engine.close()
""")
    assert finish(start("dist_sync", 2, [script])).count("got them") == 2
