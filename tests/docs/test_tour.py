"""docs/tour.ipynb runs from the first cell to the last."""

from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

nbformat = pytest.importorskip("nbformat")


@pytest.fixture(scope="module")
def tour():
    return nbformat.read(DOCS / "tour.ipynb", as_version=4)


def test_the_tour_is_short_and_is_committed_with_small_outputs(tour):
    assert len(tour.cells) <= 30
    assert (DOCS / "tour.ipynb").stat().st_size < 500_000
    code = [cell for cell in tour.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


@pytest.mark.slow
def test_every_cell_runs_and_the_verdict_is_inside(tour):
    from nbclient import NotebookClient

    NotebookClient(tour, timeout=300, kernel_name="python3", resources={"metadata": {"path": DOCS}}).execute()
    printed = "".join(output.get("text", "") for cell in tour.cells if cell.cell_type == "code"
                      for output in cell.outputs)
    assert "verdict: INSIDE the band of cifar_resnet20_v1" in printed
