"""The page as its reader meets it: in Chromium, from the file system, without a network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from histories import a_start, a_trial, ended, finished
from playwright.sync_api import Browser, Page, sync_playwright

from sweep.report.findings import Findings
from sweep.report.page import write_page
from sweep.store.history import History

pytestmark = pytest.mark.slow
Maker = Callable[..., History]
TRIALS = [a_trial(ratio, seed) for ratio in ("0.25", "0.5", "1.0", "2.0") for seed in range(2)]
HOSTILE = "</script><img src=x onerror=document.title='owned'><b>{{7*7}}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium: install the system's package chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def written(history_of: Maker, tmp_path: Path) -> Path:
    """A page with eight trials, one of which failed with a hostile reason, of a recipe with such a name."""
    accuracies = (0.80, 0.82, 0.88, 0.89, 0.90, 0.91, 0.905)
    done = [
        finished(trial, accuracy, 0.1 * trial.num_steps, curve={20: 0.5})
        for trial, accuracy in zip(TRIALS, accuracies, strict=False)
    ]
    history = history_of(a_start(TRIALS, recipe_name=HOSTILE), *done, ended(TRIALS[-1], reason=HOSTILE))
    write_page(Findings.of_history(history), tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.fixture
def show(browser: Browser, written: Path) -> Iterator[Callable[..., Page]]:
    """show(…): the page, opened with these options of Playwright's, in which nothing may go wrong."""
    pages, complaints, requests = [], [], []

    def show(**options: object) -> Page:
        opened = browser.new_page(**options)  # type: ignore[arg-type]
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("request", lambda request: requests.append(request.url))
        opened.goto(written.as_uri())
        for name in ("curve", "learning", "rates"):
            opened.wait_for_selector(f"#{name} svg")
        pages.append(opened)
        return opened

    yield show
    for opened in pages:
        opened.close()
    assert complaints == []
    assert {url for url in requests if not url.startswith(("data:", "blob:"))} == {written.as_uri()}


def column(shown: Page, place: int) -> list[str]:
    return shown.locator(f"table.sortable tbody td:nth-child({place})").all_inner_texts()


def test_a_heading_sorts_its_column_both_ways_by_mouse_and_by_keyboard(show: Callable[..., Page]) -> None:
    shown = show()
    times = column(shown, 4)
    assert times == ["5.00 s", "10.0 s", "20.0 s", "40.0 s"]
    heading = shown.get_by_role("button", name="train time")
    heading.click()
    assert column(shown, 4) == times
    heading.press("Enter")
    assert column(shown, 4) == times[::-1]
    assert shown.locator("th[aria-sort=descending]").inner_text() == heading.inner_text()
    shown.get_by_role("button", name="ratio").click()
    assert column(shown, 1) == ["0.25", "0.5", "1.0", "2.0"]
    assert shown.locator("th[aria-sort]").count() == 1


def test_a_point_tells_its_numbers(show: Callable[..., Page]) -> None:
    shown = show()
    shown.locator("#learning path[aria-label*='accuracy, %: 80']").hover()
    tooltip = shown.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "seed" in tooltip.inner_text()
    assert "80" in tooltip.inner_text()


def test_it_fits_a_phone(show: Callable[..., Page]) -> None:
    shown = show(viewport={"width": 360, "height": 740})
    assert shown.evaluate("document.documentElement.scrollWidth") == 360


def test_it_is_dark_where_the_reader_likes_it_dark(show: Callable[..., Page]) -> None:
    def lightness(scheme: str) -> int:
        rgb = show(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in rgb.strip("rgb()").split(","))

    assert lightness("light") > 600
    assert lightness("dark") < 150


def test_no_name_or_reason_runs(show: Callable[..., Page]) -> None:
    shown = show()
    assert shown.title() != "owned"
    assert shown.locator("img").count() == 0
    assert shown.get_by_text("{{7*7}}").count() > 0


def test_it_can_be_printed(show: Callable[..., Page]) -> None:
    assert show().pdf()[:5] == b"%PDF-"
