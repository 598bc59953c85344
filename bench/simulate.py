"""How near the scheduler comes to what no order can beat: `python bench/simulate.py`, or `make bench`.

Whole sweeps of shipped recipes are planned, dispatched and written down as ever, but nothing is trained: a Stage takes
as long as its steps say, on a clock that is set to whatever happens next (see simulated.py). No order is done before
the longest way through the Stages is, nor before all devices together have done all the work: the later of the two is
what a sweep's end is divided by.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from simulated import MILLISECONDS_A_STEP, Pace, SimulatedExecutor

from results import Row, report
from sweep.api import plan_sweep, run_request
from sweep.plan.stages import Plan
from sweep.request import SweepRequest
from sweep.run.makespan import Forest

RECIPES = {"steps": "fashion_mnist", "a plateau (wsd)": "fashion_mnist_wsd", "cosine": "digits"}
GRIDS = ((10, 1), (10, 10), (100, 10), (100, 100))  # ratios, seeds
RATIOS = {10: "0.1:1:0.1", 100: "0.109:1:0.009"}
DEVICES = (1, 10, 100, 1000)
SPREAD = 0.2
SHARE_TO_BEGIN = 0.01  # of the baseline's time


@dataclass(frozen=True)
class Case:
    """A sweep of so many ratios and seeds, by so many devices."""

    schedule: str
    num_ratios: int
    num_seeds: int
    num_devices: int

    def request(self, results: Path) -> SweepRequest:
        ratios = RATIOS[self.num_ratios]
        return SweepRequest(RECIPES[self.schedule], ratios, seeds=self.num_seeds, method="steps", results=results)

    @property
    def text(self) -> str:
        return f"{self.schedule}: {self.num_ratios} ratios x {self.num_seeds} seed{'s' if self.num_seeds > 1 else ''}"


@dataclass(frozen=True)
class Simulated:
    """When the last Stage ended, and in what no order is done before (`limit`), in milliseconds. A rule may be late by
    the longest Stage."""

    end: int
    limit: int
    longest_stage: int

    @property
    def ratio(self) -> float:
        return self.end / self.limit

    @property
    def is_in_time(self) -> bool:
        return self.end <= self.limit + self.longest_stage


def main(
    largest: Annotated[int, typer.Option(help="Leave out sweeps of more trials than these.")] = 10_000,
) -> None:
    """Play every case, and put the table on the page."""
    rows = [row for case in cases() if case.num_ratios * case.num_seeds <= largest for row in played(case)]
    report("simulate", rows, notes())


def cases() -> Iterator[Case]:
    for schedule in RECIPES:
        for num_ratios, num_seeds in GRIDS:
            for num_devices in DEVICES:
                yield Case(schedule, num_ratios, num_seeds, num_devices)


def played(case: Case) -> Iterator[Row]:
    """A case in which all goes as planned, and with it one in which it doesn't."""
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_sweep(case.request(Path(folder)))
        baseline = max(trial.timeline.num_steps for trial in plan.trials) * MILLISECONDS_A_STEP
        paces = {"even": Pace(), "uneven": Pace(SPREAD, round(SHARE_TO_BEGIN * baseline))}
        done = {name: simulate(case, plan, pace, Path(folder) / name) for name, pace in paces.items()}
    even, uneven = done["even"], done["uneven"]
    yield Row(
        case.text,
        f"{case.num_devices:,} device{'s' if case.num_devices > 1 else ''}",
        f"{even.ratio:.3f}; uneven {uneven.ratio:.3f}",
        f"at most {1 + even.longest_stage / even.limit:.3f}",
        "met" if even.is_in_time and uneven.is_in_time else "missed",
    )


def simulate(case: Case, plan: Plan, pace: Pace, results: Path) -> Simulated:
    """Run the sweep that `plan` is the plan of."""
    gc.collect()
    executor = SimulatedExecutor(case.num_devices, pace)
    done = run_request(case.request(results), make_executor=lambda *placed: executor)
    assert done.is_complete
    assert executor.num_stages == len(plan.stages)
    times = {stage.id: pace.milliseconds(stage.id, stage.num_steps) for stage in plan.stages}
    children = {parent: [stage.id for stage in stages] for parent, stages in plan.children.items()}
    longest_way = max(Forest(times, children).tails.values())
    limit = max(longest_way, -(-sum(times.values()) // case.num_devices))
    return Simulated(executor.now, limit, max(times.values()))


def notes() -> list[str]:
    return [
        "The figure is when the last Stage ends over max(longest path, work / devices). It can be more than 1 where no "
        "order is better: at its beginning a sweep has as many Stages that can begin as seeds, where all ratios share "
        "their first steps.",
        f"Uneven: every Stage takes up to {SPREAD:.0%} more or less time than its steps say, and before its first step "
        f"{SHARE_TO_BEGIN:.0%} of what the baseline takes, neither of which the scheduler knows.",
        "Wanted: later by no more than the longest Stage.",
    ]


if __name__ == "__main__":
    typer.run(main)
