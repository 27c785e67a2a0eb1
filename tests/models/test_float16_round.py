"""The compiled rounding: where it cannot be compiled, and at the end of a process."""

import subprocess
import sys
from pathlib import Path

import mxnet as mx
import pytest

from gluon_tricks.models import float16_round
from gluon_tricks.models.float16_round import OPERATOR, _Round, compiled

WRONG = float16_round.SOURCE.replace("0x00400000u", "0u")        # negative numbers get one bit too many


@pytest.mark.parametrize("compiler, source", [("no-such-compiler", float16_round.SOURCE),
                                              ("false", float16_round.SOURCE), ("cc", "no C"), ("cc", WRONG)])
def test_without_a_compiler_that_rounds_rightly_there_is_none(monkeypatch, compiler, source):
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setattr(float16_round, "SOURCE", source)
    assert compiled.__wrapped__() is None


@pytest.mark.skipif(not compiled(), reason="no C compiler works here")
@pytest.mark.parametrize("request_type, expected", [("write", 0.125), ("add", 1.125), ("null", 1.0)])
def test_a_gradient_is_written_added_or_left(request_type, expected):
    source, target = mx.nd.full((3,), 0.12500001), mx.nd.ones((3,))
    mx.nd.waitall()                        # as MXNet does before it calls an operator
    _Round()._round(request_type, source, target)
    assert target.asnumpy().tolist() == [expected] * 3


PENDING = f"""
import gluon_tricks
import mxnet as mx
from gluon_tricks.models import float16_round
x = mx.nd.ones((1 << 22,))
for _ in range(20):
    x = mx.nd.Custom(x, op_type="{OPERATOR}")
"""


@pytest.mark.skipif(not compiled(), reason="no C compiler works here")
@pytest.mark.slow
def test_a_process_ends_though_roundings_are_pending():
    subprocess.run([sys.executable, "-c", PENDING], cwd=Path(__file__).parents[2], check=True, timeout=60)
