"""Learning rates: the CIFAR scripts' steps, `LRSequential` of GluonCV on the same counters, and the paper's
equation.

The rates of the published logs: tests/published/test_published_rates.py.
"""

import math

import pytest

from gluon_tricks.optim.lr_schedule import after_warmup, epoch_steps, exponential_warmup, lr_schedule, sgdr


def cifar_script_rates(base_lr, factor, decay_epochs, num_epochs):
    """The rate of each epoch by the scripts' rule: step when the epoch equals the next entry of the list."""
    rates, lr, waiting = [], base_lr, list(decay_epochs) + [float("inf")]
    for epoch in range(num_epochs):
        if epoch == waiting[0]:
            lr *= factor
            waiting.pop(0)
        rates.append(lr)
    return rates


@pytest.mark.parametrize("decay_epochs", [[], [100, 150], [0, 3], [5, 3, 9], [3, 3], [-1, 4], [60, 120, 160]])
def test_epoch_steps_are_those_of_the_cifar_scripts(decay_epochs):
    schedule = epoch_steps(0.1, 0.2, decay_epochs, updates_per_epoch=7)
    expected = cifar_script_rates(0.1, 0.2, decay_epochs, num_epochs=200)
    got = [[schedule(epoch * 7 + batch) for batch in range(7)] for epoch in range(200)]
    assert got == [[rate] * 7 for rate in expected]


def gluoncv_rates(mode, lr, epochs, updates, warmup, factor, decay_epochs):
    schedules = pytest.importorskip("gluoncv.utils.lr_scheduler")
    chain = schedules.LRSequential([
        schedules.LRScheduler("linear", base_lr=0, target_lr=lr, nepochs=warmup, iters_per_epoch=updates),
        schedules.LRScheduler(mode, base_lr=lr, target_lr=0, nepochs=epochs - warmup, iters_per_epoch=updates,
                              step_epoch=[e - warmup for e in decay_epochs], step_factor=factor, power=2)])
    return [chain(num_update) for num_update in range(1, epochs * updates + 5)]  # MXNet counts before it asks


@pytest.mark.parametrize("mode", ["step", "cosine", "poly", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 2])
def test_lr_schedule_is_gluoncvs(mode, warmup):
    expected = gluoncv_rates(mode, 0.4, 9, 11, warmup, 0.1, [4, 7])
    schedule = lr_schedule(mode, 0.4, 9, 11, warmup, 0.1, [4, 7])
    assert [schedule(n) for n in range(len(expected))] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_rates_of_a_published_recipe():
    # 5 warm-up epochs of 120, 1251 updates each, lr 0.4, cosine: rates worked out for GluonCV's LRSequential
    schedule = lr_schedule("cosine", 0.4, 120, 1251, warmup_epochs=5)
    assert schedule(0) == pytest.approx(6.3959e-05, rel=1e-4)
    assert schedule(49) == pytest.approx(0.00319795, rel=1e-5)
    assert schedule(6253) == pytest.approx(0.4) and schedule(6254) == pytest.approx(0.4)
    assert schedule(150118) == schedule(10**6) == 0


def test_one_warmup_epoch_of_one_batch_is_no_division_by_zero():
    assert lr_schedule("cosine", 0.1, 3, 1, warmup_epochs=1)(0) == pytest.approx(0.1)
    assert lr_schedule("cosine", 0.1, 1, 1)(0) >= 0


def test_the_paper_formula_is_equation_1():
    schedule = lr_schedule("cosine", 0.4, 10, 20, warmup_epochs=2, formula="paper")
    assert [schedule(i - 1) for i in range(1, 41)] == pytest.approx([i * 0.4 / 40 for i in range(1, 41)])
    expected = [0.4 * (1 + math.cos(t * math.pi / 160)) / 2 for t in range(1, 161)]
    assert [schedule(40 + t - 1) for t in range(1, 161)] == pytest.approx(expected, abs=1e-12)
    assert schedule(199) == pytest.approx(0, abs=1e-12) and schedule(198) > 0


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be one of"):
        lr_schedule("cosin", 0.1, 3, 10)
    with pytest.raises(ValueError, match="formula must be one of"):
        lr_schedule("cosine", 0.1, 3, 10, formula="hed")


# --- SGDR, exponential warm-up ------------------------------------------------------------------------------

@pytest.mark.parametrize("cycle, factor", [(10, 1), (1, 2), (3, 2)])
def test_sgdr_restarts_at_the_peak_and_follows_a_cosine(cycle, factor):
    """Equation 5 of arXiv 1608.03983 with eta_min 0."""
    rate, start, length, n = sgdr(0.05, 4, cycle, factor), 0, 4 * cycle, 0
    for _ in range(3):
        for n in range(start, start + length):
            assert rate(n) == pytest.approx(0.05 / 2 * (1 + math.cos(math.pi * (n - start) / length)))
        start, length = start + length, length * factor
    assert rate(start) == 0.05


def test_sgdr_behind_a_warmup():
    rate = after_warmup(sgdr(0.4, 4, 2), 0.4, 8)
    assert [rate(n) for n in (0, 7, 8)] == pytest.approx([0.05, 0.4, 0.4]) and rate(9) < 0.4


def test_exponential_warmup_is_the_collections():
    after = lr_schedule("cosine", 2.0, 10, 5, warmup_epochs=2)
    rate = exponential_warmup(after, 2.0, 10)
    for n in range(10):
        assert rate(n) == pytest.approx(2 * (0.001 + 0.999 * (n / 10) ** 4))
    assert [rate(n) for n in range(10, 50)] == [after(n) for n in range(10, 50)]
