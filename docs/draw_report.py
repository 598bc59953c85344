"""Draws the pictures of docs/reading-the-report.md from the reference sweep: `python docs/draw_report.py`.

The curve is what `sweep report reference-fashion-mnist --plot` writes, the page a picture of what `--html` does.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
SWEEP = "reference-fashion-mnist"


def report(*options: str) -> None:
    """Run `sweep report` of the reference sweep."""
    subprocess.run(["sweep", "report", SWEEP, *options], cwd=HERE.parent, check=True, capture_output=True)


def draw_page(picture: Path) -> None:
    """The head of the page, as wide as a laptop's window."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "report.html"
        report("--html", str(page))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 900, "height": 1000})
        shown.goto(page.as_uri())
        shown.wait_for_selector("#rates svg")
        shown.screenshot(path=str(picture))
        browser.close()


def main() -> None:
    """Both pictures."""
    report("--plot", str(HERE / f"{SWEEP}.svg"))
    draw_page(HERE / f"{SWEEP}.png")


if __name__ == "__main__":
    main()
