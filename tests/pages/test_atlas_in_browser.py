"""The atlas in a browser: filters, overlays, and logs from the disk."""

import csv
import gzip
from pathlib import Path

import pytest

from gluon_tricks.log_lines.reading import read_log
from tests.pages.dialects import write_log

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ATLAS = ROOT / "docs" / "atlas.html"
OURS = ROOT / "logs" / "ours"


@pytest.fixture
def page(open_page):
    return open_page(ATLAS)


def names_in_the_logs(start=""):
    with gzip.open(ROOT / "logs" / "published" / "curves.csv.gz", "rt") as stream:
        return sorted({row["run"] for row in csv.DictReader(stream) if row["run"].startswith(start)})


def shown(page):
    """The names in the list that are not filtered out."""
    return page.eval_on_selector_all(".run:not([hidden])", "rows => rows.map(row => row.dataset.name)")


def series(page):
    """Name -> y of each series in the chart."""
    return page.evaluate("Object.fromEntries(document.getElementById('overlay').data.map(one => [one.name, one.y]))")


def overlay(page, *names):
    page.click("#clear")
    for name in names:
        page.check(f'.run[data-name="{name}"] input')


def test_pattern_trick_quality_and_data_set_filter_the_list(page):
    assert shown(page) == names_in_the_logs() and len(shown(page)) == 73
    page.fill("#search", "resnet50*")
    assert shown(page) == names_in_the_logs("resnet50")
    assert page.inner_text("#count") == f"{len(names_in_the_logs('resnet50'))} of 73 runs"
    page.check('#tricks input[value="mixup"]')
    assert shown(page) == ["resnet50_v1d-mixup"]
    page.fill("#search", "resnet50* [")                        # a bracket without its partner
    assert shown(page) == [] and page.is_visible("#none")
    page.fill("#search", "")
    page.uncheck('#tricks input[value="mixup"]')
    page.check("#usable")
    assert set(names_in_the_logs()) - set(shown(page)) == {"inceptionv3", "mobilenet1.0", "resnet152_v1d"}
    page.select_option("#dataset", "cifar10")
    assert len(shown(page)) == 20
    page.select_option("#sort", "top1")
    assert shown(page)[0] == "cifar_resnext29_16x64d_mixup"


def test_runs_are_overlaid_up_to_six_and_hovering_tells_the_figures(page):
    overlay(page, "resnet50_v1d", "resnet50_v1d-mixup")
    assert {name: (len(y), y[-1]) for name, y in series(page).items()} == {
        "resnet50_v1d": (120, 78.47), "resnet50_v1d-mixup": (200, 79.08)}
    page.locator("#overlay").scroll_into_view_if_needed()
    page.locator("#overlay .nsewdrag").hover(force=True)
    page.locator("#overlay .hoverlayer").filter(has_text="epoch").wait_for(state="attached")
    label = page.text_content("#overlay .hoverlayer")
    assert "resnet50_v1d : " in label and "resnet50_v1d-mixup : " in label
    assert page.text_content("#described tr:first-child") == "resnet50_v1d11978.4778.52116"
    overlay(page, *names_in_the_logs("resnet50")[:6])
    assert page.is_visible("#full") and page.is_disabled('.run[data-name="vgg16"] input')
    overlay(page, "resnet50_v1d-mixup", "cifar_resnet20_v1")
    page.select_option("#curve", "train")
    assert list(series(page)) == ["cifar_resnet20_v1"]
    assert page.inner_text("#without") == "Without training accuracy: resnet50_v1d-mixup."


DROP = """([name, text]) => {
  const files = new DataTransfer();
  files.items.add(new File([text], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
}"""


def test_a_log_from_the_disk_lies_over_the_published_run_of_its_net(page):
    path, = (OURS / "cifar_resnet20_v1_mixup").glob("*.log")
    page.set_input_files("#files", [path])
    page.locator("#said", has_text="the published run of this net is cifar_resnet20_v1_mixup.").wait_for()
    expected = [round(100 - 100 * record.val_err_top1, 2) for record in read_log(path).epochs]
    drawn = series(page)
    assert list(drawn) == ["cifar_resnet20_v1_mixup", path.name] and drawn[path.name] == expected
    page.evaluate(DROP, ["<b>notes</b>.txt", "nothing of a run\n"])
    page.locator("#said", has_text="<b>notes</b>.txt: no finished epoch").wait_for()
    for _ in range(2):
        page.evaluate(DROP, ["<b>my</b>.log", path.read_text()])
    page.locator("#overlay .legendtext", has_text="<b>my</b>.log (2)").wait_for(state="attached")
    page.click("#chosen button >> text=<b>my</b>.log (2)")
    assert list(series(page)) == ["cifar_resnet20_v1_mixup", path.name, "&lt;b&gt;my&lt;/b&gt;.log"]


DIALECTS = ["cifar", "cifar-mixup", "imagenet-A", "imagenet-B", "imagenet-C", "horovod"]


def damaged(path):
    """The log as schedulers, terminals and restarts leave it."""
    lines = path.read_text().splitlines()
    header, middle = lines[0], len(lines) // 2
    again = [header, *lines[middle - 8:middle + 9]]              # a restart that goes back
    lines = [*lines[:middle], *again]
    return "".join(f"\x1b[32m2026-11-28 06:54:49,123 worker-1  | {line}\x1b[0m\r\n" for line in lines) + "[Epoch 9] tr"


def test_the_pages_reader_reads_what_the_kits_reader_reads(page, tmp_path):
    whole = [write_log(tmp_path / f"{dialect}.log", dialect, epochs=12) for dialect in DIALECTS]
    restarted = [path.with_suffix(".restarted") for path in whole]
    for path, copy in zip(whole, restarted):
        copy.write_bytes(damaged(path).encode())
    for path in (*whole, *restarted, *OURS.glob("*/*.log")):
        if path.parent.name.startswith(("faster_rcnn", "fcn")):
            continue
        log = page.evaluate("text => readLog(text, Shell.json('atlas-data').grammar)", path.read_bytes().decode())
        expected = read_log(path).epochs
        assert [record["epoch"] for record in log["epochs"]] == [record.epoch for record in expected]
        for here, there in zip(log["epochs"], expected):
            assert (here["metric"], here["train"]) == (there.train_metric_name, there.train_metric)
            for name, error in (("val1", there.val_err_top1), ("val5", there.val_err_top5)):
                assert here.get(name) == (None if error is None else pytest.approx(1 - error, abs=1e-9))


def test_the_command_is_copied_and_a_link_opens_what_was_shown(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = page.locator('.run[data-name="vgg16"]')
    row.locator(".copy").click()
    row.locator(".copy", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("python train_imagenet.py --model vgg16 ")
    page.fill("#search", "vgg*")
    overlay(page, "vgg16", "vgg19_bn")
    again = page.context.new_page()
    again.goto(page.url)
    assert again.input_value("#search") == "vgg*" and len(shown(again)) == 4
    assert list(series(again)) == ["vgg16", "vgg19_bn"]


def test_a_phone_shows_it_without_scrolling_sideways(open_page):
    page = open_page(ATLAS, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.is_visible('.run[data-name="vgg16"] .copy')
