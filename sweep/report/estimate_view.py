"""What a pilot makes of a plan, as tables and as JSON: the time, the dollars and the memory that it will take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweep.plan.pilot import PRECISION, of_a_run
from sweep.plan.speed import Interval
from sweep.plan.stages import Plan, Stage
from sweep.plan.timeline import Timeline
from sweep.printable import one_line
from sweep.report.cells import dollars_text, duration_text, short_text, size_text
from sweep.report.grid import Grid
from sweep.store.identity import set_up_text
from sweep.store.records import PilotRecord

# Chosen: on a machine that does nothing else bursts differ by a few percent.
_NOTABLE_SPREAD = 0.20


@dataclass(frozen=True)
class JobsEstimate:
    """What the sweep takes with so many `jobs` at a time, on `devices` in all: with steps that trials have in common
    trained `once`, and with every trial trained `alone`. `num_sharing` of them share the memory of a device."""

    jobs: int
    devices: int
    once: Interval
    alone: Interval
    num_sharing: int


@dataclass(frozen=True)
class Estimate:
    """What `plan` will take, as `pilot` says. `alone` holds its Stages if each trial is trained alone; `age` says in
    words how old a pilot is that was there already."""

    plan: Plan
    alone: tuple[Stage, ...]
    pilot: PilotRecord
    jobs: tuple[JobsEstimate, ...]
    age: str | None = None

    def step(self, num_steps: int) -> Interval:
        """Seconds of a step, in the mean of so many."""
        return of_a_run(Interval(*self.pilot.step), self.pilot.num_steps, self.pilot.spread, num_steps)

    def training(self, num_steps: int) -> Interval:
        """Seconds of so many steps."""
        return self.step(num_steps) * num_steps

    def dollars(self, num_steps: int) -> Interval | None:
        """What these cost, of all the devices that a trial takes; None without a price."""
        recipe = self.plan.loaded.recipe
        if recipe.price is None:
            return None
        return self.training(num_steps) * (recipe.price * recipe.devices_per_trial / 3600)

    @property
    def num_steps_alone(self) -> int:
        return sum(stage.num_steps for stage in self.alone)

    @property
    def saves(self) -> bool:
        """Whether anything is trained once that several trials have in common."""
        return self.plan.num_steps < self.num_steps_alone


def estimate_grids(estimate: Estimate) -> tuple[Grid, Grid]:
    """What each ratio takes, and what the sweep does, with what the figures rest on."""
    return _runs_grid(estimate), _jobs_grid(estimate)


def _runs_grid(estimate: Estimate) -> Grid:
    price = ("dollars",) if estimate.plan.loaded.recipe.price is not None else ()
    rows = tuple(
        (
            timeline.lengths.ratio.text,
            str(timeline.num_steps),
            _time_text(estimate.training(timeline.num_steps)),
            *_dollar_cells(estimate.dollars(timeline.num_steps)),
            memory_text(estimate.pilot, 1),
        )
        for timeline in estimate.plan.timelines
    )
    headers = ("ratio", "steps", "train time", *price, "memory")
    return Grid("estimate: what training at each ratio takes", headers, rows)


def _jobs_grid(estimate: Estimate) -> Grid:
    plan, alone_steps = estimate.plan, estimate.num_steps_alone
    ways: list[tuple[str, int, Callable[[JobsEstimate], Interval]]] = [
        ("time", plan.num_steps, lambda jobs: jobs.once),
        *([("each trial alone", alone_steps, _alone)] if estimate.saves else []),
    ]
    priced = plan.loaded.recipe.price is not None
    headers = [
        header
        for name, _, _ in ways
        for header in (name, *(["dollars" if name == "time" else "dollars alone"] if priced else []))
    ]
    rows = tuple(
        (
            *(str(each.jobs), str(each.devices)),
            *(
                cell
                for _, steps, time in ways
                for cell in (_time_text(time(each)), *_dollar_cells(estimate.dollars(steps)))
            ),
        )
        for each in estimate.jobs
    )
    title = f"estimate: what the whole sweep takes, {plan.num_steps} steps in {len(plan.stages)} stages"
    return Grid(title, ("jobs", "devices", *headers), rows, tuple(map(one_line, estimate_notes(estimate))))


def _alone(jobs: JobsEstimate) -> Interval:
    return jobs.alone


def _dollar_cells(dollars: Interval | None) -> list[str]:
    return [] if dollars is None else [_interval_text(dollars, dollars_text)]


def _time_text(interval: Interval) -> str:
    return _interval_text(interval, duration_text)


def _interval_text(interval: Interval, text: Callable[[float], str]) -> str:
    return f"{text(interval.value)} ({text(interval.low)} to {text(interval.high)})"


def memory_text(pilot: PilotRecord, times: int) -> str:
    """`3.2 GB of 16.0 GB`."""
    return f"{size_text(times * pilot.peak_bytes)} of {size_text(pilot.total_bytes)}"


def estimate_notes(estimate: Estimate) -> list[str]:
    """What was measured, and what is not in it."""
    pilot, plan = estimate.pilot, estimate.plan
    recipe = plan.loaded.recipe
    measured = (
        f"{_interval_text(Interval(*pilot.step), short_text)} a step, "
        f"{_interval_text(Interval(*pilot.evaluation), short_text)} an evaluation, "
        f"{_time_text(Interval(*pilot.worker))} until a worker trains"
    )
    age = f", {estimate.age}" if estimate.age is not None else ""
    notes = [
        f"measured: {measured}",
        f"by a pilot of {pilot.num_steps} steps on {set_up_text(pilot.environment)}{age}; intervals are of 95 %, for a "
        "machine that is as busy as it was then",
        *doubts(pilot),
    ]
    if pilot.varying:
        notes.append(
            f"steps differ along a run ({', '.join(pilot.varying)}): they were tried out at several of its places; "
            "what a part of a run takes, such as a stage that is shared, may differ"
        )
    if recipe.swa:
        notes.append("not in it: SWA's pass over an epoch of the data at the end of a run")
    if recipe.devices_per_trial > 1:
        number = recipe.devices_per_trial
        notes.append(f"tried out on one device: what {number} of them tell each other at every step is not in it")
    if any(each.jobs > 1 for each in estimate.jobs):
        notes.append("how much jobs slow each other down is not in it (sweep run --jobs auto measures it)")
    return [*notes, *_memory_notes(estimate)]


def doubts(pilot: PilotRecord) -> list[str]:
    """What is wrong with a pilot, as far as it tells itself."""
    _, value, high = pilot.step
    notes = []
    if pilot.is_made_up:
        notes.append("on made-up data: the dataset is not there, and what reading it from a disk takes is not in it")
    if pilot.spread > _NOTABLE_SPREAD:
        notes.append(
            f"its bursts of steps differ by ± {100 * pilot.spread:.0f} %: the machine was busy, and may be more or "
            "less so when it trains"
        )
    if high - value > PRECISION * value:
        notes.append(f"less precise than ± {100 * PRECISION:.0f} %: more --pilot-seconds narrow the interval")
    return notes


def _memory_notes(estimate: Estimate) -> list[str]:
    pilot = estimate.pilot
    return [
        f"{each.num_sharing} jobs beside each other take {memory_text(pilot, each.num_sharing)}: they do not fit"
        if each.num_sharing > 1
        else f"a run takes {memory_text(pilot, 1)}: it does not fit"
        for each in estimate.jobs
        if each.num_sharing * pilot.peak_bytes > pilot.total_bytes
    ][:1]


def estimate_document(estimate: Estimate) -> dict[str, Any]:
    """The estimate for a program: seconds and dollars as `low`, `value` and `high`."""
    pilot, plan = estimate.pilot, estimate.plan
    return {
        "pilot": pilot.model_dump(mode="json", exclude={"kind", "format", "step", "evaluation", "stage", "worker"})
        | {name: _ends(Interval(*getattr(pilot, name))) for name in ("step", "evaluation", "stage", "worker")},
        "is_reused": estimate.age is not None,
        "runs": [_run(estimate, timeline) for timeline in plan.timelines],
        "sweep": [_sweep(estimate, each) for each in estimate.jobs],
        "notes": estimate_notes(estimate),
    }


def _run(estimate: Estimate, timeline: Timeline) -> dict[str, Any]:
    return {
        "ratio_text": timeline.lengths.ratio.text,
        "steps": timeline.num_steps,
        "train_seconds": _ends(estimate.training(timeline.num_steps)),
        "dollars": _ends(estimate.dollars(timeline.num_steps)),
        "peak_bytes": estimate.pilot.peak_bytes,
    }


def _sweep(estimate: Estimate, each: JobsEstimate) -> dict[str, Any]:
    return {
        "jobs": each.jobs,
        "devices": each.devices,
        "seconds": _ends(each.once),
        "seconds_alone": _ends(each.alone),
        "dollars": _ends(estimate.dollars(estimate.plan.num_steps)),
        "dollars_alone": _ends(estimate.dollars(estimate.num_steps_alone)),
        "fits": each.num_sharing * estimate.pilot.peak_bytes <= estimate.pilot.total_bytes,
    }


def _ends(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"low": interval.low, "value": interval.value, "high": interval.high}
