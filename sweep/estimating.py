"""What a sweep will take: its plan, tried out for a minute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweep.clock import seconds_since
from sweep.errors import Complaints
from sweep.events import Listener
from sweep.piloting import DEFAULT_PILOT_SECONDS, check_pilot_seconds, find_pilot
from sweep.placing import placement_of
from sweep.plan.stages import Plan, Recorded
from sweep.planning import plan_asked
from sweep.report.cells import age_text
from sweep.report.estimate_view import Estimate, JobsEstimate
from sweep.request import Asked, SweepRequest, read_request
from sweep.run.auto_jobs import end_of, jobs_worth
from sweep.run.duration import sweep_seconds
from sweep.run.pilot import speed_of_pilot
from sweep.run.placement import num_cores, visible_gpus
from sweep.store.records import PilotRecord


def estimate_sweep(
    request: SweepRequest,
    pilot_seconds: float | None = None,
    tell: Listener = lambda event: None,
) -> Estimate:
    """Plan `request`, and say what it will take by a kept pilot, or by a new one of so many seconds at most, which is
    kept in the journal.

    Raises:
        UsageError: with every mistake in the options and in the recipe, and where nothing can be tried out.
        MachineError: it cannot be tried out here.
    """
    seconds = DEFAULT_PILOT_SECONDS if pilot_seconds is None else pilot_seconds
    complaints = Complaints()
    asked: Asked | None = None
    with complaints:
        check_pilot_seconds(seconds)
    with complaints:
        asked = read_request(request)
    complaints.raise_any()
    assert asked is not None
    plan, code_sha256 = plan_asked(asked)
    pilot, is_kept = find_pilot(asked, plan, seconds, tell, code_sha256)
    age = age_text(seconds_since(pilot.made_at)) if is_kept else None
    return make_estimate(plan, pilot, seats(asked, plan, pilot.environment.device_kind), age)


@dataclass(frozen=True)
class Seats:
    """So many jobs at a time, on so many devices in all; `num_sharing` processes share the memory of one."""

    jobs: int
    devices: int
    num_sharing: int


def seats(asked: Asked, plan: Plan, device_kind: str) -> list[Seats]:
    """The numbers of jobs that fit here with the threads that were tried out, as far as more finish sooner: one, two,
    four, …, the most, and what is asked for."""
    size, sharing = plan.loaded.recipe.devices_per_trial, asked.request.jobs_per_device
    placement = placement_of(asked, plan)
    if device_kind == "cpu":
        most = num_cores() // (placement.threads * size)
    elif device_kind == "cuda" and ":" not in asked.request.device:
        most = len(visible_gpus()) // size * sharing
    else:
        most = sharing
    most = jobs_worth(end_of(plan), max(1, most))
    numbers = {*(2**power for power in range(most.bit_length())), most, placement.jobs}
    if device_kind == "cpu":
        return [Seats(jobs, jobs * size, jobs * size) for jobs in sorted(numbers)]
    return [Seats(jobs, math.ceil(jobs / sharing) * size, min(jobs, sharing)) for jobs in sorted(numbers)]


def make_estimate(plan: Plan, pilot: PilotRecord, numbers: Sequence[Seats], age: str | None = None) -> Estimate:
    """What `plan` takes by `pilot`, with each of these numbers of jobs."""
    alone = replace(plan, shares=False).missing(Recorded())
    speed, speed_alone = (speed_of_pilot(pilot, max(1, way.num_steps)) for way in (plan, alone))
    jobs = (
        JobsEstimate(
            each.jobs,
            each.devices,
            sweep_seconds(plan, speed, each.jobs),
            sweep_seconds(alone, speed_alone, each.jobs),
            each.num_sharing,
        )
        for each in numbers
    )
    return Estimate(plan, alone.stages, pilot, tuple(jobs), age)
