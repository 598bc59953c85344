"""How fast a command starts: `python bench/startup.py`, or `make bench`.

`sweep --help`, the plan of forty ratios of ImageNet, and the report of a small sweep (three ratios with one seed, and
with three, which have intervals) are whole processes, beside one that does nothing but import what they cannot do
without. Nothing was trained for the sweeps that are reported; `sweep run` would plan and record them like this.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from measuring import Seconds, command_times, median_of_ratios

from results import Row, report
from sweep.store.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))

from long_journals import write_long_journal

ROOT = Path(__file__).parents[1]
SWEEP = (str(Path(sys.executable).with_name("sweep")),)  # as a user types it
PLAN = ("plan", "imagenet_resnet50", "--ratios", "0.05:2:0.05")
NUM_RATIOS = 3
AGAIN = " again"
HELP_BASE, PLAN_BASE, REPORT_BASE = BASES = ("typer, rich", "typer, rich, numpy", "typer, rich, pandas")


def main(rounds: Annotated[int, typer.Option(help="How often each command is run.")] = 21) -> None:
    """Run the commands in turn, and write down what they take."""
    with tempfile.TemporaryDirectory() as folder:
        cases = commands(Path(folder))
        ours = {name: command for name, (command, _, _) in cases.items()}
        bases = {f"{base}{more}": (sys.executable, "-c", f"import {base}") for base in BASES for more in ("", AGAIN)}
        times = command_times(ours | bases, rounds, ROOT)
    rows = [row(times, name, base, wanted) for name, (_, base, wanted) in cases.items()]
    note = f"Whole processes, {rounds} of each, in an order drawn anew for every round; beside it the median times."
    report("startup", rows, [note])


def commands(folder: Path) -> dict[str, tuple[tuple[str, ...], str, float]]:
    """Each command by its name, with the imports that it is compared with, and how many times these it may take."""
    cases = {
        "`sweep --help`": ((*SWEEP, "--help"), HELP_BASE, 1.3),
        f"`{' '.join(('sweep', *PLAN))}`": ((*SWEEP, *PLAN), PLAN_BASE, 3.0),
    }
    for num_seeds in (1, 3):
        name = f"seeds-{num_seeds}"
        write_long_journal(Workspace(folder / name), NUM_RATIOS, num_seeds)
        title = f"`sweep report`, {NUM_RATIOS} ratios, seeds: {num_seeds}"
        cases[title] = ((*SWEEP, "report", name, "--results", str(folder)), REPORT_BASE, 1.4)
    return cases


def row(times: dict[str, Seconds], name: str, base: str, wanted: float) -> Row:
    ratio = median_of_ratios(times[name], times[base])
    itself = median_of_ratios(times[f"{base}{AGAIN}"], times[base])
    ours, bare = (1000 * float(np.median(times[command])) for command in (name, base))
    return Row(
        name,
        f"`import {base}`",
        f"{ratio}; {ours:.0f} against {bare:.0f} ms",
        f"at most {wanted} times",
        ratio.at_most(wanted),
        str(itself),
    )


if __name__ == "__main__":
    typer.run(main)
