"""Where a sweep computes on this machine, or is placed by an engine; and what there is to say of it."""

from __future__ import annotations

from dataclasses import replace

from sweep.errors import Problem
from sweep.plan.stages import Plan
from sweep.request import Asked
from sweep.run.auto_jobs import end_of, jobs_worth
from sweep.run.engine import EngineName
from sweep.run.placement import Placement, num_cores, place, visible_gpus
from sweep.store.history import read_history
from sweep.store.records import StartRecord


def place_asked(asked: Asked, plan: Plan) -> tuple[Placement, list[str]]:
    """Where the sweep computes, and what there is to say of it.

    Raises:
        UsageError: more jobs than fit on the GPUs, or a device that is an engine's to choose.
    """
    threads, remarks = _threads(asked)
    devices = asked.loaded.recipe.devices_per_trial
    if asked.engine.name is not EngineName.LOCAL:
        return asked.engine.place(asked.jobs, threads, asked.request.device, devices), remarks
    placement = _placed(asked, plan, threads)
    problems = [*_crowding(placement, devices), *(_sharing(placement) if asked.jobs is not None else [])]
    return placement, [*remarks, *(f"warning: {problem}" for problem in problems)]


def placement_of(asked: Asked, plan: Plan) -> Placement:
    """Where it would be trained on this machine.

    Raises:
        UsageError: more jobs than fit on the GPUs.
    """
    return _placed(asked, plan, _threads(asked)[0])


def _placed(asked: Asked, plan: Plan, threads: int | None) -> Placement:
    request, jobs, devices = asked.request, asked.jobs, asked.loaded.recipe.devices_per_trial
    are_placed = jobs != 1 or request.jobs_per_device > 1
    gpus = visible_gpus() if are_placed and request.device not in ("cpu", "mps") else ()
    placement = place(
        jobs,
        request.device,
        threads,
        num_cores(),
        gpus,
        worth=lambda most: jobs_worth(end_of(plan), most),
        jobs_per_device=request.jobs_per_device,
        devices_per_trial=devices,
    )
    if jobs is None and threads is None:
        placement = replace(placement, threads_alone=max(1, num_cores() // devices))
    return placement


def _threads(asked: Asked) -> tuple[int | None, list[str]]:
    """A sweep keeps the number of threads that its first run has fixed, unless an option asks for another one."""
    loaded = asked.loaded
    threads, first = loaded.recipe.threads, _first_start(asked)
    if first is None or loaded.places.get("threads") in ("--threads", "--set"):
        return threads, []
    fixed = first.environment.threads
    if threads in (None, fixed):
        return fixed, []
    return fixed, [f"threads: {fixed}, as in this sweep's first run (the recipe says {threads})"]


def _first_start(asked: Asked) -> StartRecord | None:
    return None if asked.request.fresh else read_history(asked.workspace.journal).first_start


def _crowding(placement: Placement, devices_per_trial: int) -> list[Problem]:
    wanted = placement.jobs * placement.threads * devices_per_trial
    if wanted <= num_cores():
        return []
    where = "--jobs" if placement.jobs > 1 else "--threads" if placement.threads > 1 else "devices_per_trial"
    return [Problem(f"{wanted} threads on {num_cores()} cores get into each other's way", where, fix="take fewer")]


def _sharing(placement: Placement) -> list[Problem]:
    """`--jobs auto` measures what this does to the times; nobody else does."""
    if (sharing := placement.jobs_per_device) == 1:
        return []
    message = f"{sharing} jobs on a GPU: the times that are recorded are longer than those of a trial alone"
    return [Problem(message, "--jobs-per-device", fix="--jobs auto takes no more than hardly distort them")]
