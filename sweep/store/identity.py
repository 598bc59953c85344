"""Is this workspace new, the same sweep, or another one (and how it differs)?

A sweep is one baseline on one set-up: results of another recipe, or of other threads, device or torch, never mix.
"""

from __future__ import annotations

from sweep.errors import Problem, UsageError
from sweep.recipe.schema import Recipe
from sweep.store.records import Environment, StartRecord

_FIX = "choose another --name, or --fresh to set the old results aside"


def check_recipe(last: StartRecord | None, recipe: Recipe, folder: str) -> None:
    """Refuse a recipe that is not the one of the sweep's last start; without one the workspace is new.

    Raises:
        UsageError: with each key that differs.
    """
    if last is None or last.fingerprint == recipe.fingerprint:
        return
    changes = recipe.differences(last.recipe)
    raise UsageError(
        [Problem(f"these results are of another recipe: {change}", where=folder, fix=_FIX) for change in changes]
        or [Problem("these results are of another recipe", where=folder, fix=_FIX)]
    )


def check_environment(first: StartRecord | None, environment: Environment, folder: str) -> None:
    """Refuse another set-up than the one that the sweep's first run fixed.

    Raises:
        UsageError: with each difference.
    """
    if first is None:
        return
    fixed = first.environment
    changes = [
        f"{name} was {getattr(fixed, field)}, now {getattr(environment, field)}"
        for name, field in (("threads", "threads"), ("device", "device_kind"), ("torch", "torch"))
        if getattr(fixed, field) != getattr(environment, field)
    ]
    if changes:
        raise UsageError(
            [
                Problem(f"these results were measured on another set-up: {change}", where=folder, fix=_FIX)
                for change in changes
            ]
        )
