"""Measuring in turn: the order, the ratios, the processes, the report."""

import json
import sys

import pytest

from gluon_tricks.benching import memory
from gluon_tricks.benching.paired import Measured, Spread, at_least_rounds, paired, table, write_report
from gluon_tricks.commands import bench
from gluon_tricks.errors import UserError
from gluon_tricks.launching.worker import Worker

PROGRAM = """
import sys
from gluon_tricks.launching.worker import serve
turns = []
def work():
    turns.append(1)
    return 10
serve(work, lambda: {"turns": len(turns)}, parameters=7)
"""


def test_sides_take_turns_every_other_round_backwards_and_warm_up_does_not_count():
    order = []
    rates = iter([100, 100, 1, 2, 3, 4, 5, 6])

    def side(name):
        def work():
            order.append(name)
            return next(rates)
        return work

    result = paired({"a": side("a"), "b": side("b")}, rounds=3)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert result.rates == {"a": [2, 3, 6], "b": [1, 4, 5]}


def test_ratios_are_taken_round_by_round():
    # the machine halved its speed in the second round
    result = Measured({"a": [10.0, 5.0, 8.0], "b": [5.0, 2.0, 4.0]})
    assert result.ratio("a", "b") == Spread(2.0, 2.0, 2.5)
    assert result.rate("b").show(1) == "4.0 (2.0 to 5.0)"


def test_a_worker_tells_facts_first_and_a_rate_for_every_turn():
    with Worker("counter", ["-c", PROGRAM]) as worker:
        assert worker.facts == {"parameters": 7}
        assert worker() > 0 and worker() > 0
        assert [told["turns"] for told in worker.told] == [1, 2]
    assert worker._process.returncode == 0


def test_a_worker_that_fails_is_a_sentence_with_its_last_words():
    with pytest.raises(UserError, match="counter ended with code 1: ValueError: no such thing"):
        Worker("counter", ["-c", "raise ValueError('no such thing')"])


def test_a_worker_that_dies_in_its_turn_is_a_sentence_too():
    program = "print('{}', flush=True); import sys; sys.stdin.readline(); sys.exit('out of tiles')"
    with Worker("amx", ["-c", program]) as worker, pytest.raises(UserError,
                                                                 match="amx ended with code 1: out of tiles"):
        worker()


def test_environment_variables_are_added_and_removed():
    program = "import json, os; print(json.dumps({'a': os.environ.get('A'), 'b': os.environ.get('B')}))"
    with Worker("one", ["-c", program], sys.executable, {"A": "1", "B": None}) as worker:
        assert worker.facts == {"a": "1", "b": None}


def test_the_report_has_every_measurement(tmp_path, capsys):
    write_report(tmp_path / "out", "net", table(("a", "b"), [(1, 2)]), rates=[1.5])
    assert capsys.readouterr().out == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    assert (tmp_path / "out" / "net.md").read_text() == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    saved = json.loads((tmp_path / "out" / "net.json").read_text())
    assert saved["rates"] == [1.5] and {"processor", "threads", "versions"} <= saved.keys()


def test_too_few_rounds_are_refused():
    with pytest.raises(UserError, match="--rounds 4: at least 5"):
        at_least_rounds(4)


def test_bench_lists_its_modes_and_refuses_others(capsys):
    assert bench.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {mode} " in shown for mode in ("net", "script", "memory"))
    with pytest.raises(UserError, match="no subcommand .nets.; did you mean net"):
        bench.main(["nets"])


def test_memory_growth_is_the_slope_of_a_line():
    assert memory.growth([100, 102, 104, 106]) == pytest.approx(2)
    assert memory.growth([100, 101, 101, 100]) == pytest.approx(0)
