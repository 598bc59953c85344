"""How fast a recipe trains here: as a kept pilot says, or a new one, which is kept in the sweep's journal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweep.clock import seconds_since
from sweep.errors import Problem, UsageError
from sweep.events import Listener, Noticed
from sweep.placing import placement_of
from sweep.plan.pilot import is_precise
from sweep.plan.speed import Interval, Speed
from sweep.plan.stages import Plan
from sweep.planning import examine, prepare_job
from sweep.recipe.datasets import DATASETS
from sweep.recipe.schema import Recipe
from sweep.report.cells import age_text
from sweep.report.estimate_view import doubts
from sweep.request import Asked
from sweep.run.engine import EngineName
from sweep.run.machine import find_device
from sweep.run.pilot import run_pilot, speed_of_pilot
from sweep.run.placement import Placement
from sweep.store.history import History, read_history
from sweep.store.journal import append
from sweep.store.records import PilotRecord

DEFAULT_PILOT_SECONDS = 60.0
_PILOT_SECONDS = (1.0, 3600.0)
# Chosen: a pilot that is imprecise is made anew where there is so many times as long for it.
_MUCH_LONGER = 3.0


def speed_of(
    asked: Asked,
    plan: Plan,
    pilot_seconds: float = DEFAULT_PILOT_SECONDS,
    tell: Listener = lambda event: None,
) -> Speed:
    """How fast `plan` trains here, by a kept pilot of its recipe on this set-up, else by a new one of `pilot_seconds`
    at most, which is kept.

    Raises:
        UsageError: there is nothing that could be tried out here, or `pilot_seconds` is out of range.
        MachineError: it cannot be tried out, or the sweep is being trained at this moment.
    """
    pilot, is_kept = find_pilot(asked, plan, pilot_seconds, tell)
    for doubt in doubts(pilot):
        tell(Noticed(f"estimate: {doubt}"))
    speed = speed_of_pilot(pilot, max(1, plan.num_steps))
    return speed if is_kept else replace(speed, tried_seconds=_trained_seconds(pilot))


def _trained_seconds(pilot: PilotRecord) -> float:
    return pilot.num_steps * pilot.step[1]


def _can_be_much_better(kept: PilotRecord, pilot_seconds: float) -> bool:
    return not is_precise(Interval(*kept.step)) and pilot_seconds > _MUCH_LONGER * _trained_seconds(kept)


def check_pilot_seconds(seconds: float) -> None:
    """Pass in silence.

    Raises:
        UsageError: no number of seconds that a pilot can take.
    """
    low, high = _PILOT_SECONDS
    if not low <= seconds <= high:
        message = f"{seconds:g} is not a number of seconds from {low:g} to {high:g}"
        raise UsageError(Problem(message, where="--pilot-seconds", fix=f"the default is {DEFAULT_PILOT_SECONDS:g}"))


def find_pilot(
    asked: Asked, plan: Plan, pilot_seconds: float, tell: Listener, code_sha256: str | None = None
) -> tuple[PilotRecord, bool]:
    """The pilot that `speed_of` goes by, and whether it was kept already. `code_sha256` is that of a task's code, where
    it is known."""
    check_pilot_seconds(pilot_seconds)
    _refuse(asked, plan)
    history, placement = read_history(asked.workspace.journal), placement_of(asked, plan)
    if plan.loaded.recipe.kind == "task" and code_sha256 is None:
        code_sha256 = examine(plan.loaded, asked.request.device)[1]
    kept = None if asked.request.fresh else _kept(history, plan.loaded.recipe, placement, code_sha256)
    if kept is not None and not _can_be_much_better(kept, pilot_seconds):
        age = age_text(seconds_since(kept.made_at))
        tell(Noticed(f"estimate: by the pilot of {age} (sweep plan --estimate --fresh makes a new one)"))
        return kept, True
    with asked.workspace.locked():  # what cannot be kept, or is being trained, is told before a minute is spent on it
        pass
    tell(Noticed(f"estimate: the recipe is tried out, for {pilot_seconds:g} s at most"))
    job = prepare_job(plan.loaded, placement.device, placement.threads)
    pilot = run_pilot(plan, job, pilot_seconds, placement.environment(0))
    with asked.workspace.locked():
        append(asked.workspace.journal, pilot)
    return pilot, False


def _refuse(asked: Asked, plan: Plan) -> None:
    loaded = plan.loaded
    if loaded.recipe.kind == "command":
        fix = "sweep run measures it: a short ratio first says what longer ones take"
        raise UsageError(
            Problem("a command has no steps that could be tried out", loaded.place("command"), "command", fix=fix)
        )
    if asked.engine.name is not EngineName.LOCAL:
        message = f"a recipe is tried out on this machine, and {asked.engine.name.value} trains elsewhere"
        raise UsageError(Problem(message, "--executor", fix="estimate it where it trains, with --executor local"))


def _kept(history: History, recipe: Recipe, placement: Placement, code_sha256: str | None) -> PilotRecord | None:
    """The last pilot of this recipe on this set-up; one on made-up data serves until there is some."""
    device = find_device(placement.device)
    set_up = (device.kind, device.name, placement.threads, _torch(), code_sha256)
    for pilot in reversed(history.pilots):
        there = pilot.environment
        torch = (there.torch or "").partition("+")[0]
        its_set_up = (there.device_kind, there.device_name, there.threads, torch, there.code_sha256)
        is_of_recipe = (pilot.fingerprint, pilot.workers) == (recipe.fingerprint, recipe.workers)
        if is_of_recipe and its_set_up == set_up and not (pilot.is_made_up and _has_data(recipe)):
            return pilot
    return None


def _torch() -> str:
    """Its version, without importing it, and without what stands behind the plus: for which machines it was built."""
    with suppress(PackageNotFoundError):
        return version("torch").partition("+")[0]
    return ""


def _has_data(recipe: Recipe) -> bool:
    return not DATASETS[recipe.builtin_dataset].problems(Path(recipe.data_path))
