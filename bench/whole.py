"""A whole sweep against a shell loop over a plain script: `python bench/whole.py [--data-path data]`, or `make bench`.

The loop calls bench/plain_train.py once per ratio and seed, as a shell does. The sweep is the command that a user
types, from its start to the printed table. Both train the same network on all images, with the same rates and as many
steps; their threads are the default: both cores for the plain script and for `--jobs 1`, one each for `--jobs 2`.

The recipes are cut to fewer epochs, everything that is scheduled with them, so that seven rounds of all take minutes,
not hours. That gives each start of Python and torch more weight than it has in longer runs: the notes say how much.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from measuring import Seconds, command_times, median_of_ratios

from results import Row, report
from sweep.api import plan_sweep
from sweep.plan.grid import Trial
from sweep.plan.stages import Plan
from sweep.recipe.datasets import DATASETS
from sweep.request import SweepRequest

HERE = Path(__file__).parent
START = "the plain script's start, and one step"
LOOP, ONE_JOB, TWO_JOBS, AGAIN = "shell loop", "--jobs 1", "--jobs 2", "again"


class Name(StrEnum):
    MULTI_STEP = "multi-step"
    WSD = "wsd"


@dataclass(frozen=True)
class Case:
    """A grid; `jobs` are those that it is swept with, and how many times faster than the loop each is wanted to be."""

    name: Name
    recipe: str
    ratios: str
    num_seeds: int
    jobs: dict[str, float]

    def plan(self, epochs: int) -> Plan:
        return plan_sweep(
            SweepRequest(
                self.recipe, self.ratios, self.num_seeds, method="steps", settings=cut_settings(self.recipe, epochs)
            )
        )

    def sweep(self, jobs: str, epochs: int, data_path: Path, results: Path) -> list[str]:
        settings = [word for text in cut_settings(self.recipe, epochs) for word in ("--set", text)]
        return [
            *(str(Path(sys.executable).with_name("sweep")), "run", self.recipe, "--fresh", "--device", "cpu"),
            *("--ratios", self.ratios, "--seeds", str(self.num_seeds), "--method", "steps", *settings),
            *(*jobs.split(), "--data-path", str(data_path), "--results", str(results)),
        ]


CASES = (
    Case(Name.MULTI_STEP, "fashion_mnist", "0.25,0.5,1.0", 2, {ONE_JOB: 1.3, TWO_JOBS: 1.6}),
    Case(Name.WSD, "fashion_mnist_wsd", "0.1:1:0.1", 1, {ONE_JOB: 3.0}),
)
BETWEEN_JOBS = 1.25


def cut_settings(recipe: str, epochs: int) -> tuple[str, ...]:
    """The recipe cut to so many epochs, with its warm-up, its milestones, and what a fork has to save; in float32."""
    whole = plan_sweep(SweepRequest(recipe)).loaded.recipe
    share = Fraction(epochs) / Fraction(whole.epochs.amount)
    milestones = [float(milestone.amount * share) for milestone in whole.lr_milestones]
    return (
        f"epochs={epochs}",
        f"lr_warmup_epochs={float(whole.lr_warmup_epochs.amount * share)}",
        "amp=none",
        f"min_shared_steps={max(1, round(whole.min_shared_steps * share))}",
        *([f"lr_milestones={milestones}"] if milestones else []),
    )


def main(
    data_path: Annotated[Path, typer.Option(help="The folder that holds Fashion-MNIST.")] = Path("data"),
    rounds: Annotated[int, typer.Option(help="How often each command is run.")] = 7,
    epochs: Annotated[int, typer.Option(help="How many epochs ratio 1 has.")] = 2,
    only: Annotated[Name | None, typer.Option(help="One of the two grids.")] = None,
    log: Annotated[Path | None, typer.Option(help="The file that all that the commands print is added to.")] = None,
) -> None:
    """Compare both grids; needs `sweep data get FashionMNIST`."""
    if problems := DATASETS["FashionMNIST"].problems(data_path):
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    rows: list[Row] = []
    notes: list[str] = []
    for case in CASES:
        if only in (None, case.name):
            times = measure(case, epochs, data_path.absolute(), rounds, log)
            rows += rows_of(case, times)
            notes.append(note_of(case, epochs, times))
    bench = "whole" if only is None else f"whole: {only}"
    report(bench, rows, [f"Medians over {rounds} rounds of the ratio of two whole commands' times.", *notes])


def measure(case: Case, epochs: int, data_path: Path, num_rounds: int, log: Path | None) -> dict[str, Seconds]:
    plan = case.plan(epochs)
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, Sequence[str]] = {
            LOOP: ("sh", "-ec", "\n".join(shlex.join(plain(trial, data_path)) for trial in plan.trials)),
            START: plain(plan.trials[0], data_path, num_steps=1),
        }
        for jobs in (*case.jobs, f"{list(case.jobs)[-1]} {AGAIN}"):
            commands[jobs] = case.sweep(jobs.removesuffix(f" {AGAIN}"), epochs, data_path, Path(folder) / jobs)
        return command_times(commands, num_rounds, Path(folder), log)


def plain(trial: Trial, data_path: Path, num_steps: int | None = None) -> list[str]:
    """The plain script's command for what a trial trains."""
    timeline = trial.timeline
    positions = [str(position) for position in timeline.positions]
    is_wsd = timeline.recipe.lr_scheduler == "wsd"
    return [
        *(sys.executable, str(HERE / "plain_train.py"), "--data-path", str(data_path), "--seed", str(trial.seed)),
        *("--steps", str(num_steps or timeline.num_steps), "--lr", str(timeline.recipe.lr)),
        *("--warmup-steps", str(timeline.lengths.warmup_steps)),
        *("--cooldown-start" if is_wsd else "--milestones", *positions),
    ]


def rows_of(case: Case, times: dict[str, Seconds]) -> list[Row]:
    last = list(case.jobs)[-1]
    itself = str(median_of_ratios(times[f"{last} {AGAIN}"], times[last]))
    what = f"{case.name}, ratios {case.ratios}, {case.num_seeds} seed{'s' if case.num_seeds > 1 else ''}"
    rows = []
    for jobs, wanted in case.jobs.items():
        faster = median_of_ratios(times[LOOP], times[jobs])
        rows.append(
            Row(f"{what}, {jobs}", LOOP, f"{faster} times faster", str(wanted), faster.at_least(wanted), itself)
        )
    if {ONE_JOB, TWO_JOBS} <= set(case.jobs):
        faster = median_of_ratios(times[ONE_JOB], times[TWO_JOBS])
        verdict = faster.at_least(BETWEEN_JOBS)
        rows.append(Row(f"{what}, {TWO_JOBS}", ONE_JOB, f"{faster} times faster", str(BETWEEN_JOBS), verdict, itself))
    return rows


def note_of(case: Case, epochs: int, times: dict[str, Seconds]) -> str:
    plan = case.plan(epochs)
    medians = ", ".join(f"{name} {np.median(seconds):.1f} s" for name, seconds in times.items())
    return (
        f"{case.name}: {epochs} epochs at ratio 1; the sweep trains {plan.num_steps} steps, the loop "
        f"{plan.num_steps_alone}, {plan.num_steps_alone / plan.num_steps:.2f} times as many, and starts "
        f"{len(plan.trials)} times; medians: {medians}."
    )


if __name__ == "__main__":
    typer.run(main)
