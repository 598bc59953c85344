"""A finding of a plan, with the place where its key was given."""

from __future__ import annotations

from sweep.errors import Problem
from sweep.plan.lengths import Lengths
from sweep.recipe.library import LoadedRecipe


def problem(
    loaded: LoadedRecipe, key: str, message: str, run: Lengths | None = None, fix: str | None = None
) -> Problem:
    """What is wrong with `key`, at the ratio of `run` where it depends on that."""
    return Problem(message, loaded.place(key), key, run.ratio.text if run else None, fix)
