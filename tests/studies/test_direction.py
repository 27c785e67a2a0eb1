"""docs/cifar-lab.md says what the logs of logs/ours/direction hold."""

import re
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EPOCH = re.compile(r"\[Epoch (\d+)\] train=([\d.]+) val=([\d.]+)")


def last_errors():
    """case -> [error in percent after the last of six epochs, by seed]."""
    errors = {}
    for folder in sorted((ROOT / "logs" / "ours" / "direction").glob("case-*_seed-*")):
        case, seed = re.fullmatch(r"case-(.*)_seed-(\d)", folder.name).groups()
        [log] = folder.glob("*.log")
        epochs = EPOCH.findall(log.read_text())
        assert [int(epoch) for epoch, *_ in epochs] == [*range(6)], folder
        assert int(seed) == len(errors.setdefault(case, []))
        errors[case].append(100 - 100 * float(epochs[-1][2]))
    return errors


def rows(heading):
    """The cells of the table below a heading of the page."""
    page = (ROOT / "docs"
            / "cifar-lab.md").read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()
            if line.startswith("|")][2:]


def test_the_page_has_every_case_with_median_and_spread_of_its_three_seeds():
    errors = last_errors()
    assert {case: cells[-1] for case, *cells in rows("Eight cases")} == {
        case: f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        for case, found in errors.items()}
    assert len(errors) == 8 and {len(found) for found in errors.values()} == {3}


def test_the_page_says_in_how_many_seeds_each_published_order_is_seen():
    errors, told = last_errors(), rows("Published orders")
    assert len(told) >= 7
    for better, worse, _, here, seen in told:
        differences = [one - other for one, other in zip(errors[better], errors[worse])]
        wins = sum(difference < 0 for difference in differences)
        assert here == f"{wins} of 3 ({statistics.median(differences):+.2f})"
        assert seen == {3: "yes", 0: "no, the opposite"}.get(wins, "not decided"), (better, worse)
