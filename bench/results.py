"""What the benches have measured, kept in bench/results.md: each writes its own part anew, and leaves the rest, which
people have written, as it is.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sweep.processor import cpu_name

PAGE = Path(__file__).with_name("results.md")
PACKAGES = ("torch", "torchvision", "numpy", "pandas")


@dataclass(frozen=True)
class Row:
    """One line of a bench's table. `itself`: the same figure of one side against itself; empty where it has none."""

    what: str
    against: str
    figure: str
    wanted: str
    verdict: str  # "met", "missed" or "cannot tell"; empty where nothing is wanted
    itself: str = ""


def report(bench: str, rows: Sequence[Row], notes: Sequence[str] = (), page: Path = PAGE) -> None:
    """Print the rows, and put them in the place of what the bench called `bench` has written before.

    `notes` are whole sentences: how it was measured, and what else was seen.
    """
    measured = "\n".join([*_table(rows), "", *(f"- {note}" for note in notes), "", _environment()])
    print(measured)
    begin, end = f"<!-- {bench}: measured -->", f"<!-- {bench}: end -->"
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        text += f"\n## {bench}\n\n{begin}\n{end}\n"
    page.write_text(pattern.sub(lambda found: f"{begin}\n{measured}\n{end}", text), encoding="utf-8")


def _table(rows: Sequence[Row]) -> list[str]:
    head = "| what | against | figure | wanted | | one side against itself |"
    cells = ((row.what, row.against, row.figure, row.wanted, row.verdict, row.itself) for row in rows)
    return [head, "| --- | --- | --- | --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in cells)]


def _environment() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{today}, {cpu_name()}, {cores} cores, Python {platform.python_version()}, {packages}"
