"""A report opens from the disk in a browser: no request, no message, and its charts answer."""

import pytest

from gluon_tricks.commands.report import main
from tests.pages.dialects import write_log

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    logs = [write_log(folder / "first.log", "cifar", epochs=12), write_log(folder / "second.log", "cifar", epochs=9)]
    assert main([*map(str, logs), "--out", str(folder / "report.html")]) == 0
    return folder / "report.html"


def hover(page, chart, share):
    """Point at a place in a chart: share of its width."""
    box = page.locator(f"#{chart} .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def test_charts_answer_and_theme_and_width_follow_the_reader(report, open_page):
    page, chart = open_page(report, theme="dark"), "curves-validation-accuracy---"

    # Pointing at an epoch shows it, with the values of all series
    hover(page, chart, 0.5)
    label = page.locator(f"#{chart} .hoverlayer").filter(has_text="epoch")
    label.wait_for(state="attached")
    assert all(name in label.text_content() for name in ("first : ", "second : ", "published : "))

    # A click on the legend switches a series off
    lines = page.locator(f"#{chart} .scatterlayer .trace.scatter")
    last = lines.nth(lines.count() - 1)
    page.locator(f"#{chart} .legend .traces", has_text="second").locator(".legendtoggle").click()
    last.wait_for(state="detached")

    # The system is dark; the button changes that
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.click("#theme")
    assert page.evaluate(background) == "rgb(255, 255, 255)" != dark

    # On a phone nothing is wider than the screen
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
