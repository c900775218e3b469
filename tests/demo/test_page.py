"""The page of `partprop demo` in a real browser, with an untrained network."""

import json
import urllib.request
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from browser import needs_browser, open_browser
from partprop.base.errors import UserError
from partprop.demo.page import build_page, example_clip, launch
from partprop.media.reading import open_frames
from partprop.pipeline import dashboard
from tiny import write_tiny_weights

TIMEOUT = 300  # seconds, on a busy machine
FRAMES = 36  # in the example


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("demo")
    weights = write_tiny_weights(folder / "tiny.safetensors")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        page = build_page(folder, weights, "cpu")
        yield launch(page, dashboard.free_port(7860))
        page.close(verbose=False)


@pytest.fixture
def browser(address: str, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path / "profile") as driver:
        driver.set_window_size(1300, 1000)
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get(address)
        yield driver


def wait(browser: webdriver.Chrome, script: str) -> None:
    WebDriverWait(browser, TIMEOUT).until(lambda driver: driver.execute_script(f"return {script}"))


def canvas(browser: webdriver.Chrome) -> WebElement:
    """The canvas to paint on, once it shows a frame."""
    wait(browser, "document.querySelector('#clip video') && document.querySelector('#clip video').readyState >= 2")
    wait(browser, "[...document.querySelectorAll('#first canvas')].some(each => each.offsetParent)")
    return next(each for each in browser.find_elements(By.CSS_SELECTOR, "#first canvas") if each.is_displayed())


@needs_browser
def test_from_the_example_to_its_masks(browser: webdriver.Chrome, address: str) -> None:
    wait(browser, "document.querySelector('#example')")
    browser.find_element(By.ID, "example").click()
    paint_and_segment(browser, canvas(browser))
    wait_for_result(browser)
    assert f"{FRAMES} frames segmented" in browser.find_element(By.CSS_SELECTOR, "#messages textarea").get_attribute(
        "value"
    )
    assert browser.execute_script("return document.querySelector('#overlay video').duration") == pytest.approx(
        3, abs=0.1
    )
    link = browser.find_element(By.CSS_SELECTOR, "#masks a").get_attribute("href")
    with urllib.request.urlopen(link) as answer, zipfile.ZipFile(BytesIO(answer.read())) as archive:
        names = set(archive.namelist())
    assert {f"partprop/masks/{number:05d}.png" for number in range(FRAMES)} <= names
    assert "partprop/tracks.csv" in names
    assert external_requests(browser, address) == set()
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def paint_and_segment(browser: webdriver.Chrome, place: WebElement) -> None:
    strokes = ActionChains(browser).move_to_element_with_offset(place, 60, -40).click_and_hold()
    for step in range(1, 5):
        strokes.move_to_element_with_offset(place, 60 + 12 * step, -40 + 8 * step)
    strokes.release().perform()
    browser.find_element(By.ID, "go").click()


def wait_for_result(browser: webdriver.Chrome) -> None:
    """Wait for the overlay, and paint again if the page found no strokes.

    The frame erases strokes that were made before it reached the canvas, no element of the page shows when that is,
    and strokes are sent with a delay.
    """

    def shown(driver: webdriver.Chrome) -> bool:
        if driver.find_elements(By.CSS_SELECTOR, ".toast-body.error"):
            driver.execute_script("document.querySelectorAll('.toast-close').forEach(each => each.click())")
            wait(driver, "!document.querySelector('.toast-body.error')")
            paint_and_segment(driver, canvas(driver))
        loaded = driver.execute_script(
            "const v = document.querySelector('#overlay video'); return v && v.readyState >= 2"
        )
        return bool(loaded)

    WebDriverWait(browser, TIMEOUT).until(shown)


def external_requests(browser: webdriver.Chrome, address: str) -> set[str]:
    """Addresses outside the page's own server that the page requested."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"}
    return {url for url in asked if url.startswith("http") and not url.startswith(address)}


@needs_browser
def test_segmenting_without_a_clip_is_an_error(browser: webdriver.Chrome) -> None:
    wait(browser, "document.querySelector('#go')")
    browser.find_element(By.ID, "go").click()
    wait(browser, "(document.querySelector('.toast-body.error') || {innerText: ''}).innerText.includes('no clip yet')")


def test_a_port_in_use_is_refused(address: str, tmp_path: Path) -> None:
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    page = build_page(tmp_path, tmp_path / "none", "cpu")
    with pytest.raises(UserError, match=f"--port {port}: already in use"):
        launch(page, port)


def test_the_example_is_rendered_once(tmp_path: Path) -> None:
    path = example_clip(tmp_path)
    written = path.stat().st_mtime_ns
    assert open_frames(example_clip(tmp_path)).count == FRAMES
    assert path.stat().st_mtime_ns == written
