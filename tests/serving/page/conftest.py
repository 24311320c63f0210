"""A running service of the workspace for exploring, and a real browser."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.serving.explored import make_explored
from tests.serving.test_server import Running

SERVED = ("--index", "flat", "--index", "new", "--model", "mf", "--model", "cooccurrence", "--model", "sknn")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1300,900",
)


def missing() -> str:
    """Why there is no browser; "" if there is one."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed"
    absent = [name for name, path in (("chromium", browser_path()), ("chromedriver", driver_path())) if path is None]
    return f"there is no {' and no '.join(absent)}" if absent else ""


def browser_path() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def driver_path() -> str | None:
    return shutil.which("chromedriver")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service."""
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("page")
    make_explored(folder / "workspace")
    running = Running(folder / "workspace", folder / "log", *SERVED)
    running.wait_ready()
    yield running.url
    assert running.stop() == 0


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without a window, with a new profile."""
    if why := missing():
        pytest.skip(why)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(browser_path())
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path()))
    yield driver
    driver.quit()


class PageBrowser:
    """The page in the browser.

    refused  whether the service refuses requests in the test, which a browser writes to its console
    """

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url
        self.refused = False

    def open(self, path: str = "/") -> None:
        self.driver.get(self.url + path)

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def wait(self, condition: Callable[[], Any], what: str = "") -> Any:
        """The first true value of a condition within ten seconds."""
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        try:
            return WebDriverWait(
                self.driver, 10, poll_frequency=0.03, ignored_exceptions=[StaleElementReferenceException]
            ).until(lambda _: condition())
        except TimeoutException:
            body = self.run("return document.body.innerText")
            raise AssertionError(f"{what or 'it'} did not happen; the page shows:\n{body}") from None

    def find(self, selector: str) -> list[Any]:
        from selenium.webdriver.common.by import By

        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> Any:
        """The element, as soon as there is one."""
        return self.wait(lambda: next(iter(self.find(selector)), None), selector)

    def click(self, selector: str) -> None:
        self.run("arguments[0].click()", self.one(selector))

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )
        return texts

    def type(self, *keys: str) -> None:
        """Press keys where the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def wait_lists(self, count: int) -> None:
        """Wait until so many lists are complete, with the features of their items."""
        done = "return document.querySelectorAll('.body[aria-busy=false] :is(ol li .values:not(:empty), table)').length"
        lists = "return document.querySelectorAll('.body[aria-busy=false] :is(ol, table)').length"
        self.wait(lambda: self.run(lists) == count and self.run(done) >= count, f"{count} lists")

    def items(self, source: str) -> list[str]:
        """The ids in the list of a source."""
        script = "return [...document.querySelectorAll(arguments[0])].map((row) => row.dataset.item)"
        rows: list[str] = self.run(script, f"[aria-label='{source}'] li[data-item]")
        return rows

    def emulate(self, command: str, **given: Any) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{command}", given)


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[PageBrowser]:
    """The page; after each test nothing was loaded from elsewhere, and the console has no errors."""
    chromium.get_log("browser")
    browser = PageBrowser(chromium, url)
    yield browser
    loaded = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded and all(address.startswith(f"{url}/") for address in loaded)
    lines = [line["message"] for line in chromium.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    lines = [line for line in lines if "GPU stall due to ReadPixels" not in line]  # of a picture of the map
    refusals = [line for line in lines if "the server responded with a status of 4" in line]
    assert bool(refusals) == browser.refused
    assert [line for line in lines if line not in refusals] == []
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.run("localStorage.clear()")
