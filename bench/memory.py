"""The most memory that the parent process has, while it sweeps and while it plans: `python bench/memory.py`, or
`make bench`.

The commands are those that a user types. What is read is the peak of the process itself, as the kernel keeps it, up to
its end: neither its Workers' nor this one's. The sweeps are of `smoke`, since what is trained lies with the Workers:
three ratios with two seeds, and with three. Needs Linux.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from measuring import median_of, median_of_ratios

from results import Row, report

WANTED_MEGABYTES = 150
SECONDS_BETWEEN_LOOKS = 0.005

SWEEP = (str(Path(sys.executable).with_name("sweep")),)
COMMANDS = {
    "`sweep run smoke`, three ratios, two seeds": ("run", "smoke", "--seeds", "2", "--fresh"),
    "`sweep run smoke`, three ratios, three seeds": ("run", "smoke", "--seeds", "3", "--fresh"),
    "`sweep plan imagenet_resnet50 --ratios 0.05:2:0.05`": ("plan", "imagenet_resnet50", "--ratios", "0.05:2:0.05"),
}


def main(rounds: Annotated[int, typer.Option(help="How often each command is run, twice.")] = 5) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, arguments in COMMANDS.items():
            peaks = np.array([[peak_megabytes(arguments, Path(folder)) for _ in range(2)] for _ in range(rounds)])
            figure = median_of(peaks[:, 0])
            itself = median_of_ratios(peaks[:, 1], peaks[:, 0])
            verdict = figure.at_most(WANTED_MEGABYTES)
            rows.append(Row(what, "", f"{figure} MB", f"{WANTED_MEGABYTES} MB", verdict, str(itself)))
    report("memory", rows, [f"Peak resident memory of the parent alone; medians over {rounds} runs."])


def peak_megabytes(arguments: Sequence[str], folder: Path) -> float:
    """Of the process that runs the command, without those that it starts."""
    peak = 0.0
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen([*SWEEP, *arguments], cwd=folder, stdout=output, stderr=output) as process,
    ):
        while process.poll() is None:
            peak = _high_water_megabytes(process.pid) or peak  # at its end there is nothing left to read
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if process.returncode:
            output.seek(0)
            sys.exit(output.read().decode())
    return peak


def _high_water_megabytes(pid: int) -> float | None:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return found[0] * 1024 / 1e6 if found else None


if __name__ == "__main__":
    typer.run(main)
