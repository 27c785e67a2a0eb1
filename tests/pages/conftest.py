"""A browser for tests of pages: the system's Chromium, driven by Playwright."""

import shutil

import pytest

NAMES = "chromium", "chromium-browser", "google-chrome"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; tests with it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """`open_page(path)` opens a file in a new window and returns Playwright's page.

    At the end of the test, no page has asked for anything but its file, and none has written to the console.
    """
    windows, requests, messages = [], [], []

    def opened(path, width=1280, height=900, theme="light"):
        window = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        windows.append(window)
        page = window.new_page()
        page.set_default_timeout(120_000)                # a busy machine
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    for window in windows:
        window.close()
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert messages == []
