"""Is this workspace new, the same sweep, or another one (and how it differs)?

A sweep is one baseline on one set-up: results of another recipe never mix, and those of other threads, device, torch or
precision only where that is asked for; then they are marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sweep.errors import Outcome, Problem, UsageError
from sweep.store.records import Environment, PilotRecord, Record, StageRecord, StartRecord

if TYPE_CHECKING:  # a report, which reads no recipe, starts faster without it
    from sweep.recipe.schema import Recipe

_FIX = "choose another --name, or --fresh to set the old results aside"
_NOT_GIVEN = "not given"
_FIX_SET_UP = f"{_FIX}, or --allow-mixed to train here all the same and have these trials marked"


def check_recipe(last: StartRecord | None, recipe: Recipe, folder: str, places: Mapping[str, str]) -> None:
    """Refuse a recipe that is not the one of the sweep's last start; without one the workspace is new.

    `places` says where each key was given. A default that another version has changed leaves the fingerprint as it was,
    so every key is compared.

    Raises:
        UsageError: with each key that differs, and where it comes from now.
    """
    changes = recipe.differences(last.recipe) if last is not None else {}
    if last is None or (last.fingerprint == recipe.fingerprint and not changes):
        return
    said = [f": {change} ({places.get(key, _NOT_GIVEN)})" for key, change in changes.items()] or [""]
    raise UsageError([Problem(f"these results are of another recipe{text}", where=folder, fix=_FIX) for text in said])


def check_environment(
    first: StartRecord | None, environment: Environment, folder: str, allow_mixed: bool = False
) -> list[str]:
    """Refuse another set-up than the one that the sweep's first run fixed; returns what differs where that is allowed.

    Raises:
        UsageError: with each difference.
    """
    changes = set_up_changes(first.environment, environment) if first is not None else []
    if changes and not allow_mixed:
        raise UsageError(
            [
                Problem(f"these results were measured on another set-up: {change}", where=folder, fix=_FIX_SET_UP)
                for change in changes
            ]
        )
    return changes


def mixed_stages(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """The finished Stages that were not wholly trained on the set-up of the sweep's first run, with what differed.

    A checkpoint does not say where it was written: a Stage that went on from one may have every difference so far.
    """
    first: Environment | None = None
    so_far: dict[str, list[str]] = {}  # by the Stage: of a merged sweep's parts, each has its own
    found: dict[str, tuple[str, ...]] = {}
    for record in records:
        if isinstance(record, StartRecord):
            first = first or record.environment
            if changes := set_up_changes(first, record.environment):
                for stage in {stage for entry in record.trials for stage in entry.stages}:
                    so_far.setdefault(stage, []).extend(changes)
        elif isinstance(record, PilotRecord):
            continue
        elif record.outcome is Outcome.FINISHED and record.stage not in found and first is not None:
            own = set_up_changes(first, record.environment or first)
            before = [change for stage in _went_on_from(record) for change in so_far.get(stage, ())]
            found[record.stage] = tuple(dict.fromkeys([*before, *own]))
    return {stage: changes for stage, changes in found.items() if changes}


def _went_on_from(record: StageRecord) -> list[str]:
    """The Stages whose checkpoints it may have gone on from."""
    measured = record.measurement
    if measured is None or not measured.resumed_at:
        return []
    return [record.stage, *([measured.taken_over.stage] if measured.taken_over else [])]


def set_up_changes(fixed: Environment, environment: Environment) -> list[str]:
    """What differs between two set-ups of one sweep; trials of both are of its recipe all the same."""
    changes = [
        f"{name} was {getattr(fixed, field)}, now {getattr(environment, field)}"
        for name, field in (("threads", "threads"), ("device", "device_kind"), ("torch", "torch"))
        if getattr(fixed, field) != getattr(environment, field)
    ]
    was, now = (_amp(of) for of in (fixed, environment))
    if was != now:
        changes.append(f"amp: auto was {was}, now {now}")
    if fixed.code_sha256 != environment.code_sha256:
        was, now = (_short(sha256) for sha256 in (fixed.code_sha256, environment.code_sha256))
        changes.append(f"the task's code was {was}, now {now}")
    if fixed.data_sha256 != environment.data_sha256:
        was, now = (_short(sha256) for sha256 in (fixed.data_sha256, environment.data_sha256))
        changes.append(f"the names of the images were {was}, now {now}")
    return changes


def place_text(environment: Environment) -> str:
    """`cpu (its name), 2 threads`."""
    threads = f"{environment.threads} thread{'s' if environment.threads > 1 else ''}"
    return f"{environment.device_kind} ({environment.device_name}), {threads}"


def set_up_text(environment: Environment) -> str:
    """A set-up by all that a time depends on: times of equal texts compare. Whatever `set_up_changes` names is in it;
    so is the device's name, of which a sweep may have several."""
    parts = {
        "torch ": environment.torch,
        "amp: auto is ": _amp(environment),
        "code ": environment.code_sha256 and _short(environment.code_sha256),
        "images ": environment.data_sha256 and _short(environment.data_sha256),
    }
    return ", ".join([place_text(environment), *(f"{name}{value}" for name, value in parts.items() if value)])


def _amp(environment: Environment) -> str | None:
    return environment.precision.amp if environment.precision else None


def _short(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "not there"
