"""The page of a small fabricated run in a real browser; skipped where Chromium and its driver are not installed."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from browser import needs_browser, open_browser
from partprop.stages import report
from stages.test_report import FRAMES, parameters, write_run

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser with the page opened."""
    root = tmp_path_factory.mktemp("project")
    write_run(root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        report.run(parameters(), SimpleNamespace(artifact=lambda path: None))  # type: ignore[arg-type]
    with open_browser(tmp_path_factory.mktemp("profile")) as driver:
        driver.get((root / "reports/index.html").as_uri())
        yield driver


def show(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_its_window(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    show(browser, width, scheme)
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert browser.execute_script("return [...document.images].every(each => each.complete && each.naturalWidth > 0)")


def test_films_play(browser: webdriver.Chrome) -> None:
    show(browser, 1400, "light")
    count = browser.execute_script("return document.querySelectorAll('video').length")
    assert count == 3
    for number in range(count):
        browser.execute_script("document.querySelectorAll('video')[arguments[0]].play()", number)
        WebDriverWait(browser, 20).until(
            lambda driver, number=number: driver.execute_script(
                "const film = document.querySelectorAll('video')[arguments[0]]; return film.currentTime > 0.1", number
            )
        )
        duration = browser.execute_script("return document.querySelectorAll('video')[arguments[0]].duration", number)
        assert duration == pytest.approx(len(FRAMES) / 12, abs=0.05)


def test_the_console_is_empty(browser: webdriver.Chrome) -> None:
    assert browser.get_log("browser") == []
