"""Draws docs/run.svg, a picture of a real sweep on a terminal: `python docs/draw_run.py`."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT

from sweep import events
from sweep.api import run_request
from sweep.report.findings import Findings
from sweep.report.grid import draw
from sweep.report.live import BarView
from sweep.report.screen import Screen
from sweep.report.table import make_tables
from sweep.request import SweepRequest

PICTURE = Path(__file__).with_name("run.svg")
COMMAND = "sweep run digits --ratios 0.25,0.5,1.0,2.0 --seeds 2 --jobs 2"
# Without the web fonts of rich's own: a picture in a page may load nothing.
FORMAT = re.sub(r"\s*@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
WIDTH = 104


class Snapshot:
    """Passes events on, and draws the bars once: when five of the eight trials have ended and two are under way."""

    def __init__(self, view: BarView, screen: Screen) -> None:
        self.view, self.screen = view, screen
        self.num_ended, self.under_way, self.is_taken = 0, set[str](), False

    def __call__(self, event: events.Event) -> None:
        self.view(event)
        if isinstance(event, events.TrialEnded):
            self.num_ended += 1
        elif isinstance(event, events.StageEnded):
            self.under_way.discard(event.stage)
        elif isinstance(event, events.Progress):
            self.under_way.add(event.stage)
        if self.num_ended == 5 and len(self.under_way) == 2 and not self.is_taken:
            self.screen.print(self.view.draw())
            self.is_taken = True


def main() -> None:
    """Run the sweep, and draw its rows, its bars in mid-run, and its table at the end."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, tempfile.TemporaryDirectory() as results:
        screen = Screen(file=nowhere, force_terminal=True, width=WIDTH, record=True, color_system="truecolor")
        screen.print(f"$ {COMMAND}", style="bold")
        request = SweepRequest("digits", ratios="0.25,0.5,1.0,2.0", seeds=2, jobs="2", results=Path(results))
        done = run_request(request, Snapshot(BarView(screen), screen))
        screen.print()
        for grid in make_tables(Findings.of_history(done.history)):
            draw(grid, screen)
        screen.save_svg(str(PICTURE), title="how long should I train?", code_format=FORMAT)


if __name__ == "__main__":
    main()
